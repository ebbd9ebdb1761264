package deploy_test

import (
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"wxlogin/internal/config"
	"wxlogin/internal/server"
)

// unit is a section of a unit file: what each key is set to, in order.
type unit map[string][]string

// serviceSection reads [Service] of a unit file.
func serviceSection(t *testing.T, name string) unit {
	t.Helper()
	_, text, found := strings.Cut(read(t, "systemd/"+name), "\n[Service]\n")
	if !found {
		t.Fatalf("%s is no service", name)
	}
	text, _, _ = strings.Cut(text, "\n[")
	u := make(unit)
	for line := range strings.Lines(text) {
		if key, value, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "="); ok && !strings.HasPrefix(line, "#") {
			u[key] = append(u[key], value)
		}
	}
	return u
}

// one is the value of a key that is set once.
func (u unit) one(t *testing.T, key string) string {
	t.Helper()
	if len(u[key]) != 1 {
		t.Fatalf("%s is set to %q", key, u[key])
	}
	return u[key][0]
}

// environ is the environment that systemd gives, with files of the credentials below a folder of this test. The settings
// are those of an EnvironmentFile.
func (u unit) environ(t *testing.T, settings []string) []string {
	t.Helper()
	folder := t.TempDir()
	secrets := filledIn(t)
	for _, credential := range u["LoadCredential"] {
		name, file, _ := strings.Cut(credential, ":")
		if secrets[filepath.Base(file)] == "" {
			t.Errorf("%s is from %s, which nobody is told to make", name, file)
		}
		writeFile(t, filepath.Join(folder, name), secrets[filepath.Base(file)])
	}
	var env []string
	for _, entry := range u["Environment"] {
		env = append(env, strings.Replace(entry, "=%d/", "="+folder+"/", 1))
	}
	return append(env, settings...)
}

// envFile reads the example of an EnvironmentFile, or all that its comments offer as well.
func envFile(t *testing.T, optional bool) []string {
	t.Helper()
	text := read(t, "systemd/wxlogin.env")
	if optional {
		text = regexp.MustCompile(`(?m)^# ([A-Z0-9_]+=)`).ReplaceAllString(text, "$1")
	}
	return regexp.MustCompile(`(?m)^[A-Z0-9_]+=.*$`).FindAllString(text, -1)
}

func TestSystemd_settings_configure_the_server(t *testing.T) {
	u := serviceSection(t, "wxlogin.service")
	for _, optional := range []bool{false, true} {
		c, err := config.Load(u.environ(t, envFile(t, optional)))
		if err != nil {
			t.Fatal(err)
		}
		secrets := filledIn(t)
		if c.App.Secret != secrets["WECHAT_SECRET"] || c.MySQLDSN != secrets["MYSQL_DSN"] ||
			c.RedisURL != secrets["REDIS_URL"] || c.InternalAPIKey != secrets["INTERNAL_API_KEY"] {
			t.Error("not all credentials reach the server")
		}
		state := "/var/lib/" + u.one(t, "StateDirectory")
		if optional != strings.HasPrefix(c.Avatars.Dir, state+"/") {
			t.Errorf("AVATAR_DIR is %q, the server may write to %s alone", c.Avatars.Dir, state)
		}
	}
	if _, err := config.LoadMigrate(serviceSection(t, "wxlogin-migrate.service").environ(t, nil)); err != nil {
		t.Error(err)
	}
}

func TestSystemd_names_only_variables_that_the_server_knows(t *testing.T) {
	known := knownVariables(t)
	for _, name := range []string{"wxlogin.service", "wxlogin-migrate.service"} {
		for _, entry := range serviceSection(t, name).environ(t, envFile(t, true)) {
			if name, _, _ := strings.Cut(entry, "="); !known(name) {
				t.Errorf("%s is none of the server's", name)
			}
		}
	}
}

// span reads a time span of one unit.
func span(t *testing.T, s string) time.Duration {
	t.Helper()
	d, err := time.ParseDuration(strings.Replace(s, "min", "m", 1))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestSystemd_gives_time_to_stop_and_to_migrate(t *testing.T) {
	serving := serviceSection(t, "wxlogin.service")
	longest := duration(t, "../internal/config/validate.go", "maxShutdownDelay")
	if stop := span(t, serving.one(t, "TimeoutStopSec")); stop < longest+server.ShutdownTimeout+5*time.Second {
		t.Errorf("it is killed after %v, an orderly stop may take %v", stop, longest+server.ShutdownTimeout)
	}
	migrate := serviceSection(t, "wxlogin-migrate.service")
	bound := duration(t, "../cmd/wxlogin/operate.go", "migrateTimeout")
	if start := span(t, migrate.one(t, "TimeoutStartSec")); start <= bound {
		t.Errorf("the migration is killed after %v, its own bound is %v", start, bound)
	}
}

// A wrong configuration is not tried again; a panic is, although Go's exit code is the same unless it is told to abort.
func TestSystemd_restarts_what_crashed_but_not_what_is_misconfigured(t *testing.T) {
	u := serviceSection(t, "wxlogin.service")
	if u.one(t, "Restart") != "on-failure" || u.one(t, "RestartPreventExitStatus") != strconv.Itoa(exitUsage(t)) {
		t.Errorf("Restart=%s, not with %s", u["Restart"], u["RestartPreventExitStatus"])
	}
	if !slices.Contains(u["Environment"], "GOTRACEBACK=crash") || u.one(t, "LimitCORE") != "0" {
		t.Error("a panic ends the server for good, or leaves its secrets in a core file")
	}
}

func TestSystemd_memory_is_bounded(t *testing.T) {
	u := serviceSection(t, "wxlogin.service")
	for _, entry := range u["Environment"] {
		if value, ok := strings.CutPrefix(entry, "GOMEMLIMIT="); ok {
			checkMemory(t, value, u.one(t, "MemoryMax"))
			return
		}
	}
	t.Error("GOMEMLIMIT is not set")
}

func TestSystemd_units_are_hardened_alike(t *testing.T) {
	hardening := func(name string) string {
		_, text, found := strings.Cut(read(t, "systemd/"+name), "\nNoNewPrivileges=yes\n")
		if !found {
			t.Fatalf("%s is not hardened", name)
		}
		text, _, _ = strings.Cut(text, "\n[")
		return strings.TrimSpace(text)
	}
	if server, migrate := hardening("wxlogin.service"), hardening("wxlogin-migrate.service"); server != migrate {
		t.Errorf("the server:\n%s\n\nthe migration:\n%s", server, migrate)
	}
	for _, name := range []string{"wxlogin.service", "wxlogin-migrate.service"} {
		if u := serviceSection(t, name); u.one(t, "DynamicUser") != "yes" || u.one(t, "CapabilityBoundingSet") != "" {
			t.Errorf("%s runs as a user with rights", name)
		}
	}
}

func TestSystemd_units_run_commands_that_there_are(t *testing.T) {
	const binary = "/usr/local/bin/wxlogin"
	if got := serviceSection(t, "wxlogin.service").one(t, "ExecStart"); got != binary {
		t.Errorf("the server is %q", got)
	}
	got := serviceSection(t, "wxlogin-migrate.service").one(t, "ExecStart")
	command, ok := strings.CutPrefix(got, binary+" ")
	if !ok || !strings.Contains(read(t, "../cmd/wxlogin/main.go"), `"`+command+`": `) {
		t.Errorf("the migration is %q", got)
	}
}
