//go:build unix

package gateway_test

import (
	"context"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"wxlogin/internal/testenv"
	"wxlogin/internal/testenv/servicetest"
)

// runNodeTests runs a file of tests in Node.
func runNodeTests(t *testing.T, file string, environ ...string) {
	t.Helper()
	needs(t, "node")
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "node", "--test", file)
	cmd.Env = append(os.Environ(), environ...)
	if out, err := cmd.CombinedOutput(); err != nil {
		tokens := regexp.MustCompile(`[A-Za-z0-9_-]{43}`)
		t.Errorf("node --test %s: %v\n%s", file, err, tokens.ReplaceAll(out, []byte("[token]")))
	}
}

func TestIntrospect(t *testing.T) { runNodeTests(t, "test/introspect.test.js") }

// The client of examples/miniprogram, unchanged, with the service behind nginx and on its own.
func TestMiniProgram_UsesTheService(t *testing.T) {
	s := startSystem(t)
	runNodeTests(t, "test/mini-program.test.js",
		"WXLOGIN_SERVER="+s.Public(), "WXLOGIN_SIMULATOR="+s.WeChat,
		"GATEWAY="+s.gateway.url, "ON_ITS_OWN="+startOnItsOwn(t, s.InternalAddr(), apiKey))
}

// The service passes the list that package client passes.
func TestService_OnItsOwn(t *testing.T) {
	servicetest.Run(t, func(t *testing.T, internalURL, key string) string {
		return startOnItsOwn(t, strings.TrimPrefix(internalURL, "http://"), key)
	})
	t.Run("a request renews the idle expiry", func(t *testing.T) {
		l := startLogin(t)
		l.wantRenewed(t, startOnItsOwn(t, l.InternalAddr(), apiKey))
	})
}

// The service refuses a request without a user: the gateway's configuration is wrong, or the request came around it.
func TestService_BehindGateway_RefusesOthers(t *testing.T) {
	service := "http://" + startBehindGateway(t)
	for _, header := range []http.Header{nil, {"X-User-Id": {""}}, {"X-User-Id": {"x"}}, {"X-User-Id": {"1", "2"}}} {
		request{path: "/me", header: header}.to(t, service).wantProblem(t, 403, "no_gateway", "none")
	}
	if host, _, _ := net.SplitHostPort(strings.TrimPrefix(service, "http://")); host != "127.0.0.1" {
		t.Errorf("it listens on %s", host)
	}
}

// replaced replaces addresses that a text must contain: pairs of old and new.
func replaced(t *testing.T, text string, pairs ...string) string {
	t.Helper()
	for i := 0; i < len(pairs); i += 2 {
		if !strings.Contains(text, pairs[i]) {
			t.Fatalf("no %s in:\n%s", pairs[i], text)
		}
	}
	return strings.NewReplacer(pairs...).Replace(text)
}

// README's commands for nginx do what it says, with other addresses.
func TestReadme_CommandsRun(t *testing.T) {
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

	blocks := regexp.MustCompile("(?ms)^```sh\n(.*?)^```$").FindAllStringSubmatch(readFile(t, "README.md"), -1)
	if len(blocks) != 3 { // nginx, a request, and the service on its own
		t.Fatalf("README has %d blocks of commands", len(blocks))
	}
	_, port, _ := strings.Cut(service, ":")
	cmd := exec.Command("sh", "-ec", replaced(t, blocks[0][1], "PORT=3000", "PORT="+port))
	cmd.Dir = folder
	cmd.Env = append(os.Environ(), "INTERNAL_API_KEY="+apiKey, "TMPDIR="+folder)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	p := run(t, cmd, nil)
	t.Cleanup(func() { syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }) // node, too
	p.awaitPort(t, address)
	p.awaitPort(t, service)

	curl := exec.Command("sh", "-ec", replaced(t, blocks[1][1], "127.0.0.1:8000", address))
	curl.Env = append(os.Environ(), "TOKEN="+l.Login(t, alice))
	out, err := curl.Output()
	if want := `"userId":"` + l.inMySQL(t, alice).UserID + `"`; err != nil || !strings.Contains(string(out), want) {
		t.Errorf("%v: %s", err, out)
	}
}

func TestReadme_NamesFilesThatExist(t *testing.T) {
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
