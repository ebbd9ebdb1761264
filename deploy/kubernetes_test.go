package deploy_test

import (
	"maps"
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

// podConfig is the server's configuration in Kubernetes.
func podConfig(t *testing.T) config.Config {
	t.Helper()
	c, err := config.Load(podEnviron(t, serverPod(t), manifest[settings](t, "10-configmap.yaml").Data, filledIn(t)))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestKubernetes_settings_configure_the_server(t *testing.T) {
	c, secret := podConfig(t), filledIn(t)
	got := map[string]string{
		"WECHAT_SECRET": c.App.Secret, "MYSQL_DSN": c.MySQLDSN, "REDIS_URL": c.RedisURL,
		"INTERNAL_API_KEY": c.InternalAPIKey,
	}
	if !maps.Equal(got, secret) {
		t.Error("not all that is in the Secret reaches the server")
	}
	if len(c.TrustedProxies) == 0 {
		t.Error("behind the ingress all phones would share one address")
	}
	migrate, err := config.LoadMigrate(podEnviron(t, migratePod(t), nil, secret))
	if err != nil || migrate.MySQLDSN != secret["MYSQL_DSN"] {
		t.Errorf("the migration: %v", err)
	}
}

// A forgotten value must not become a key that everybody can read in this repository.
func TestKubernetes_secret_example_does_not_work_as_it_is(t *testing.T) {
	configMap := manifest[settings](t, "10-configmap.yaml").Data
	secret := manifest[settings](t, "examples/secret.yaml").Secrets
	_, err := config.Load(podEnviron(t, serverPod(t), configMap, secret))
	if err == nil {
		t.Fatal("it works")
	}
	for name := range secret {
		if !strings.Contains(err.Error(), name) {
			t.Errorf("%s is not told to be missing", name)
		}
	}
}

// What stands in comments, to be taken up, is right too.
func TestKubernetes_optional_settings_configure_the_server(t *testing.T) {
	commented := regexp.MustCompile(`(?m)^( +)# ([A-Z0-9]+_[A-Z0-9_]+: |- \{name: )`)
	var configMap, secret settings
	var workload deployment
	for name, object := range map[string]any{
		"10-configmap.yaml": &configMap, "examples/secret.yaml": &secret, "40-deployment.yaml": &workload,
	} {
		taken := commented.ReplaceAllString(read(t, "kubernetes/"+name), "$1$2")
		if err := yaml.Unmarshal([]byte(taken), object); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	values := filledIn(t)
	values["AVATAR_S3_SECRET_KEY"] = "0123456789abcdef"
	c, err := config.Load(podEnviron(t, workload.Spec.Template, configMap.Data, values))
	if err != nil {
		t.Fatal(err)
	}
	if c.Avatars.S3Bucket == "" || c.Avatars.S3SecretKey == "" {
		t.Error("there is no bucket for pictures")
	}
	if len(secret.Secrets) != len(values) {
		t.Errorf("the Secret has %d entries, want %d", len(secret.Secrets), len(values))
	}
	known := knownVariables(t)
	for name := range configMap.Data {
		if !known(name) {
			t.Errorf("%s is none of the server's", name)
		}
	}
	for _, v := range workload.Spec.Template.Spec.Containers[0].Env {
		if !known(v.Name) {
			t.Errorf("%s is none of the server's", v.Name)
		}
	}
}

// knownVariables tells whether the server reads a variable: those of its configuration, files of its secrets, and those
// of Go and OpenTelemetry.
func knownVariables(t *testing.T) func(name string) bool {
	t.Helper()
	known := make(map[string]bool)
	for _, m := range regexp.MustCompile(`env:"(\w+)`).FindAllStringSubmatch(read(t, "../internal/config/config.go"), -1) {
		known[m[1]] = true
	}
	_, secrets, _ := strings.Cut(read(t, "../internal/config/environ.go"), "secretVariables = []string{")
	secrets, _, _ = strings.Cut(secrets, "}")
	for _, m := range regexp.MustCompile(`"(\w+)"`).FindAllStringSubmatch(secrets, -1) {
		known[m[1]+"_FILE"] = true
	}
	if !known["MYSQL_DSN"] || !known["MYSQL_DSN_FILE"] {
		t.Fatal("the variables are written otherwise")
	}
	foreign := regexp.MustCompile(`^(GOMEMLIMIT|GOTRACEBACK|OTEL_[A-Z_]+)$`)
	return func(name string) bool { return known[name] || foreign.MatchString(name) }
}

func TestKubernetes_names_only_variables_that_the_server_knows(t *testing.T) {
	known := knownVariables(t)
	config := manifest[settings](t, "10-configmap.yaml").Data
	for _, p := range []pod{serverPod(t), migratePod(t)} {
		for _, entry := range podEnviron(t, p, config, nil) {
			if name, _, _ := strings.Cut(entry, "="); !known(name) {
				t.Errorf("%s is none of the server's", name)
			}
		}
	}
}

func port(t *testing.T, addr string) int {
	t.Helper()
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestKubernetes_ports_and_probes_are_the_servers(t *testing.T) {
	p, config := serverPod(t), podConfig(t)
	c := p.Spec.Containers[0]
	got := make(map[string]int)
	for _, p := range c.Ports {
		got[p.Name] = p.ContainerPort
	}
	want := map[string]int{"public": port(t, config.ListenAddr), "internal": port(t, config.InternalAddr)}
	if !maps.Equal(got, want) {
		t.Errorf("ports %v, want %v", got, want)
	}
	if host, _, _ := net.SplitHostPort(config.InternalAddr); host != "" && host != "0.0.0.0" {
		t.Errorf("the kubelet does not reach %s", config.InternalAddr)
	}
	if p.Metadata.Annotations["prometheus.io/port"] != strconv.Itoa(want["internal"]) {
		t.Error("Prometheus asks another port")
	}
	for name, probe := range map[string]httpProbe{"/healthz": c.StartupProbe, "/readyz": c.ReadinessProbe} {
		if probe.HTTPGet.Path != name || probe.HTTPGet.Port != "internal" {
			t.Errorf("a probe asks %+v, want %s", probe.HTTPGet, name)
		}
	}
	if c.LivenessProbe.HTTPGet != c.StartupProbe.HTTPGet {
		t.Errorf("liveness asks %+v: a database that is away would have all pods killed", c.LivenessProbe.HTTPGet)
	}
	if bound := duration(t, "../handlers/internal.go", "checkTimeout"); seconds(c.ReadinessProbe.TimeoutSeconds) <= bound {
		t.Errorf("the kubelet waits no longer for /readyz than the %v that it may take", bound)
	}
}

func seconds(n int) time.Duration { return time.Duration(n) * time.Second }

// duration reads a constant of a package: a number of seconds or hours, or one.
func duration(t *testing.T, file, constant string) time.Duration {
	t.Helper()
	written := regexp.MustCompile(`\b` + constant + ` += (?:(\d+) \* )?time\.(Second|Minute|Hour)\b`)
	m := written.FindStringSubmatch(read(t, file))
	if m == nil {
		t.Fatalf("%s has no %s", file, constant)
	}
	n := 1
	if m[1] != "" {
		n, _ = strconv.Atoi(m[1])
	}
	return time.Duration(n) * map[string]time.Duration{"Second": time.Second, "Minute": time.Minute, "Hour": time.Hour}[m[2]]
}

func TestKubernetes_stop_fits_into_the_grace_period(t *testing.T) {
	grace, config := seconds(serverPod(t).Spec.GracePeriod), podConfig(t)
	if need := config.ShutdownDelay + server.ShutdownTimeout; grace < need+5*time.Second {
		t.Errorf("the pod is killed after %v, an orderly stop may take %v", grace, need)
	}
	if config.ShutdownDelay < 5*time.Second {
		t.Errorf("the port closes after %v, before all nodes know", config.ShutdownDelay)
	}
}

func TestKubernetes_everything_selects_the_servers_pods_alone(t *testing.T) {
	server, migrate := serverPod(t).Metadata.Labels, migratePod(t).Metadata.Labels
	d := manifest[deployment](t, "40-deployment.yaml")
	type withSelector struct{ Spec struct{ Selector selector } }
	selectors := map[string]labels{
		"Deployment":          d.Spec.Selector.MatchLabels,
		"Service public":      manifest[service](t, "50-service-public.yaml").Spec.Selector,
		"Service internal":    manifest[service](t, "51-service-internal.yaml").Spec.Selector,
		"PodDisruptionBudget": manifest[withSelector](t, "60-poddisruptionbudget.yaml").Spec.Selector.MatchLabels,
		"NetworkPolicy":       manifest[networkPolicy](t, "20-networkpolicy-server.yaml").Spec.PodSelector.MatchLabels,
	}
	for i, s := range d.Spec.Template.Spec.Spread {
		selectors["topologySpreadConstraints "+strconv.Itoa(i)] = s.LabelSelector.MatchLabels
	}
	for name, selector := range selectors {
		if !selector.selects(server) || selector.selects(migrate) {
			t.Errorf("%s selects %v", name, selector)
		}
	}
	policy := manifest[networkPolicy](t, "21-networkpolicy-migrate.yaml").Spec
	if !policy.PodSelector.MatchLabels.selects(migrate) || policy.PodSelector.MatchLabels.selects(server) {
		t.Error("the migration's NetworkPolicy selects others")
	}
}

func TestKubernetes_services_and_ingress_lead_to_the_right_port(t *testing.T) {
	public, internal := manifest[service](t, "50-service-public.yaml"), manifest[service](t, "51-service-internal.yaml")
	for want, s := range map[string]service{"public": public, "internal": internal} {
		if len(s.Spec.Ports) != 1 || s.Spec.Ports[0].TargetPort != want {
			t.Errorf("%s leads to %+v, want the port %s alone", s.Metadata.Name, s.Spec.Ports, want)
		}
	}
	type backend struct {
		Service struct {
			Name string
			Port struct{ Name string }
		}
	}
	type ingress struct {
		Spec struct {
			Rules []struct {
				HTTP struct{ Paths []struct{ Backend backend } }
			}
		}
	}
	for _, rule := range manifest[ingress](t, "examples/ingress.yaml").Spec.Rules {
		for _, path := range rule.HTTP.Paths {
			if s := path.Backend.Service; s.Name != public.Metadata.Name || s.Port.Name != public.Spec.Ports[0].Name {
				t.Errorf("the ingress leads to %+v", s)
			}
		}
	}
}

func TestKubernetes_network_policies_let_through_what_is_needed(t *testing.T) {
	ports := func(name string) (policyTypes, in, out []string) {
		spec := manifest[networkPolicy](t, name).Spec
		for _, rule := range spec.Ingress {
			for _, p := range rule.Ports {
				in = append(in, p.Port)
			}
		}
		for _, rule := range spec.Egress {
			for _, p := range rule.Ports {
				out = append(out, p.Port)
			}
		}
		return spec.PolicyTypes, in, out
	}
	for name, want := range map[string][2][]string{
		"20-networkpolicy-server.yaml":  {{"public", "internal"}, {"53", "53", "3306", "6379", "26379", "443"}},
		"21-networkpolicy-migrate.yaml": {nil, {"53", "53", "3306"}},
	} {
		policyTypes, in, out := ports(name)
		if !slices.Equal(policyTypes, []string{"Ingress", "Egress"}) {
			t.Errorf("%s refuses %v only", name, policyTypes)
		}
		if !slices.Equal(in, want[0]) || !slices.Equal(out, want[1]) {
			t.Errorf("%s: in %v, out %v, want %v", name, in, out, want)
		}
	}
}

func TestKubernetes_scales_within_what_MySQL_carries(t *testing.T) {
	type autoscaler struct {
		Spec struct {
			ScaleTargetRef struct{ Kind, Name string } `yaml:"scaleTargetRef"`
			MinReplicas    int                         `yaml:"minReplicas"`
			MaxReplicas    int                         `yaml:"maxReplicas"`
		}
	}
	a, d := manifest[autoscaler](t, "61-horizontalpodautoscaler.yaml").Spec, manifest[deployment](t, "40-deployment.yaml")
	if a.ScaleTargetRef.Kind != "Deployment" || a.ScaleTargetRef.Name != d.Metadata.Name || a.MinReplicas < 2 {
		t.Errorf("%+v", a)
	}
	if d.Spec.Replicas != nil {
		t.Error("each apply would undo what the HorizontalPodAutoscaler did")
	}
	if max := d.Spec.Strategy.RollingUpdate.MaxUnavailable; max == nil || *max != 0 {
		t.Error("an update takes pods away before others are ready")
	}
	connections := (a.MaxReplicas + d.Spec.Strategy.RollingUpdate.MaxSurge) * podConfig(t).MySQL.MaxOpenConns
	if !strings.Contains(read(t, "kubernetes/10-configmap.yaml"), "so "+strconv.Itoa(connections)+".") {
		t.Errorf("the comment does not tell that MySQL must take %d connections", connections)
	}
}

func TestKubernetes_pods_may_do_no_more_than_needed(t *testing.T) {
	_, user, _ := strings.Cut(read(t, "../Dockerfile"), "\nUSER ")
	user, _, _ = strings.Cut(user, "\n")
	for _, p := range []pod{serverPod(t), migratePod(t)} {
		s := p.Spec.SecurityContext
		if got := strconv.Itoa(s.RunAsUser) + ":" + strconv.Itoa(s.RunAsGroup); got != user || !s.RunAsNonRoot {
			t.Errorf("the pod's user is %s, the image's %s", got, user)
		}
		if s.SeccompProfile.Type != "RuntimeDefault" {
			t.Errorf("system calls: %q", s.SeccompProfile.Type)
		}
		c := p.Spec.Containers[0].SecurityContext
		drops := c.Capabilities.Drop
		if !isNot(c.AllowPrivilegeEscalation) || !c.ReadOnlyRootFilesystem || !slices.Equal(drops, []string{"ALL"}) {
			t.Errorf("%+v", c)
		}
		if !isNot(p.Spec.ServiceAccountToken) {
			t.Error("the pod has a token for Kubernetes' API")
		}
	}
}

// isNot tells whether something is set to false, where not being set means true.
func isNot(set *bool) bool { return set != nil && !*set }

func TestKubernetes_pods_read_the_secret_that_the_example_makes(t *testing.T) {
	name := manifest[settings](t, "examples/secret.yaml").Metadata.Name
	for _, p := range []pod{serverPod(t), migratePod(t)} {
		secret, s := p.Spec.Volumes[0].Secret, p.Spec.SecurityContext
		if secret.SecretName != name {
			t.Errorf("they read %s, the example is of %s", secret.SecretName, name)
		}
		if s.FSGroup != s.RunAsGroup || secret.DefaultMode != 0o440 {
			t.Errorf("it is of mode %o and group %d", secret.DefaultMode, s.FSGroup)
		}
	}
}

// bytesOf reads a size such as 512Mi, 460MiB or 512M (as systemd has it: of 1024 too).
func bytesOf(t *testing.T, size string) int {
	t.Helper()
	m := regexp.MustCompile(`^(\d+)(M|Mi|MiB|G|Gi|GiB)$`).FindStringSubmatch(size)
	if m == nil {
		t.Fatalf("%q is no size", size)
	}
	n, _ := strconv.Atoi(m[1])
	return n << map[byte]int{'M': 20, 'G': 30}[m[2][0]]
}

// Within the limit, but not so far that garbage is collected for nothing.
func checkMemory(t *testing.T, goLimit, limit string) {
	t.Helper()
	if soft, hard := bytesOf(t, goLimit), bytesOf(t, limit); soft > hard*95/100 || soft < hard*3/4 {
		t.Errorf("GOMEMLIMIT is %s, the limit %s", goLimit, limit)
	}
}

func TestKubernetes_memory_and_CPU_are_bounded(t *testing.T) {
	for _, p := range []pod{serverPod(t), migratePod(t)} {
		resources := p.Spec.Containers[0].Resources
		for _, list := range []map[string]string{resources.Requests, resources.Limits} {
			if list["cpu"] == "" || list["memory"] == "" {
				t.Errorf("%s: %v", p.Spec.Containers[0].Name, list)
			}
		}
	}
	c := serverPod(t).Spec.Containers[0]
	for _, v := range c.Env {
		if v.Name == "GOMEMLIMIT" {
			checkMemory(t, v.Value, c.Resources.Limits["memory"])
			return
		}
	}
	t.Error("GOMEMLIMIT is not set")
}

func TestKubernetes_migration_is_a_command_that_is_not_repeated_in_vain(t *testing.T) {
	j, mainFile := manifest[job](t, "30-migrate.yaml"), read(t, "../cmd/wxlogin/main.go")
	c := j.Spec.Template.Spec.Containers[0]
	if len(c.Args) != 1 || !strings.Contains(mainFile, `"`+c.Args[0]+`": `) {
		t.Errorf("there is no command %q", c.Args)
	}
	rules := j.Spec.PodFailurePolicy.Rules
	if len(rules) != 1 || rules[0].Action != "FailJob" || rules[0].OnExitCodes.ContainerName != c.Name {
		t.Fatalf("%+v", rules)
	}
	if codes := rules[0].OnExitCodes.Values; !slices.Equal(codes, []int{exitUsage(t)}) {
		t.Errorf("it fails for good with %v", codes)
	}
}

// exitUsage is the server's exit code of a wrong configuration.
func exitUsage(t *testing.T) int {
	t.Helper()
	m := regexp.MustCompile(`\bexitUsage += (\d+)\n`).FindStringSubmatch(read(t, "../cmd/wxlogin/main.go"))
	if m == nil {
		t.Fatal("no exitUsage")
	}
	code, _ := strconv.Atoi(m[1])
	return code
}

func TestKubernetes_kustomization_has_all_and_one_image(t *testing.T) {
	type kustomization struct {
		Namespace string
		Images    []struct{ Name, NewTag string }
		Resources []string
	}
	k := manifest[kustomization](t, "Kustomization")
	files, err := filepath.Glob("kubernetes/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for i := range files {
		files[i] = filepath.Base(files[i])
	}
	if !slices.Equal(k.Resources, files) {
		t.Errorf("it has %q, want %q", k.Resources, files)
	}
	image := serverPod(t).Spec.Containers[0].Image
	name, tag, _ := strings.Cut(image, ":")
	if tag == "" || tag == "latest" || len(k.Images) != 1 || k.Images[0].Name != name {
		t.Errorf("the image %s is not the Kustomization's %+v", image, k.Images)
	}
	if migrate := migratePod(t).Spec.Containers[0].Image; migrate != image {
		t.Errorf("the migration is of %s, the server of %s", migrate, image)
	}
	if got := manifest[settings](t, "00-namespace.yaml").Metadata.Name; got != k.Namespace {
		t.Errorf("the namespace is %s, the Kustomization's %s", got, k.Namespace)
	}
	for _, name := range append(files[1:], "examples/secret.yaml", "examples/ingress.yaml") {
		if got := manifest[settings](t, name).Metadata.Namespace; got != k.Namespace {
			t.Errorf("%s is in the namespace %q", name, got)
		}
	}
}
