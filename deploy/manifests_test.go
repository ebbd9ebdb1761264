package deploy_test

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

type labels map[string]string

// selects tells whether a pod with some labels is one that a selector means. An empty selector means no pod here.
func (selector labels) selects(pod labels) bool {
	for name, value := range selector {
		if pod[name] != value {
			return false
		}
	}
	return len(selector) > 0
}

type selector struct {
	MatchLabels labels `yaml:"matchLabels"`
}

type metadata struct{ Name, Namespace string }

type settings struct {
	Metadata metadata
	Data     map[string]string
	Secrets  map[string]string `yaml:"stringData"`
}

type httpProbe struct {
	HTTPGet        struct{ Path, Port string } `yaml:"httpGet"`
	TimeoutSeconds int                         `yaml:"timeoutSeconds"`
}

type container struct {
	Name, Image string
	Args        []string
	Ports       []struct {
		Name          string
		ContainerPort int `yaml:"containerPort"`
	}
	EnvFrom []struct {
		ConfigMapRef struct{ Name string } `yaml:"configMapRef"`
	} `yaml:"envFrom"`
	Env       []struct{ Name, Value string }
	Resources struct{ Requests, Limits map[string]string }

	StartupProbe    httpProbe `yaml:"startupProbe"`
	ReadinessProbe  httpProbe `yaml:"readinessProbe"`
	LivenessProbe   httpProbe `yaml:"livenessProbe"`
	SecurityContext struct {
		AllowPrivilegeEscalation *bool `yaml:"allowPrivilegeEscalation"`
		ReadOnlyRootFilesystem   bool  `yaml:"readOnlyRootFilesystem"`
		Capabilities             struct{ Drop []string }
	} `yaml:"securityContext"`
	VolumeMounts []struct {
		Name      string
		MountPath string `yaml:"mountPath"`
	} `yaml:"volumeMounts"`
}

type pod struct {
	Metadata struct {
		Labels      labels
		Annotations map[string]string
	}
	Spec struct {
		GracePeriod         int   `yaml:"terminationGracePeriodSeconds"`
		ServiceAccountToken *bool `yaml:"automountServiceAccountToken"`
		SecurityContext     struct {
			RunAsNonRoot   bool                  `yaml:"runAsNonRoot"`
			RunAsUser      int                   `yaml:"runAsUser"`
			RunAsGroup     int                   `yaml:"runAsGroup"`
			FSGroup        int                   `yaml:"fsGroup"`
			SeccompProfile struct{ Type string } `yaml:"seccompProfile"`
		} `yaml:"securityContext"`
		Spread []struct {
			LabelSelector selector `yaml:"labelSelector"`
		} `yaml:"topologySpreadConstraints"`
		Containers []container
		Volumes    []struct {
			Name   string
			Secret struct {
				SecretName  string `yaml:"secretName"`
				DefaultMode int    `yaml:"defaultMode"`
				Items       []struct{ Key, Path string }
			}
		}
	}
}

type deployment struct {
	Metadata metadata
	Spec     struct {
		Replicas *int
		Selector selector
		Strategy struct {
			RollingUpdate struct {
				MaxSurge       int  `yaml:"maxSurge"`
				MaxUnavailable *int `yaml:"maxUnavailable"`
			} `yaml:"rollingUpdate"`
		}
		Template pod
	}
}

type job struct {
	Spec struct {
		PodFailurePolicy struct {
			Rules []struct {
				Action      string
				OnExitCodes struct {
					ContainerName string `yaml:"containerName"`
					Values        []int
				} `yaml:"onExitCodes"`
			}
		} `yaml:"podFailurePolicy"`
		Template pod
	}
}

type service struct {
	Metadata metadata
	Spec     struct {
		Selector labels
		Ports    []struct {
			Name       string
			Port       int
			TargetPort string `yaml:"targetPort"`
		}
	}
}

type networkPolicy struct {
	Spec struct {
		PodSelector     selector `yaml:"podSelector"`
		PolicyTypes     []string `yaml:"policyTypes"`
		Ingress, Egress []struct{ Ports []struct{ Port string } }
	}
}

// manifest reads one object strictly enough for a key that stands there twice to be refused.
func manifest[T any](t *testing.T, name string) T {
	t.Helper()
	var object T
	decoder := yaml.NewDecoder(strings.NewReader(read(t, "kubernetes/"+name)))
	if err := decoder.Decode(&object); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	var more any
	if err := decoder.Decode(&more); !errors.Is(err, io.EOF) {
		t.Fatalf("%s holds more than one object", name)
	}
	return object
}

func serverPod(t *testing.T) pod {
	t.Helper()
	return manifest[deployment](t, "40-deployment.yaml").Spec.Template
}

func migratePod(t *testing.T) pod {
	t.Helper()
	return manifest[job](t, "30-migrate.yaml").Spec.Template
}

// filledIn is the Secret as an operator makes it from the example.
func filledIn(t *testing.T) map[string]string {
	t.Helper()
	values := map[string]string{
		"WECHAT_SECRET":        "0123456789abcdef0123456789abcdef",
		"MYSQL_DSN":            "wxlogin:password@tcp(mysql.example.com:3306)/wxlogin",
		"REDIS_URL":            "redis://wxlogin:password@redis.example.com:6379/0",
		"INTERNAL_API_KEY":     strings.Repeat("0123456789abcdef", 4),
		"AVATAR_S3_SECRET_KEY": "0123456789abcdef",
	}
	secret := manifest[settings](t, "examples/secret.yaml").Secrets
	for name := range secret {
		if secret[name] = values[name]; values[name] == "" {
			t.Fatalf("nobody knows what to fill in for %s", name)
		}
	}
	return secret
}

// podEnviron is the environment of a pod's container, whose secrets are mounted as files below a folder of this test.
func podEnviron(t *testing.T, p pod, config, secret map[string]string) []string {
	t.Helper()
	var env []string
	c := p.Spec.Containers[0]
	for range c.EnvFrom {
		for name, value := range config {
			env = append(env, name+"="+value)
		}
	}
	root := t.TempDir()
	mount(t, p, root, secret)
	for _, v := range c.Env {
		if strings.HasSuffix(v.Name, "_FILE") {
			v.Value = root + v.Value
		}
		env = append(env, v.Name+"="+v.Value)
	}
	return env
}

// mount writes the files that the kubelet would.
func mount(t *testing.T, p pod, root string, secret map[string]string) {
	t.Helper()
	for _, m := range p.Spec.Containers[0].VolumeMounts {
		for _, v := range p.Spec.Volumes {
			if v.Name != m.Name {
				continue
			}
			for _, item := range v.Secret.Items {
				writeFile(t, filepath.Join(root, m.MountPath, item.Path), secret[item.Key])
			}
			if len(v.Secret.Items) > 0 {
				continue
			}
			for key, content := range secret {
				writeFile(t, filepath.Join(root, m.MountPath, key), content)
			}
		}
	}
}

func writeFile(t *testing.T, name, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}
