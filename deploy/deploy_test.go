// Package deploy_test holds docker-compose.yml, the Dockerfile and the server to one another.
package deploy_test

import (
	"go/version"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"wxlogin/internal/config"
)

// services reads docker-compose.yml by its layout: a service's name is indented by two spaces, what belongs to it by
// more. Its lines come without comments.
func services(t *testing.T) map[string][]string {
	t.Helper()
	_, text, found := strings.Cut(read(t, "../docker-compose.yml"), "\nservices:\n")
	if !found {
		t.Fatal("docker-compose.yml has no services")
	}
	text, _, _ = strings.Cut(text, "\nvolumes:\n")
	comment, name := regexp.MustCompile(`(^|\s)#.*`), regexp.MustCompile(`^  (\w+):$`)
	all, current := make(map[string][]string), ""
	for line := range strings.Lines(text) {
		line = strings.TrimRight(comment.ReplaceAllString(line, ""), " \n")
		if m := name.FindStringSubmatch(line); m != nil {
			current = m[1]
		} else if line != "" {
			all[current] = append(all[current], line)
		}
	}
	return all
}

// section returns the lines under a key of a service, without their indentation and dash.
func section(lines []string, key string) []string {
	var under []string
	inside := false
	for _, line := range lines {
		text := strings.TrimSpace(line)
		if !strings.HasPrefix(line, "      ") {
			inside = text == key+":"
		} else if inside {
			under = append(under, strings.TrimPrefix(text, "- "))
		}
	}
	return under
}

// environ is a service's environment as it is on a machine that sets nothing: with the defaults.
func environ(lines []string) []string {
	reference := regexp.MustCompile(`\$\{\w+:-([^}]*)\}`)
	var env []string
	for _, entry := range section(lines, "environment") {
		name, value, _ := strings.Cut(reference.ReplaceAllString(entry, "$1"), ": ")
		env = append(env, name+"="+value)
	}
	return env
}

// profiles are what has to be asked for to have a service; none: it always runs.
func profiles(lines []string) []string {
	for _, line := range lines {
		if list, found := strings.CutPrefix(line, "    profiles: ["); found {
			return strings.Split(strings.TrimSuffix(list, "]"), ", ")
		}
	}
	return nil
}

func read(t *testing.T, name string) string {
	t.Helper()
	content, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

func TestCompose_defaults_configure_the_server(t *testing.T) {
	all := services(t)
	c, err := config.Load(environ(all["wxlogin"]))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := config.LoadMigrate(environ(all["migrate"])); err != nil {
		t.Fatal(err)
	}
	if c.InternalAddr != "0.0.0.0:9090" {
		t.Error("the internal port is published, but answers inside the container only")
	}
	for _, name := range []string{"WECHAT_APPID=", "WECHAT_SECRET="} {
		same := func(entry string) bool { return strings.HasPrefix(entry, name) }
		server, simulator := environ(all["wxlogin"]), environ(all["wxsim"])
		if i, j := slices.IndexFunc(server, same), slices.IndexFunc(simulator, same); i < 0 || j < 0 || server[i] != simulator[j] {
			t.Errorf("the server and the simulator differ in %s", name)
		}
	}
}

// A misspelt name would be ignored in silence.
func TestCompose_names_only_variables_that_the_server_knows(t *testing.T) {
	known := regexp.MustCompile(`env:"(\w+)`).FindAllStringSubmatch(read(t, "../internal/config/config.go"), -1)
	all := services(t)
	for _, entry := range slices.Concat(environ(all["wxlogin"]), environ(all["migrate"]), environ(all["wxsim"])) {
		name, _, _ := strings.Cut(entry, "=")
		if !slices.ContainsFunc(known, func(m []string) bool { return m[1] == name }) {
			t.Errorf("%s is none of the server's", name)
		}
	}
}

func TestCompose_publishes_on_loopback_only(t *testing.T) {
	want := map[string][]string{
		"wxlogin": {"127.0.0.1:8080:8080", "127.0.0.1:9090:9090"},
		"wxsim":   {"127.0.0.1:8089:8089"},
		"mysql":   {"127.0.0.1:3306:3306"},
		"redis":   {"127.0.0.1:6379:6379"},

		"prometheus": {"127.0.0.1:9091:9090"},
		"grafana":    {"127.0.0.1:3000:3000"},
		"adminer":    {"127.0.0.1:8081:8080"},
	}
	for name, lines := range services(t) {
		if got := section(lines, "ports"); !slices.Equal(got, want[name]) {
			t.Errorf("%s publishes %q, want %q", name, got, want[name])
		}
	}
}

func TestCompose_pins_images_and_checks_health(t *testing.T) {
	for name, lines := range services(t) {
		has := func(pattern string) bool {
			return slices.ContainsFunc(lines, regexp.MustCompile(pattern).MatchString)
		}
		if !has(`^    build:`) && !has(`^    image: [\w/]+:v?\d`) {
			t.Errorf("%s is neither built here nor of a version", name)
		}
		if profiles(lines) != nil && !has(`^    image: [\w/]+:v?\d+\.\d+\.\d+(-\w+)?$`) {
			t.Errorf("%s is not of one release", name)
		}
		if once := has(`^    restart: "no"$`); once == has(`\btest: \[CMD`) {
			t.Errorf("%s: a service has a health check, what runs once has none", name)
		}
	}
}

// Who wants to try the server gets no more than before; the rest comes when it is asked for.
func TestCompose_starts_only_what_is_asked_for(t *testing.T) {
	want := map[string][]string{
		"wxlogin": nil, "migrate": nil, "wxsim": nil, "mysql": nil, "redis": nil,
		"prometheus": {"observability"}, "grafana": {"observability"}, "adminer": {"admin"},
	}
	got := make(map[string][]string)
	for name, lines := range services(t) {
		got[name] = profiles(lines)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("profiles %v, want %v", got, want)
	}
	first := regexp.MustCompile(`docker compose --profile (\w+) up`).FindAllStringSubmatch(read(t, "../docker-compose.yml"), -1)
	if len(first) != 2 || first[0][1] != "observability" || first[1][1] != "admin" {
		t.Errorf("the head of the file tells of %v", first)
	}
}

// The databases' entrypoints begin as root and write where they like; nothing else has to.
func TestCompose_services_may_do_no_more_than_needed(t *testing.T) {
	for name, lines := range services(t) {
		if name == "mysql" || name == "redis" || name == "migrate" {
			continue
		}
		for _, line := range []string{"    read_only: true", "    cap_drop: [ALL]", `    security_opt: ["no-new-privileges:true"]`} {
			if !slices.Contains(lines, line) {
				t.Errorf("%s has no %s", name, strings.TrimSpace(line))
			}
		}
		for _, volume := range section(lines, "volumes") {
			if strings.HasPrefix(volume, "./") && !strings.HasSuffix(volume, ":ro") {
				t.Errorf("%s may write to %s", name, volume)
			}
		}
	}
}

// A volume that a service names, and nothing else, is at the end of the file.
func TestCompose_declares_the_volumes_that_are_used(t *testing.T) {
	_, text, _ := strings.Cut(read(t, "../docker-compose.yml"), "\nvolumes:\n")
	declared := strings.Fields(strings.ReplaceAll(text, ":", ""))
	var used []string
	for _, lines := range services(t) {
		for _, volume := range section(lines, "volumes") {
			if name, _, _ := strings.Cut(volume, ":"); !strings.HasPrefix(name, ".") {
				used = append(used, name)
			}
		}
	}
	slices.Sort(used)
	if !slices.Equal(used, declared) {
		t.Errorf("declared %q, used %q", declared, used)
	}
}

// The internal port is published, so that the key must be one; it is not to be taken for a secret.
func TestCompose_internal_key_is_for_laptops(t *testing.T) {
	c, err := config.Load(environ(services(t)["wxlogin"]))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(c.InternalAPIKey, "laptop") {
		t.Error("the key's default does not say what it is for")
	}
}

// Adminer finds the database under its service's name.
func TestCompose_adminer_asks_the_database(t *testing.T) {
	all := services(t)
	if got := environ(all["adminer"]); !slices.Equal(got, []string{"ADMINER_DEFAULT_SERVER=mysql"}) || all["mysql"] == nil {
		t.Errorf("adminer's environment is %q", got)
	}
}

// Nobody but who has the password changes anything in Grafana.
func TestCompose_grafana_shows_everybody_and_obeys_one(t *testing.T) {
	env := environ(services(t)["grafana"])
	for _, entry := range []string{
		`GF_AUTH_ANONYMOUS_ENABLED="true"`, "GF_AUTH_ANONYMOUS_ORG_ROLE=Viewer", "GF_SECURITY_ADMIN_PASSWORD=grafana",
	} {
		if !slices.Contains(env, entry) {
			t.Errorf("no %s", entry)
		}
	}
}

// The entrypoint runs the files in the order of their names; the account's grants are made when the tables are there.
func TestCompose_mounts_the_schema_and_the_account(t *testing.T) {
	volumes := section(services(t)["mysql"], "volumes")
	want := []string{
		"mysql:/var/lib/mysql",
		"./schema.sql:/docker-entrypoint-initdb.d/10-schema.sql:ro",
		"./deploy/mysql/20-admin-account.sh:/docker-entrypoint-initdb.d/20-admin-account.sh:ro",
	}
	if !slices.Equal(volumes, want) {
		t.Errorf("got %q", volumes)
	}
	info, err := os.Stat("mysql/20-admin-account.sh")
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode()&0o111 != 0 {
		t.Error("20-admin-account.sh is executable: the entrypoint would not source it")
	}
}

func TestDockerfile_is_small_and_unprivileged(t *testing.T) {
	stages := regexp.MustCompile(`(?m)^FROM .*$`).FindAllString(read(t, "../Dockerfile"), -1)
	want := []string{
		"FROM --platform=$BUILDPLATFORM golang:1.27.4 AS build",
		"FROM scratch AS base", "FROM base AS wxsim", "FROM base AS wxlogin",
	}
	if !slices.Equal(stages, want) {
		t.Errorf("stages %q", stages)
	}
	for _, line := range []string{"USER 65532:65532", `CMD ["/wxlogin", "healthcheck"]`, "EXPOSE 8080 9090"} {
		if !strings.Contains(read(t, "../Dockerfile"), line) {
			t.Errorf("no %s", line)
		}
	}
}

func TestDockerfile_Go(t *testing.T) {
	tag := regexp.MustCompile(`golang:(\S+) AS build`).FindStringSubmatch(read(t, "../Dockerfile"))
	module := regexp.MustCompile(`(?m)^go (\S+)$`).FindStringSubmatch(read(t, "../go.mod"))
	if tag == nil || module == nil {
		t.Fatalf("the image has Go %q, go.mod %q", tag, module)
	}
	t.Run("is a release that can build this module", func(t *testing.T) {
		if version.Compare("go"+tag[1], "go"+module[1]) < 0 {
			t.Errorf("the image has Go %s, go.mod asks for %s", tag[1], module[1])
		}
	})
	t.Run("is one patch release, not whatever a tag leads to", func(t *testing.T) {
		if !regexp.MustCompile(`^\d+\.\d+\.\d+$`).MatchString(tag[1]) {
			t.Errorf("the image has Go %s", tag[1])
		}
	})
}

// Pictures must outlive the container, in a folder that belongs to its user.
func TestCompose_keeps_pictures_in_a_volume(t *testing.T) {
	wxlogin := services(t)["wxlogin"]
	c, err := config.Load(environ(wxlogin))
	if err != nil {
		t.Fatal(err)
	}
	dir := c.Avatars.Dir
	if dir == "" || !slices.Contains(section(wxlogin, "volumes"), "avatars:"+dir) {
		t.Errorf("AVATAR_DIR is %q, the volumes are %q", dir, section(wxlogin, "volumes"))
	}
	dockerfile := read(t, "../Dockerfile")
	_, user, _ := strings.Cut(dockerfile, "\nUSER ")
	user, _, _ = strings.Cut(user, "\n")
	if user == "" || !strings.Contains(dockerfile, "--chown="+user+" /out"+dir+" "+dir+"\n") {
		t.Errorf("the image has no %s of its user %q", dir, user)
	}
}
