package wxlogin_test

import (
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"wxlogin/internal/testenv"
	"wxlogin/session"
)

// libraryApp and librarySecret are the mini-program of the module that uses the packages.
const libraryApp, librarySecret = "wx0123456789abcdef", "the AppSecret"

// Another module can use the packages as docs/verify-tokens.md and docs/simulator.md say: with their go.mod, main.go and
// test. It needs the module cache and no network.
func TestLibrary(t *testing.T) {
	folder := foreignModule(t)
	goCommand(t, folder, "vet", "./...")
	goCommand(t, folder, "test", "./...") // the test of docs/simulator.md
	binary := filepath.Join(folder, "service")
	goCommand(t, folder, "build", "-o", binary, ".")

	redisURL, addr := newRedisURL(t), testenv.FreeAddr(t)
	service := exec.CommandContext(t.Context(), binary)
	service.Env = []string{"REDIS_URL=" + redisURL, "WECHAT_APPID=" + libraryApp, "WECHAT_SECRET=" + librarySecret, "ADDR=" + addr}
	if err := service.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { service.Process.Kill(); service.Wait() })
	awaitPort(t, addr)

	for name, test := range map[string]struct {
		token  string
		status int
		body   string
	}{
		"a token of the login server": {newToken(t, redisURL), http.StatusOK, "orders of oAlice"},
		"no token":                    {"", http.StatusUnauthorized, `"action":"relogin"`},
	} {
		t.Run(name, func(t *testing.T) {
			status, body := getOrders(t, addr, test.token)
			if status != test.status || !strings.Contains(body, test.body) {
				t.Errorf("status %d, %s", status, body)
			}
		})
	}
}

// foreignModule creates the module that the documents describe, next to this checkout.
func foreignModule(t *testing.T) string {
	t.Helper()
	checkout, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	requirement := strings.Replace(blockWith(t, verifyTokens, "", "replace wxlogin => "), "../wxlogin", checkout, 1)
	for name, content := range map[string]string{
		"go.mod":        "module example.com/orders\n\ngo 1.26.0\n\n" + requirement,
		"main.go":       blockWith(t, verifyTokens, "go", "package main"),
		"login_test.go": strings.Replace(blockWith(t, simulator, "go", "package login_test"), "login_test", "main", 1),
	} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return folder
}

// goCommand runs go in a module without network. -mod=mod has it complete go.mod, as go mod tidy does.
func goCommand(t *testing.T, folder string, args ...string) {
	t.Helper()
	cmd := exec.Command("go", args...)
	cmd.Dir = folder
	cmd.Env = append(os.Environ(), "GOFLAGS=-mod=mod", "GOPROXY=off", "GOSUMDB=off", "GOWORK=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// awaitPort waits until a server listens on addr.
func awaitPort(t *testing.T, addr string) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if conn, err := net.Dial("tcp", addr); err == nil {
			conn.Close()
			return
		}
	}
	t.Fatalf("nothing listens on %s", addr)
}

// newToken creates a session as the login server does, and returns its token.
func newToken(t *testing.T, redisURL string) string {
	t.Helper()
	options, err := redis.ParseURL(redisURL)
	if err != nil {
		t.Fatal(err)
	}
	client := redis.NewClient(options)
	t.Cleanup(func() { client.Close() })
	sessions, err := session.New(session.Options{Redis: client, Apps: []session.App{{AppID: libraryApp, Secret: librarySecret}}})
	if err != nil {
		t.Fatal(err)
	}
	token, err := sessions.Create(t.Context(), session.Session{
		AppID: libraryApp, OpenID: "oAlice", SessionKey: "tiihtNczf5v6AKRyjwEUhQ==",
	})
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// getOrders asks the service for the orders of a token's user.
func getOrders(t *testing.T, addr, token string) (status int, body string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+addr+"/orders", nil)
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	content, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(content)
}
