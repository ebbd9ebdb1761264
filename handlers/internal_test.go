package handlers_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"wxlogin/handlers"
	"wxlogin/session"
)

func TestInternal(t *testing.T) {
	srv := newTestServer(t)
	if got := srv.getInternal("/healthz"); got != "{\"status\":200}\n" {
		t.Errorf("healthz: %s", got)
	}
	if got := srv.getInternal("/readyz"); got != `{"status":200,"checks":{"mysql":"ok","redis":"ok"}}`+"\n" {
		t.Errorf("readyz: %s", got)
	}
	for _, want := range []string{"go_goroutines", "process_cpu_seconds_total", "wxlogin_http_requests_total"} {
		if !strings.Contains(srv.getInternal("/metrics"), "\n"+want) {
			t.Errorf("/metrics lacks %s", want)
		}
	}
	t.Run("names the failed check", func(t *testing.T) {
		srv := newTestServer(t, func(cfg *serverConfig) { cfg.dsn = "root@tcp(127.0.0.1:1)/wxlogin" })
		if got := srv.getInternal("/readyz"); got != `{"status":503,"checks":{"mysql":"failed","redis":"ok"}}`+"\n" {
			t.Errorf("readyz: %s", got)
		}
	})
	t.Run("is not on the public listener", func(t *testing.T) {
		for _, path := range []string{"/healthz", "/readyz", "/metrics"} {
			res, err := http.Get(srv.public.URL + path)
			srv.must(err)
			res.Body.Close()
			if res.StatusCode != http.StatusNotFound {
				t.Errorf("%s: %d", path, res.StatusCode)
			}
		}
	})
}

// pprof gets a runtime profile from the internal listener.
func (srv *testServer) pprof(path, key string) (status int, content []byte) {
	srv.t.Helper()
	req, err := http.NewRequest(http.MethodGet, srv.internal.URL+"/debug/pprof/"+path, nil)
	srv.must(err)
	if key != "" {
		req.Header.Set("X-Api-Key", key)
	}
	res, err := http.DefaultClient.Do(req)
	srv.must(err)
	defer res.Body.Close()
	content, err = io.ReadAll(res.Body)
	srv.must(err)
	return res.StatusCode, content
}

func TestPprof(t *testing.T) {
	srv := newTestServer(t, withAPIKey)
	gzipped := []byte{0x1f, 0x8b}
	for _, path := range []string{"heap", "goroutine", "profile?seconds=1"} {
		if status, content := srv.pprof(path, apiKey); status != http.StatusOK || !bytes.HasPrefix(content, gzipped) {
			t.Errorf("%s: %d, %d bytes", path, status, len(content))
		}
		if status, content := srv.pprof(path, ""); status != http.StatusUnauthorized || bytes.HasPrefix(content, gzipped) {
			t.Errorf("%s without the key: %d", path, status)
		}
	}
	if status, _ := srv.pprof("secrets", apiKey); status != http.StatusNotFound {
		t.Errorf("an unknown profile: %d", status)
	}
}

// The keys of the internal listener with withAPIKey.
const (
	apiKey      = "a-key-that-is-shared"
	previousKey = "a-key-that-was-shared"
)

func withAPIKey(cfg *serverConfig) {
	cfg.apiKeys = []handlers.APIKey{{Name: "crm", Key: apiKey}, {Name: "previous", Key: previousKey}}
}

// internalResponse is a response of the internal listener.
type internalResponse struct {
	response
	active map[string]any // the body of /introspect
}

// header is a request header.
type header struct{ name, value string }

// callInternal sends a request to the internal listener.
func (srv *testServer) callInternal(method, path, form string, headers ...header) internalResponse {
	srv.t.Helper()
	req, err := http.NewRequest(method, srv.internal.URL+path, strings.NewReader(form))
	srv.must(err)
	if form != "" {
		req.Header.Set("Content-Type", formType)
	}
	for _, h := range headers {
		req.Header.Set(h.name, h.value)
	}
	a := internalResponse{response: srv.send(req)}
	_ = json.Unmarshal([]byte(a.raw), &a.active)
	return a
}

func (srv *testServer) introspect(token string, headers ...header) internalResponse {
	srv.t.Helper()
	return srv.callInternal(http.MethodPost, "/introspect", url.Values{"token": {token}}.Encode(), headers...)
}

func (srv *testServer) verify(token string, headers ...header) internalResponse {
	srv.t.Helper()
	return srv.callInternal(http.MethodGet, "/verify", "", append(headers, header{"Authorization", "Bearer " + token})...)
}

// wantInactive checks that neither /introspect nor /verify reveals anything about a token.
func (srv *testServer) wantInactive(token string) {
	srv.t.Helper()
	if a := srv.introspect(token); a.status != http.StatusOK || strings.TrimSpace(a.raw) != `{"active":false}` {
		srv.t.Errorf("/introspect: %d %s", a.status, a.raw)
	}
	a := srv.verify(token)
	srv.wantProblem(a.response, 401, "invalid_token", "relogin")
	if a.header.Get("WWW-Authenticate") != "Bearer" {
		srv.t.Error("/verify: no WWW-Authenticate")
	}
	for _, name := range identityHeaders {
		if v := a.header.Values(name); len(v) != 0 {
			srv.t.Errorf("/verify: %s is %q", name, v)
		}
	}
}

var identityHeaders = []string{"X-User-Id", "X-Wechat-Openid", "X-Wechat-Appid", "X-Wechat-Unionid"}

func TestIntrospect(t *testing.T) {
	t.Run("returns the owner of the token", func(t *testing.T) {
		srv := newTestServer(t)
		alice := srv.device("alice")
		began := srv.clock.Now().Unix()
		token := srv.login(alice).Token
		srv.advance(time.Hour)
		a := srv.introspect(token)
		if a.status != http.StatusOK || a.header.Get("Content-Type") != "application/json; charset=utf-8" {
			t.Fatalf("%d %s", a.status, a.header.Get("Content-Type"))
		}
		want := map[string]any{
			"active": true, "token_type": "Bearer", "sub": srv.queryText("SELECT id FROM users"), "client_id": appID,
			"openid": alice.OpenID(), "iat": float64(began),
			"exp": float64(srv.clock.Now().Add(session.DefaultIdleTTL).Unix()),
		}
		if got := a.active; !equalJSON(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
		alice.SetUnionID("ocMvos6NjeKLIBqg5Mr9QjxrP1FA")
		srv.login(alice)
		if a := srv.introspect(token); a.active["unionid"] != "ocMvos6NjeKLIBqg5Mr9QjxrP1FA" {
			t.Errorf("unionid is %v", a.active["unionid"])
		}
	})

	// A session that is close to its absolute expiry does not live for another idle TTL.
	t.Run("exp is never later than the absolute expiry", func(t *testing.T) {
		srv := newTestServer(t)
		token := srv.login(srv.device("alice")).Token
		end := srv.clock.Now().Add(session.DefaultMaxLifetime)
		for range 6 {
			srv.advance(5 * 24 * time.Hour)
			if a := srv.introspect(token); a.active["active"] == true && int64(a.active["exp"].(float64)) > end.Unix() {
				t.Errorf("exp is %v after the absolute expiry", time.Unix(int64(a.active["exp"].(float64)), 0).Sub(end))
			}
		}
		srv.wantInactive(token)
	})
}

func equalJSON(a, b any) bool {
	x, _ := json.Marshal(a)
	y, _ := json.Marshal(b)
	return string(x) == string(y)
}

func TestVerify(t *testing.T) {
	t.Run("returns the owner of the token in headers", func(t *testing.T) {
		srv := newTestServer(t)
		alice := srv.device("alice")
		token := srv.login(alice).Token
		a := srv.verify(token)
		want := []string{srv.queryText("SELECT id FROM users"), alice.OpenID(), appID, ""}
		for i, name := range identityHeaders {
			if got := a.header.Get(name); got != want[i] {
				t.Errorf("%s is %q, want %q", name, got, want[i])
			}
		}
		if a.status != http.StatusOK || strings.TrimSpace(a.raw) != `{"status":200}` {
			t.Errorf("%d %s", a.status, a.raw)
		}
		alice.SetUnionID("ocMvos6NjeKLIBqg5Mr9QjxrP1FA")
		srv.login(alice)
		if got := srv.verify(token).header.Get("X-Wechat-Unionid"); got != "ocMvos6NjeKLIBqg5Mr9QjxrP1FA" {
			t.Errorf("X-Wechat-Unionid is %q", got)
		}
	})

	// Envoy uses the method and path of the original request, others use GET. A client cannot set the identity headers.
	t.Run("accepts every method and path", func(t *testing.T) {
		srv := newTestServer(t)
		token := srv.login(srv.device("alice")).Token
		id := srv.queryText("SELECT id FROM users")
		for _, method := range []string{"GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"} {
			for _, path := range []string{"/verify", "/verify/", "/verify/orders/7?token=x"} {
				a := srv.callInternal(method, path, "", header{"Authorization", "Bearer " + token}, header{"X-User-Id", "999"})
				if a.status != http.StatusOK || a.header.Get("X-User-Id") != id {
					t.Errorf("%s %s: %d, X-User-Id %q", method, path, a.status, a.header.Get("X-User-Id"))
				}
				srv.wantProblem(srv.callInternal(method, path, "").response, 401, "invalid_token", "relogin")
			}
		}
	})
}

func TestTokenOwner(t *testing.T) {
	t.Run("rejects malformed, unknown and revoked tokens", func(t *testing.T) {
		srv := newTestServer(t)
		token := srv.login(srv.device("alice")).Token
		for _, bad := range []string{"x", token[:42], token + "A", strings.Repeat("A", 43), strings.ToUpper(token)} {
			srv.wantInactive(bad)
		}
		srv.postForm("/logout", "token", token)
		srv.wantInactive(token)
		srv.wantProblem(srv.introspect("").response, 400, "invalid_request", "none")
		srv.wantProblem(srv.callInternal("GET", "/introspect", "").response, 405, "method_not_allowed", "none")
	})

	t.Run("restarts the idle expiry", func(t *testing.T) {
		srv := newTestServer(t)
		introspected, verified, left := srv.login(srv.device("a")).Token, srv.login(srv.device("b")).Token, srv.login(srv.device("c")).Token
		for range 3 {
			srv.advance(session.DefaultIdleTTL - time.Hour)
			srv.introspect(introspected)
			srv.verify(verified)
		}
		if a := srv.introspect(introspected); a.active["active"] != true {
			t.Error("a session that is introspected ends")
		}
		if a := srv.verify(verified); a.status != http.StatusOK {
			t.Error("a session that is verified ends")
		}
		srv.wantInactive(left)
	})

	t.Run("rejects a disabled user", func(t *testing.T) {
		srv := newTestServer(t)
		token := srv.login(srv.device("alice")).Token
		_, err := srv.db.Exec("UPDATE users SET status = 2")
		srv.must(err)
		if a := srv.introspect(token); strings.TrimSpace(a.raw) != `{"active":false}` {
			t.Errorf("/introspect: %s", a.raw)
		}
		a := srv.verify(token)
		srv.wantProblem(a.response, 403, "user_blocked", "none")
		if a.header.Get("X-User-Id") != "" {
			t.Error("/verify reveals the user")
		}
		if n := srv.metric(`wxlogin_token_checks_total{outcome="blocked"}`); n != "2" {
			t.Errorf("%s checks were blocked, want 2", n)
		}
	})

	// Many calls check a token while its session ends. Once one of them is rejected, all later ones are.
	t.Run("is not found after a concurrent logout", func(t *testing.T) {
		srv := newTestServer(t)
		token := srv.login(srv.device("alice")).Token
		var ended sync.WaitGroup
		outcomes := make([][]int, 8)
		for i := range outcomes {
			ended.Go(func() {
				for range 20 {
					outcomes[i] = append(outcomes[i], srv.verify(token).status)
				}
			})
		}
		srv.postForm("/logout", "token", token)
		ended.Wait()
		for _, seen := range outcomes {
			if !slices.IsSortedFunc(seen, func(a, b int) int { return a - b }) || slices.Max(seen) > 401 {
				t.Errorf("a revoked token was accepted again: %v", seen)
			}
		}
		srv.wantInactive(token)
		if n, _ := strconv.Atoi(srv.metric(`wxlogin_token_checks_total{outcome="failed"}`)); n != 0 {
			t.Errorf("%d checks failed", n)
		}
	})
}

// If storage is unavailable, the response is 503: the token may be valid.
func TestTokenOwner_StorageUnavailable(t *testing.T) {
	wantUnknown := func(srv *testServer, token string) {
		srv.wantProblem(srv.introspect(token).response, 503, "storage_unavailable", "retry")
		srv.wantProblem(srv.verify(token).response, 503, "storage_unavailable", "retry")
		if n := srv.metric(`wxlogin_token_checks_total{outcome="failed"}`); n != "2" {
			srv.t.Errorf("%s checks failed, want 2", n)
		}
	}
	t.Run("redis", func(t *testing.T) {
		srv := newTestServer(t, func(cfg *serverConfig) {
			cfg.session.Redis = redis.NewClient(&redis.Options{Addr: "127.0.0.1:1", MaxRetries: -1})
		})
		wantUnknown(srv, strings.Repeat("A", 43))
	})
	t.Run("mysql", func(t *testing.T) {
		srv := newTestServer(t, func(cfg *serverConfig) { cfg.dsn = "root@tcp(127.0.0.1:1)/wxlogin" })
		token, err := srv.sessions.Create(t.Context(), session.Session{AppID: appID, OpenID: "o", SessionKey: "k"})
		srv.must(err)
		wantUnknown(srv, token)
	})
}

func TestAPIKey(t *testing.T) {
	t.Run("is required", func(t *testing.T) {
		srv := newTestServer(t, withAPIKey)
		token := srv.login(srv.device("alice")).Token
		basic := func(password string) header {
			req := &http.Request{Header: http.Header{}}
			req.SetBasicAuth("orders", password)
			return header{"Authorization", req.Header.Get("Authorization")}
		}
		for _, good := range []header{{"X-Api-Key", apiKey}, {"Authorization", "Bearer " + apiKey}, basic(apiKey)} {
			if a := srv.introspect(token, good); a.active["active"] != true {
				t.Errorf("/introspect with %s: %d", good.name, a.status)
			}
		}
		for _, bad := range []header{{"X-Other", ""}, {"X-Api-Key", apiKey + "x"}, {"X-Api-Key", apiKey[1:]}, {"Authorization", "Bearer " + token}, basic("x")} {
			a := srv.introspect(token, bad)
			srv.wantProblem(a.response, 401, "invalid_api_key", "none")
		}
		if a := srv.verify(token, header{"X-Api-Key", apiKey}); a.status != http.StatusOK || a.header.Get("X-User-Id") == "" {
			t.Errorf("/verify with the key: %d", a.status)
		}
		for _, bad := range []header{{"X-Other", ""}, {"X-Api-Key", "x"}, {"X-Api-Key", token}} {
			srv.wantProblem(srv.verify(token, bad).response, 403, "forbidden", "none")
		}
		for _, open := range []string{"/healthz", "/readyz", "/metrics"} {
			if got := srv.getInternal(open); strings.Contains(got, "api_key") {
				t.Errorf("%s wants the key", open)
			}
		}
	})

	t.Run("is not logged, nor is the token", func(t *testing.T) {
		srv := newTestServer(t, withAPIKey)
		alice := srv.device("alice")
		token := srv.login(alice).Token
		for _, h := range []header{{"X-Api-Key", apiKey}, {"X-Api-Key", apiKey + "x"}} {
			srv.introspect(token, h)
			srv.verify(token, h)
		}
		logs := srv.logs.String()
		for _, secret := range []string{token, apiKey, alice.OpenID(), alice.SessionKey()} {
			if strings.Contains(logs, secret) {
				t.Error("the log contains a token, the apiKey, an openid or a session_key")
			}
		}
	})
}
