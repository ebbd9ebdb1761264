// Package deploy_test checks the files of this folder, docker-compose.yml and the Dockerfile against the server and against
// one another. What their own tools judge (promtool, kubectl-validate, systemd-analyze, the library of docker compose) is
// left to .ci/run.
package deploy_test

import (
	"go/version"
	"maps"
	"os"
	"path/filepath"
	"reflect"
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

func read(t *testing.T, name string) string {
	t.Helper()
	content, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

func decode(t *testing.T, file string, into any) {
	t.Helper()
	if err := yaml.Unmarshal([]byte(read(t, file)), into); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
}

// secrets returns values for all secrets that an operator fills in.
func secrets() map[string]string {
	return map[string]string{
		"WECHAT_SECRET":        "0123456789abcdef0123456789abcdef",
		"MYSQL_DSN":            "wxlogin:password@tcp(mysql.example.com:3306)/wxlogin",
		"REDIS_URL":            "redis://wxlogin:password@redis.example.com:6379/0",
		"INTERNAL_API_KEY":     strings.Repeat("0123456789abcdef", 4),
		"AVATAR_S3_SECRET_KEY": "0123456789abcdef",
		"WECHAT_PUSH":          "wx0123456789abcdef:Token:" + strings.Repeat("0123456789abcdef", 3)[:43],
	}
}

// optionalSecrets are those of features that are off unless they are uncommented.
var optionalSecrets = []string{"AVATAR_S3_SECRET_KEY", "WECHAT_PUSH"}

// wantSecrets checks that the four required secrets have reached the server.
func wantSecrets(t *testing.T, c config.Config) {
	t.Helper()
	want := secrets()
	for _, name := range optionalSecrets {
		delete(want, name)
	}
	got := map[string]string{
		"WECHAT_SECRET": c.App.Secret, "MYSQL_DSN": c.MySQLDSN, "REDIS_URL": c.RedisURL, "INTERNAL_API_KEY": c.InternalAPIKey,
	}
	if !maps.Equal(got, want) {
		t.Error("not all secrets reach the server")
	}
}

// secretFolder writes each secret into a file of its name.
func secretFolder(t *testing.T, secrets map[string]string) string {
	t.Helper()
	folder := t.TempDir()
	for name, value := range secrets {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(value), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return folder
}

// variables returns the environment variables that a configuration reads.
func variables(config reflect.Type) (names []string) {
	for f := range config.Fields() {
		if name, _, _ := strings.Cut(f.Tag.Get("env"), ","); name != "" {
			names = append(names, name)
		} else if f.Type.Kind() == reflect.Struct {
			names = append(names, variables(f.Type)...)
		}
	}
	return names
}

// libraries matches variables of Go and OpenTelemetry.
var libraries = regexp.MustCompile(`^(GOMEMLIMIT|GOTRACEBACK|OTEL_[A-Z_]+)$`)

// wantKnownVariables checks that no name is misspelt: the server would ignore it.
func wantKnownVariables(t *testing.T, environ []string) {
	t.Helper()
	known := variables(reflect.TypeFor[config.Config]())
	for _, entry := range environ {
		name, _, _ := strings.Cut(entry, "=")
		isKnown := slices.Contains(known, name) || libraries.MatchString(name) ||
			slices.Contains(known, strings.TrimSuffix(name, "_FILE")) && len(config.UnknownVariables([]string{entry})) == 0
		if !isKnown {
			t.Errorf("%s is not a variable of the server", name)
		}
	}
}

// wantMemory checks that GOMEMLIMIT is below a limit, but not so far below that garbage is collected for nothing.
func wantMemory(t *testing.T, environ []string, limit string) {
	t.Helper()
	bytes := func(size string) int {
		m := regexp.MustCompile(`^(\d+)M(i|iB)?$`).FindStringSubmatch(size) // systemd's M is MiB
		if m == nil {
			t.Fatalf("%q is not a size", size)
		}
		n, _ := strconv.Atoi(m[1])
		return n
	}
	i := slices.IndexFunc(environ, func(entry string) bool { return strings.HasPrefix(entry, "GOMEMLIMIT=") })
	if i < 0 {
		t.Fatal("GOMEMLIMIT is not set")
	}
	soft := strings.TrimPrefix(environ[i], "GOMEMLIMIT=")
	if bytes(soft) > bytes(limit)*95/100 || bytes(soft) < bytes(limit)*3/4 {
		t.Errorf("GOMEMLIMIT is %s, the limit %s", soft, limit)
	}
}

// service is a service of docker-compose.yml.
type service struct {
	Build           any
	Image, Restart  string
	Profiles        []string
	Environment     map[string]string
	Ports, Volumes  []string
	ReadOnly        bool     `yaml:"read_only"`
	CapDrop         []string `yaml:"cap_drop"`
	SecurityOptions []string `yaml:"security_opt"`
	Healthcheck     struct{ Test []string }
}

func services(t *testing.T) map[string]service {
	t.Helper()
	var file struct{ Services map[string]service }
	decode(t, "../docker-compose.yml", &file)
	return file.Services
}

// environ returns the environment on a machine that sets no variables: with the defaults.
func (s service) environ() (environ []string) {
	for name, value := range s.Environment {
		environ = append(environ, name+"="+os.Expand(value, func(reference string) string {
			_, byDefault, _ := strings.Cut(reference, ":-")
			return byDefault
		}))
	}
	return environ
}

func TestCompose_ConfiguresTheServer(t *testing.T) {
	all := services(t)
	c, err := config.Load(all["wxlogin"].environ())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := config.LoadMigrate(all["migrate"].environ()); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"wxlogin", "migrate", "wxsim"} {
		wantKnownVariables(t, all[name].environ())
	}
	if c.InternalAddr != "0.0.0.0:9090" || !strings.Contains(c.InternalAPIKey, "laptop") {
		t.Errorf("the internal port is published; it listens on %s, and its key must say that it is for laptops", c.InternalAddr)
	}
	for _, name := range []string{"WECHAT_APPID", "WECHAT_SECRET"} {
		if value := all["wxlogin"].Environment[name]; value == "" || value != all["wxsim"].Environment[name] {
			t.Errorf("the server and the simulator differ in %s", name)
		}
	}
	if !slices.Contains(all["wxlogin"].Volumes, "avatars:"+c.Avatars.Dir) {
		t.Errorf("AVATAR_DIR is %q, the volumes are %q", c.Avatars.Dir, all["wxlogin"].Volumes)
	}
}

func TestCompose_ServicesAreBounded(t *testing.T) {
	databases := []string{"mysql", "redis"} // their entrypoints begin as root and write outside volumes
	release := regexp.MustCompile(`^[\w/]+:v?\d+(\.\d+)*(-\w+)?$`)
	profiles := map[string][]string{"prometheus": {"observability"}, "grafana": {"observability"}, "adminer": {"admin"}}
	for name, s := range services(t) {
		if s.Build == nil && !release.MatchString(s.Image) || s.Profiles != nil && strings.Count(s.Image, ".") != 2 {
			t.Errorf("%s: the image %s is not of one release", name, s.Image)
		}
		if once := s.Restart == "no"; once == (len(s.Healthcheck.Test) > 0) {
			t.Errorf("%s: a service has a health check, a task that runs once has none", name)
		}
		if !slices.Equal(s.Profiles, profiles[name]) {
			t.Errorf("%s has the profiles %q, want %q", name, s.Profiles, profiles[name])
		}
		for _, p := range s.Ports {
			if !strings.HasPrefix(p, "127.0.0.1:") {
				t.Errorf("%s publishes %s beyond this machine", name, p)
			}
		}
		for _, v := range s.Volumes {
			if strings.HasPrefix(v, "./") && !strings.HasSuffix(v, ":ro") {
				t.Errorf("%s may write to %s", name, v)
			}
		}
		hardened := s.ReadOnly && slices.Equal(s.CapDrop, []string{"ALL"}) &&
			slices.Equal(s.SecurityOptions, []string{"no-new-privileges:true"})
		if !hardened && !slices.Contains(databases, name) && s.Restart != "no" {
			t.Errorf("%s may do more than it needs to", name)
		}
	}
}

// Each service finds what another one, or a file, has for it.
func TestCompose_ServicesFindOneAnother(t *testing.T) {
	all := services(t)
	for name, volumes := range map[string][]string{
		"prometheus": {"./deploy/prometheus:/etc/prometheus:ro"},
		"grafana": {"./deploy/grafana/provisioning:/etc/grafana/provisioning:ro",
			"./deploy/grafana/dashboards:/etc/grafana/dashboards:ro"},
		"mysql": {"./schema.sql:/docker-entrypoint-initdb.d/10-schema.sql:ro", // run in the order of their names
			"./deploy/mysql/20-admin-account.sh:/docker-entrypoint-initdb.d/20-admin-account.sh:ro"},
	} {
		if got := all[name].Volumes; len(got) == 0 || !slices.Equal(got[1:], volumes) {
			t.Errorf("%s has %q, want its own and %q", name, got, volumes)
		}
	}
	for _, want := range []struct{ service, variable, value string }{
		{"adminer", "ADMINER_DEFAULT_SERVER", "mysql"},
		{"grafana", "GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH", "/etc/grafana/dashboards/wxlogin.json"},
		{"grafana", "GF_AUTH_ANONYMOUS_ENABLED", "true"},
		{"grafana", "GF_AUTH_ANONYMOUS_ORG_ROLE", "Viewer"},
		{"grafana", "GF_SECURITY_ADMIN_PASSWORD", "${GRAFANA_PASSWORD:-grafana}"},
	} {
		if got := all[want.service].Environment[want.variable]; got != want.value {
			t.Errorf("%s: %s is %q, want %q", want.service, want.variable, got, want.value)
		}
	}
	info, err := os.Stat("mysql/20-admin-account.sh")
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode()&0o111 != 0 {
		t.Error("20-admin-account.sh is executable: the entrypoint would not source it")
	}
}

func TestDockerfile(t *testing.T) {
	file := read(t, "../Dockerfile")
	for _, want := range []string{
		"\nFROM scratch AS base\n", "\nUSER 65532:65532\n", "\nFROM base AS wxsim\n", "\nFROM base AS wxlogin\n", "\nEXPOSE 8080 9090\n",
		`CMD ["/wxlogin", "healthcheck"]`, "--chown=65532:65532 /out/avatars /avatars\n", // docker-compose.yml mounts a volume there
	} {
		if !strings.Contains(file, want) {
			t.Errorf("no %q", want)
		}
	}
	image := regexp.MustCompile(`golang:(\d+\.\d+\.\d+) AS build`).FindStringSubmatch(file)
	module := regexp.MustCompile(`(?m)^go (\S+)$`).FindStringSubmatch(read(t, "../go.mod"))
	if image == nil || module == nil || version.Compare("go"+image[1], "go"+module[1]) < 0 {
		t.Errorf("the image has Go %q, want one patch release, go.mod's %q or newer", image, module)
	}
}

// unit returns what each key of [Service] in a unit file is set to, in order.
func unit(t *testing.T, name string) map[string][]string {
	t.Helper()
	_, text, _ := strings.Cut(read(t, "systemd/"+name), "\n[Service]\n")
	text, _, _ = strings.Cut(text, "\n[")
	keys := make(map[string][]string)
	for line := range strings.Lines(text) {
		if key, value, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "="); ok && !strings.HasPrefix(line, "#") {
			keys[key] = append(keys[key], value)
		}
	}
	return keys
}

// unitEnviron returns the environment that systemd gives a unit, with the settings of an EnvironmentFile.
func unitEnviron(t *testing.T, unit map[string][]string, settings []string) []string {
	t.Helper()
	credentials := make(map[string]string)
	for _, c := range unit["LoadCredential"] {
		name, file, _ := strings.Cut(c, ":")
		credentials[name] = secrets()[filepath.Base(file)]
	}
	folder := secretFolder(t, credentials)
	var env []string
	for _, entry := range unit["Environment"] {
		env = append(env, strings.Replace(entry, "=%d/", "="+folder+"/", 1))
	}
	return append(env, settings...)
}

func TestSystemd_ConfiguresTheServer(t *testing.T) {
	serving := unit(t, "wxlogin.service")
	text := read(t, "systemd/wxlogin.env")
	for _, uncommented := range []bool{false, true} {
		if uncommented {
			text = regexp.MustCompile(`(?m)^# ([A-Z0-9_]+=)`).ReplaceAllString(text, "$1")
		}
		env := unitEnviron(t, serving, regexp.MustCompile(`(?m)^[A-Z0-9_]+=.*$`).FindAllString(text, -1))
		c, err := config.Load(env)
		if err != nil {
			t.Fatal(err)
		}
		wantSecrets(t, c)
		wantKnownVariables(t, env)
		if state := "/var/lib/" + serving["StateDirectory"][0] + "/"; uncommented != strings.HasPrefix(c.Avatars.Dir, state) {
			t.Errorf("AVATAR_DIR is %q, the server may write to %s only", c.Avatars.Dir, state)
		}
		wantMemory(t, env, serving["MemoryMax"][0])
	}
	env := unitEnviron(t, unit(t, "wxlogin-migrate.service"), nil)
	wantKnownVariables(t, env)
	if _, err := config.LoadMigrate(env); err != nil {
		t.Error(err)
	}
}

func TestSystemd_ValuesFit(t *testing.T) {
	serving, migrate := unit(t, "wxlogin.service"), unit(t, "wxlogin-migrate.service")
	for _, want := range []struct {
		unit       map[string][]string
		key, value string
	}{
		{serving, "ExecStart", "/usr/local/bin/wxlogin"}, {migrate, "ExecStart", "/usr/local/bin/wxlogin migrate"},
		{serving, "Restart", "on-failure"}, {serving, "RestartPreventExitStatus", "2"}, // 2: a wrong configuration
		{serving, "LimitCORE", "0"}, {migrate, "LimitCORE", "0"},
		{migrate, "TimeoutStartSec", "65min"}, // the command gives up after an hour
		{serving, "DynamicUser", "yes"}, {migrate, "DynamicUser", "yes"},
	} {
		if got := want.unit[want.key]; !slices.Equal(got, []string{want.value}) {
			t.Errorf("%s=%q, want %q", want.key, got, want.value)
		}
	}
	if !slices.Contains(serving["Environment"], "GOTRACEBACK=crash") {
		t.Error("a panic ends the server for good: Go's exit code is 2, unless it is to crash")
	}
	stop, err := time.ParseDuration(serving["TimeoutStopSec"][0])
	if err != nil {
		t.Fatal(err)
	}
	// The server refuses a SHUTDOWN_DELAY with which a stop could take longer than systemd waits.
	tooLong := stop - server.ShutdownTimeout - 5*time.Second
	_, err = config.Load(append(services(t)["wxlogin"].environ(), "SHUTDOWN_DELAY="+tooLong.String()))
	if err == nil || !strings.Contains(err.Error(), "SHUTDOWN_DELAY") {
		t.Errorf("SHUTDOWN_DELAY=%v is allowed, but the server is killed after %v", tooLong, stop)
	}
}
