//go:build unix

package gateway_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"wxlogin/internal/testenv"
)

// The commands for nginx do what README says of them, but for the addresses.
func TestReadme_commands_run(t *testing.T) {
	needs(t, "sh", "nginx", "node", "curl")
	l := startLogin(t)
	address, service := testenv.FreeAddr(t), testenv.FreeAddr(t)
	folder := t.TempDir()
	for _, name := range []string{"nginx", "service"} {
		if err := os.CopyFS(filepath.Join(folder, name), os.DirFS(name)); err != nil {
			t.Fatal(err)
		}
	}
	conf := filepath.Join(folder, "nginx", "nginx.conf")
	writeFile(t, conf, replaced(t, readFile(t, conf),
		"127.0.0.1:8000", address, "127.0.0.1:9090", l.InternalAddr(), "127.0.0.1:3000", service))

	_, port, _ := strings.Cut(service, ":")
	cmd := exec.Command("sh", "-ec", replaced(t, shellBlock(t, "nginx -p"), "PORT=3000", "PORT="+port))
	cmd.Dir = folder
	cmd.Env = append(os.Environ(), "INTERNAL_API_KEY="+apiKey, "TMPDIR="+folder)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	p := run(t, cmd, nil)
	t.Cleanup(func() { syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }) // those that it started too
	p.awaitPort(t, address)
	p.awaitPort(t, service)

	curl := exec.Command("sh", "-ec", replaced(t, shellBlock(t, "curl"), "127.0.0.1:8000", address))
	curl.Env = append(os.Environ(), "TOKEN="+l.token(t, alice))
	out, err := curl.Output()
	if want := `"userId":"` + l.inMySQL(t, alice.OpenID).UserID + `"`; err != nil || !strings.Contains(string(out), want) {
		t.Errorf("%v: %s", err, out)
	}
}

// shellBlock is README's one block of commands that holds a text.
func shellBlock(t *testing.T, holding string) string {
	t.Helper()
	for _, m := range regexp.MustCompile("(?ms)^```sh\n(.*?)^```$").FindAllStringSubmatch(readFile(t, "README.md"), -1) {
		if strings.Contains(m[1], holding) {
			return m[1]
		}
	}
	t.Fatalf("README has no block with %q", holding)
	return ""
}

// Files that README names are there.
func TestReadme_names_files_that_exist(t *testing.T) {
	name := regexp.MustCompile("`((?:nginx|caddy|traefik|envoy|service)/[A-Za-z.-]+)`")
	names := name.FindAllStringSubmatch(readFile(t, "README.md"), -1)
	if len(names) < 7 {
		t.Fatalf("%d names", len(names))
	}
	for _, m := range names {
		if _, err := os.Stat(m[1]); err != nil {
			t.Error(err)
		}
	}
}
