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
	"wxlogin/internal/testenv/servertest"
	"wxlogin/session"
	"wxlogin/wechat/wechattest"
)

// libraryApp and librarySecret are the mini-program of the module that uses the packages.
const libraryApp, librarySecret = "wx0123456789abcdef", "the AppSecret"

// Another module can use the packages as docs/verify-tokens.md and docs/simulator.md say: with their go.mod, programs and
// test. It needs the module cache and no network.
func TestLibrary(t *testing.T) {
	folder := foreignModule(t)
	goCommand(t, folder, "vet", "./...")
	goCommand(t, folder, "test", "./...") // the test of docs/simulator.md
	goCommand(t, folder, "build", "-o", filepath.Join(folder, "bin")+"/", "./asks", "./reads")

	t.Run("a service with package client", func(t *testing.T) {
		s := servertest.Start(t)
		addr := startService(t, filepath.Join(folder, "bin", "asks"), "WXLOGIN_INTERNAL="+s.Internal(), "INTERNAL_API_KEY="+servertest.APIKey)
		token := s.Login(t, wechattest.User{Name: "alice"})
		var id string
		s.QueryRow(t, "SELECT id FROM users", nil, &id)
		wantOrders(t, addr, token, "orders of user "+id+"\n")
	})
	t.Run("a service with package session", func(t *testing.T) {
		redisURL := newRedisURL(t)
		addr := startService(t, filepath.Join(folder, "bin", "reads"),
			"REDIS_URL="+redisURL, "WECHAT_APPID="+libraryApp, "WECHAT_SECRET="+librarySecret)
		wantOrders(t, addr, newToken(t, redisURL), "orders of oAlice\n")
	})
}

// wantOrders checks the service's response to a token, and to a request without one.
func wantOrders(t *testing.T, addr, token, orders string) {
	t.Helper()
	if status, body := getOrders(t, addr, token); status != http.StatusOK || body != orders {
		t.Errorf("status %d, %s", status, body)
	}
	if status, body := getOrders(t, addr, ""); status != http.StatusUnauthorized || !strings.Contains(body, `"action":"relogin"`) {
		t.Errorf("without a token: status %d, %s", status, body)
	}
}

// startService runs a program until the test ends, and returns its address.
func startService(t *testing.T, binary string, environ ...string) (addr string) {
	t.Helper()
	addr = testenv.FreeAddr(t)
	service := exec.CommandContext(t.Context(), binary)
	service.Env = append(environ, "ADDR="+addr)
	if err := service.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { service.Process.Kill(); service.Wait() })
	awaitPort(t, addr)
	return addr
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
		"asks/main.go":  blockWith(t, verifyTokens, "go", `"wxlogin/client"`),
		"reads/main.go": blockWith(t, verifyTokens, "go", `"wxlogin/session"`),
		"login_test.go": blockWith(t, simulator, "go", "package login_test"),
	} {
		file := filepath.Join(folder, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
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
