package deploy_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"wxlogin/internal/config"
	"wxlogin/internal/server"
)

// object is a part of a YAML document.
type object map[string]any

// at returns the value at a path such as "spec.template.spec.containers.0.image", and nil if there is none.
func (o object) at(path string) any {
	var value any = o
	for key := range strings.SplitSeq(path, ".") {
		switch v := value.(type) {
		case object:
			value = v[key]
		case []any:
			i, err := strconv.Atoi(key)
			if err != nil || i >= len(v) {
				return nil
			}
			value = v[i]
		default:
			return nil
		}
	}
	return value
}

// text is at as text.
func (o object) text(path string) string { return fmt.Sprint(o.at(path)) }

// list returns the objects of the list at a path.
func (o object) list(path string) (all []object) {
	entries, _ := o.at(path).([]any)
	for _, e := range entries {
		entry, _ := e.(object)
		all = append(all, entry)
	}
	return all
}

// pairs returns the object at a path, whose values are text.
func (o object) pairs(path string) map[string]string {
	pairs := make(map[string]string)
	found, _ := o.at(path).(object)
	for key, value := range found {
		pairs[key] = fmt.Sprint(value)
	}
	return pairs
}

// optional matches what a manifest offers in comments, to be uncommented.
var optional = regexp.MustCompile(`(?m)^( +)# ([A-Z0-9]+_[A-Z0-9_]+: |- \{name: )`)

// manifests reads all manifests and the examples, by "Kind name". If uncommented, with what they offer in comments.
func manifests(t *testing.T, uncommented bool) map[string]object {
	t.Helper()
	all := make(map[string]object)
	for _, pattern := range []string{"kubernetes/*.yaml", "kubernetes/examples/*.yaml"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %v", pattern, err)
		}
		for _, file := range files {
			text := read(t, file)
			if uncommented {
				text = optional.ReplaceAllString(text, "$1$2")
			}
			for decoder := yaml.NewDecoder(strings.NewReader(text)); ; {
				var o object
				if err := decoder.Decode(&o); errors.Is(err, io.EOF) {
					break
				} else if err != nil {
					t.Fatalf("%s: %v", file, err)
				}
				all[o.text("kind")+" "+o.text("metadata.name")] = o
			}
		}
	}
	return all
}

// podEnviron returns the environment of a workload's container. Its secrets are mounted below a folder of this test.
func podEnviron(t *testing.T, all map[string]object, workload string, secret map[string]string) []string {
	t.Helper()
	container := all[workload].list("spec.template.spec.containers")[0]
	var env []string
	if name := container.at("envFrom.0.configMapRef.name"); name != nil {
		for name, value := range all["ConfigMap "+name.(string)].pairs("data") {
			env = append(env, name+"="+value)
		}
	}
	folder := secretFolder(t, secret)
	for _, v := range container.list("env") {
		value := v.text("value")
		if strings.HasSuffix(v.text("name"), "_FILE") {
			value = strings.Replace(value, container.text("volumeMounts.0.mountPath"), folder, 1)
		}
		env = append(env, v.text("name")+"="+value)
	}
	return env
}

const (
	serverPods  = "Deployment wxlogin"
	migratePods = "Job wxlogin-migrate"
)

func TestKubernetes_ConfiguresTheServer(t *testing.T) {
	for _, uncommented := range []bool{false, true} {
		all := manifests(t, uncommented)
		secret := secrets()
		if !uncommented {
			for _, name := range optionalSecrets {
				delete(secret, name)
			}
		}
		c, err := config.Load(podEnviron(t, all, serverPods, secret))
		if err != nil {
			t.Fatal(err)
		}
		wantSecrets(t, c)
		if len(c.TrustedProxies) == 0 {
			t.Error("behind the ingress all phones would share one address")
		}
		if uncommented && (c.Avatars.S3Bucket == "" || c.Avatars.S3SecretKey == "") {
			t.Error("there is no bucket for pictures")
		}
		if uncommented && (len(c.Pushes) != 1 || c.PushForward == "") {
			t.Error("WeChat's pushes are not received")
		}
		if got := len(all["Secret wxlogin"].pairs("stringData")); got != len(secret) {
			t.Errorf("the Secret's example has %d entries, want %d", got, len(secret))
		}
		for _, workload := range []string{serverPods, migratePods} {
			wantKnownVariables(t, podEnviron(t, all, workload, secret))
		}
		migrate, err := config.LoadMigrate(podEnviron(t, all, migratePods, map[string]string{"MYSQL_DSN": secret["MYSQL_DSN"]}))
		if err != nil || migrate.MySQLDSN != secret["MYSQL_DSN"] {
			t.Errorf("the migration: %v", err)
		}
	}
}

// A forgotten value must not become a key that everybody can read in this repository.
func TestKubernetes_SecretExampleDoesNotWorkUnchanged(t *testing.T) {
	all := manifests(t, false)
	secret := all["Secret wxlogin"].pairs("stringData")
	_, err := config.Load(podEnviron(t, all, serverPods, secret))
	if err == nil {
		t.Fatal("it works")
	}
	for name := range secret {
		if !strings.Contains(err.Error(), name) {
			t.Errorf("%s is not reported as missing", name)
		}
	}
}

// value is a value of a manifest that follows from another file or from the server.
type value struct{ object, path, want string }

func TestKubernetes_ValuesFit(t *testing.T) {
	all := manifests(t, false)
	c, err := config.Load(podEnviron(t, all, serverPods, secrets()))
	if err != nil {
		t.Fatal(err)
	}
	_, public, _ := net.SplitHostPort(c.ListenAddr)
	host, internal, _ := net.SplitHostPort(c.InternalAddr)
	if host != "" && host != "0.0.0.0" {
		t.Errorf("the kubelet does not reach %s", c.InternalAddr)
	}
	_, user, _ := strings.Cut(read(t, "../Dockerfile"), "\nUSER ")
	user, _, _ = strings.Cut(user, "\n")
	uid, gid, _ := strings.Cut(user, ":")
	const container = "spec.template.spec.containers.0."
	values := []value{
		{serverPods, container + "ports.0", "map[containerPort:" + public + " name:public]"},
		{serverPods, container + "ports.1", "map[containerPort:" + internal + " name:internal]"},
		{serverPods, "spec.template.metadata.annotations", "map[prometheus.io/path:/metrics prometheus.io/port:" + internal +
			" prometheus.io/scrape:true]"},
		{serverPods, container + "startupProbe.httpGet", "map[path:/healthz port:internal]"},
		{serverPods, container + "readinessProbe.httpGet", "map[path:/readyz port:internal]"},
		{serverPods, container + "readinessProbe.timeoutSeconds", "2"}, // /readyz takes 1 s at most
		{serverPods, container + "livenessProbe.httpGet", "map[path:/healthz port:internal]"},
		{serverPods, "spec.strategy.rollingUpdate.maxUnavailable", "0"}, // an update takes no pod away before another is ready
		{serverPods, "spec.replicas", "<nil>"},                          // or each apply would undo the HorizontalPodAutoscaler
		{migratePods, container + "args", "[migrate]"},
		{migratePods, "spec.podFailurePolicy.rules", // 2: a wrong configuration
			"[map[action:FailJob onExitCodes:map[containerName:migrate operator:In values:[2]]]]"},
		{"HorizontalPodAutoscaler wxlogin", "spec.scaleTargetRef.kind", "Deployment"},
		{"HorizontalPodAutoscaler wxlogin", "spec.scaleTargetRef.name", "wxlogin"},
		{"HorizontalPodAutoscaler wxlogin", "spec.minReplicas", "2"},
		{"Service wxlogin", "spec.ports", "[map[appProtocol:http name:public port:80 targetPort:public]]"},
		{"Service wxlogin-internal", "spec.ports", "[map[appProtocol:http name:internal port:9090 targetPort:internal]]"},
		{"Ingress wxlogin", "spec.rules.0.http.paths.0.backend.service", "map[name:wxlogin port:map[name:public]]"},
		{"NetworkPolicy wxlogin-migrate", "spec.ingress", "<nil>"},
	}
	for _, workload := range []string{serverPods, migratePods} {
		values = append(values,
			value{workload, "spec.template.spec.securityContext", "map[fsGroup:" + gid + " runAsGroup:" + gid +
				" runAsNonRoot:true runAsUser:" + uid + " seccompProfile:map[type:RuntimeDefault]]"},
			value{workload, container + "securityContext",
				"map[allowPrivilegeEscalation:false capabilities:map[drop:[ALL]] readOnlyRootFilesystem:true]"},
			value{workload, "spec.template.spec.automountServiceAccountToken", "false"},
			value{workload, "spec.template.spec.volumes.0.secret.secretName", all["Secret wxlogin"].text("metadata.name")},
			value{workload, "spec.template.spec.volumes.0.secret.defaultMode", strconv.Itoa(0o440)},
			value{workload, container + "image", all[serverPods].text(container + "image")})
	}
	for _, v := range values {
		if got := all[v.object].text(v.path); got != v.want {
			t.Errorf("%s: %s is %s, want %s", v.object, v.path, got, v.want)
		}
	}
	if image := all[serverPods].text(container + "image"); strings.HasSuffix(image, ":latest") || !strings.Contains(image, ":") {
		t.Errorf("the image is %s", image)
	}
}

func TestKubernetes_SelectorsSelectTheServer(t *testing.T) {
	all := manifests(t, false)
	labels := func(workload string) string { return fmt.Sprint(all[workload].pairs("spec.template.metadata.labels")) }
	if labels(serverPods) == labels(migratePods) {
		t.Fatal("the pods have the same labels")
	}
	for _, s := range []value{
		{serverPods, "spec.selector.matchLabels", serverPods},
		{serverPods, "spec.template.spec.topologySpreadConstraints.0.labelSelector.matchLabels", serverPods},
		{serverPods, "spec.template.spec.topologySpreadConstraints.1.labelSelector.matchLabels", serverPods},
		{"Service wxlogin", "spec.selector", serverPods},
		{"Service wxlogin-internal", "spec.selector", serverPods},
		{"PodDisruptionBudget wxlogin", "spec.selector.matchLabels", serverPods},
		{"NetworkPolicy wxlogin-server", "spec.podSelector.matchLabels", serverPods},
		{"NetworkPolicy wxlogin-migrate", "spec.podSelector.matchLabels", migratePods},
	} {
		if got := fmt.Sprint(all[s.object].pairs(s.path)); got != labels(s.want) {
			t.Errorf("%s: %s is %s, want the labels of %s", s.object, s.path, got, s.want)
		}
	}
}

func TestKubernetes_NetworkPoliciesLetThrough(t *testing.T) {
	all := manifests(t, false)
	for policy, want := range map[string]string{
		"NetworkPolicy wxlogin-server":  "ingress [public internal] egress [53 53 3306 6379 26379 443]",
		"NetworkPolicy wxlogin-migrate": "ingress [] egress [53 53 3306]",
	} {
		ports := func(direction string) (ports []string) {
			for _, rule := range all[policy].list("spec." + direction) {
				for _, p := range rule.list("ports") {
					ports = append(ports, p.text("port"))
				}
			}
			return ports
		}
		if got := fmt.Sprint("ingress ", ports("ingress"), " egress ", ports("egress")); got != want {
			t.Errorf("%s: %s, want %s", policy, got, want)
		}
		if got := all[policy].text("spec.policyTypes"); got != "[Ingress Egress]" {
			t.Errorf("%s refuses %s only", policy, got)
		}
	}
}

func TestKubernetes_LimitsFit(t *testing.T) {
	all := manifests(t, false)
	env := podEnviron(t, all, serverPods, secrets())
	c, err := config.Load(env)
	if err != nil {
		t.Fatal(err)
	}
	t.Run("a stop ends within the grace period", func(t *testing.T) {
		grace := time.Duration(all[serverPods].at("spec.template.spec.terminationGracePeriodSeconds").(int)) * time.Second
		if need := c.ShutdownDelay + server.ShutdownTimeout; grace < need+5*time.Second {
			t.Errorf("the pod is killed after %v, a stop may take %v", grace, need)
		}
		if c.ShutdownDelay < 5*time.Second {
			t.Errorf("the port closes after %v, before all nodes know", c.ShutdownDelay)
		}
	})
	t.Run("the ConfigMap says how many connections MySQL must take", func(t *testing.T) {
		pods := all["HorizontalPodAutoscaler wxlogin"].at("spec.maxReplicas").(int) +
			all[serverPods].at("spec.strategy.rollingUpdate.maxSurge").(int)
		if connections := pods * c.MySQL.MaxOpenConns; !strings.Contains(read(t, "kubernetes/10-configmap.yaml"),
			"so "+strconv.Itoa(connections)+".") {
			t.Errorf("the comment does not say that MySQL must take %d connections", connections)
		}
	})
	t.Run("memory and CPU are bounded", func(t *testing.T) {
		for _, workload := range []string{serverPods, migratePods} {
			for _, kind := range []string{"requests", "limits"} {
				if list := all[workload].pairs("spec.template.spec.containers.0.resources." + kind); list["cpu"] == "" || list["memory"] == "" {
					t.Errorf("%s: %s %v", workload, kind, list)
				}
			}
		}
		wantMemory(t, env, all[serverPods].text("spec.template.spec.containers.0.resources.limits.memory"))
	})
}

func TestKubernetes_KustomizationHasAllFiles(t *testing.T) {
	var k object
	decode(t, "kubernetes/Kustomization", &k)
	files, err := filepath.Glob("kubernetes/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for i := range files {
		files[i] = filepath.Base(files[i])
	}
	if got := k.text("resources"); got != fmt.Sprint(files) {
		t.Errorf("it has %s, want %s", got, files)
	}
	all := manifests(t, false)
	namespace := k.text("namespace")
	image, _, _ := strings.Cut(all[serverPods].text("spec.template.spec.containers.0.image"), ":")
	if all["Namespace "+namespace] == nil || k.text("images.0.name") != image {
		t.Errorf("its namespace is %s, its image %s", namespace, k.text("images.0.name"))
	}
	for name, o := range all {
		if !slices.Contains([]string{namespace, "<nil>"}, o.text("metadata.namespace")) ||
			(o.at("metadata.namespace") == nil) != (o.text("kind") == "Namespace") {
			t.Errorf("%s is in the namespace %s", name, o.text("metadata.namespace"))
		}
	}
}
