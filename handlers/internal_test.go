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

	"wxlogin/session"
)

func TestInternal(t *testing.T) {
	w := newWorld(t)
	if got := w.get("/healthz"); got != "{\"status\":200}\n" {
		t.Errorf("healthz: %s", got)
	}
	if got := w.get("/readyz"); got != `{"status":200,"checks":{"mysql":"ok","redis":"ok"}}`+"\n" {
		t.Errorf("readyz: %s", got)
	}
	for _, want := range []string{"go_goroutines", "process_cpu_seconds_total", "wxlogin_http_requests_total"} {
		if !strings.Contains(w.get("/metrics"), "\n"+want) {
			t.Errorf("/metrics lacks %s", want)
		}
	}
	t.Run("not_ready_says_what_is_missing", func(t *testing.T) {
		w := newWorld(t, func(su *setup) { su.dsn = "root@tcp(127.0.0.1:1)/wxlogin" })
		if got := w.get("/readyz"); got != `{"status":503,"checks":{"mysql":"failed","redis":"ok"}}`+"\n" {
			t.Errorf("readyz: %s", got)
		}
	})
	t.Run("public_listener_has_none_of_it", func(t *testing.T) {
		for _, path := range []string{"/healthz", "/readyz", "/metrics"} {
			res, err := http.Get(w.public.URL + path)
			w.must(err)
			res.Body.Close()
			if res.StatusCode != http.StatusNotFound {
				t.Errorf("%s: %d", path, res.StatusCode)
			}
		}
	})
}

// profile asks the internal listener for one of Go's profiles.
func (w *world) profile(path, key string) (status int, content []byte) {
	w.t.Helper()
	req, err := http.NewRequest(http.MethodGet, w.internal.URL+"/debug/pprof/"+path, nil)
	w.must(err)
	if key != "" {
		req.Header.Set("X-Api-Key", key)
	}
	res, err := http.DefaultClient.Do(req)
	w.must(err)
	defer res.Body.Close()
	content, err = io.ReadAll(res.Body)
	w.must(err)
	return res.StatusCode, content
}

func TestProfiles_are_for_holders_of_the_key(t *testing.T) {
	w := newWorld(t, withAPIKey)
	gzipped := []byte{0x1f, 0x8b}
	for _, path := range []string{"heap", "goroutine", "profile?seconds=1"} {
		if status, content := w.profile(path, apiKey); status != http.StatusOK || !bytes.HasPrefix(content, gzipped) {
			t.Errorf("%s: %d, %d bytes", path, status, len(content))
		}
		if status, content := w.profile(path, ""); status != http.StatusUnauthorized || bytes.HasPrefix(content, gzipped) {
			t.Errorf("%s without the key: %d", path, status)
		}
	}
	if status, _ := w.profile("secrets", apiKey); status != http.StatusNotFound {
		t.Errorf("an unknown profile: %d", status)
	}
}

// apiKey is what other services share with the server where withAPIKey says so.
const apiKey = "a-key-that-is-shared"

func withAPIKey(su *setup) { su.apiKey = apiKey }

// asked is what the internal listener answers about a token.
type asked struct {
	response
	active map[string]any // the answer of /introspect
}

// header sets a header of a request.
type header struct{ name, value string }

// ask sends a request to the internal listener.
func (w *world) ask(method, path, form string, headers ...header) asked {
	w.t.Helper()
	req, err := http.NewRequest(method, w.internal.URL+path, strings.NewReader(form))
	w.must(err)
	if form != "" {
		req.Header.Set("Content-Type", formType)
	}
	for _, h := range headers {
		req.Header.Set(h.name, h.value)
	}
	a := asked{response: w.send(req)}
	_ = json.Unmarshal([]byte(a.raw), &a.active)
	return a
}

func (w *world) introspect(token string, headers ...header) asked {
	w.t.Helper()
	return w.ask(http.MethodPost, "/introspect", url.Values{"token": {token}}.Encode(), headers...)
}

func (w *world) verify(token string, headers ...header) asked {
	w.t.Helper()
	return w.ask(http.MethodGet, "/verify", "", append(headers, header{"Authorization", "Bearer " + token})...)
}

// wantInactive fails unless nothing is told of a token, by either route.
func (w *world) wantInactive(token string) {
	w.t.Helper()
	if a := w.introspect(token); a.status != http.StatusOK || strings.TrimSpace(a.raw) != `{"active":false}` {
		w.t.Errorf("/introspect: %d %s", a.status, a.raw)
	}
	a := w.verify(token)
	w.wantProblem(a.response, 401, "invalid_token", "relogin")
	if a.header.Get("WWW-Authenticate") != "Bearer" {
		w.t.Error("/verify: no WWW-Authenticate")
	}
	for _, name := range identityHeaders {
		if v := a.header.Values(name); len(v) != 0 {
			w.t.Errorf("/verify: %s is %q", name, v)
		}
	}
}

var identityHeaders = []string{"X-User-Id", "X-Wechat-Openid", "X-Wechat-Appid", "X-Wechat-Unionid"}

func TestIntrospect_tells_whose_token_it_is(t *testing.T) {
	w := newWorld(t)
	alice := w.phone("alice")
	began := w.clock.Now().Unix()
	token := w.login(alice).Token
	w.pass(time.Hour)
	a := w.introspect(token)
	if a.status != http.StatusOK || a.header.Get("Content-Type") != "application/json; charset=utf-8" {
		t.Fatalf("%d %s", a.status, a.header.Get("Content-Type"))
	}
	want := map[string]any{
		"active": true, "token_type": "Bearer", "sub": w.one("SELECT id FROM users"), "client_id": appID,
		"openid": alice.OpenID(), "iat": float64(began),
		"exp": float64(w.clock.Now().Add(session.DefaultIdleTTL).Unix()),
	}
	if got := a.active; !equalJSON(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	alice.SetUnionID("ocMvos6NjeKLIBqg5Mr9QjxrP1FA")
	w.login(alice)
	if a := w.introspect(token); a.active["unionid"] != "ocMvos6NjeKLIBqg5Mr9QjxrP1FA" {
		t.Errorf("unionid is %v", a.active["unionid"])
	}
}

func equalJSON(a, b any) bool {
	x, _ := json.Marshal(a)
	y, _ := json.Marshal(b)
	return string(x) == string(y)
}

// A session that is nearly as old as sessions get does not live for another idle time.
func TestIntrospect_exp_is_never_later_than_the_absolute_expiry(t *testing.T) {
	w := newWorld(t)
	token := w.login(w.phone("alice")).Token
	end := w.clock.Now().Add(session.DefaultMaxTTL)
	for range 6 {
		w.pass(5 * 24 * time.Hour)
		if a := w.introspect(token); a.active["active"] == true && int64(a.active["exp"].(float64)) > end.Unix() {
			t.Errorf("exp is %v after the absolute expiry", time.Unix(int64(a.active["exp"].(float64)), 0).Sub(end))
		}
	}
	w.wantInactive(token)
}

func TestVerify_tells_a_gateway_whose_request_it_has(t *testing.T) {
	w := newWorld(t)
	alice := w.phone("alice")
	token := w.login(alice).Token
	a := w.verify(token)
	want := []string{w.one("SELECT id FROM users"), alice.OpenID(), appID, ""}
	for i, name := range identityHeaders {
		if got := a.header.Get(name); got != want[i] {
			t.Errorf("%s is %q, want %q", name, got, want[i])
		}
	}
	if a.status != http.StatusOK || strings.TrimSpace(a.raw) != `{"status":200}` {
		t.Errorf("%d %s", a.status, a.raw)
	}
	alice.SetUnionID("ocMvos6NjeKLIBqg5Mr9QjxrP1FA")
	w.login(alice)
	if got := w.verify(token).header.Get("X-Wechat-Unionid"); got != "ocMvos6NjeKLIBqg5Mr9QjxrP1FA" {
		t.Errorf("X-Wechat-Unionid is %q", got)
	}
}

// Envoy asks with the method and path of the request at hand, others with GET; what a client says of itself is not believed.
func TestVerify_answers_every_method_and_path(t *testing.T) {
	w := newWorld(t)
	token := w.login(w.phone("alice")).Token
	id := w.one("SELECT id FROM users")
	for _, method := range []string{"GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"} {
		for _, path := range []string{"/verify", "/verify/", "/verify/orders/7?token=x"} {
			a := w.ask(method, path, "", header{"Authorization", "Bearer " + token}, header{"X-User-Id", "999"})
			if a.status != http.StatusOK || a.header.Get("X-User-Id") != id {
				t.Errorf("%s %s: %d, X-User-Id %q", method, path, a.status, a.header.Get("X-User-Id"))
			}
			w.wantProblem(w.ask(method, path, "").response, 401, "invalid_token", "relogin")
		}
	}
}

func TestTokenCheck_of_what_is_no_token(t *testing.T) {
	w := newWorld(t)
	token := w.login(w.phone("alice")).Token
	for _, bad := range []string{"x", token[:42], token + "A", strings.Repeat("A", 43), strings.ToUpper(token)} {
		w.wantInactive(bad)
	}
	w.form("/logout", "token", token)
	w.wantInactive(token)
	w.wantProblem(w.introspect("").response, 400, "invalid_request", "none")
	w.wantProblem(w.ask("GET", "/introspect", "").response, 405, "method_not_allowed", "none")
}

func TestTokenCheck_slides_the_session(t *testing.T) {
	w := newWorld(t)
	introspected, verified, left := w.login(w.phone("a")).Token, w.login(w.phone("b")).Token, w.login(w.phone("c")).Token
	for range 3 {
		w.pass(session.DefaultIdleTTL - time.Hour)
		w.introspect(introspected)
		w.verify(verified)
	}
	if a := w.introspect(introspected); a.active["active"] != true {
		t.Error("a session that is introspected ends")
	}
	if a := w.verify(verified); a.status != http.StatusOK {
		t.Error("a session that is verified ends")
	}
	w.wantInactive(left)
}

func TestTokenCheck_refuses_a_disabled_user(t *testing.T) {
	w := newWorld(t)
	token := w.login(w.phone("alice")).Token
	_, err := w.db.Exec("UPDATE users SET status = 2")
	w.must(err)
	if a := w.introspect(token); strings.TrimSpace(a.raw) != `{"active":false}` {
		t.Errorf("/introspect: %s", a.raw)
	}
	a := w.verify(token)
	w.wantProblem(a.response, 403, "user_blocked", "none")
	if a.header.Get("X-User-Id") != "" {
		t.Error("/verify tells who is blocked")
	}
	if n := w.metric(`wxlogin_token_checks_total{outcome="blocked"}`); n != "2" {
		t.Errorf("%s checks were blocked, want 2", n)
	}
}

// Storage that is away says nothing about a token.
func TestTokenCheck_without_storage_knows_nothing(t *testing.T) {
	wantUnknown := func(w *world, token string) {
		w.wantProblem(w.introspect(token).response, 503, "storage_unavailable", "retry")
		w.wantProblem(w.verify(token).response, 503, "storage_unavailable", "retry")
		if n := w.metric(`wxlogin_token_checks_total{outcome="failed"}`); n != "2" {
			w.t.Errorf("%s checks failed, want 2", n)
		}
	}
	t.Run("redis", func(t *testing.T) {
		w := newWorld(t, func(su *setup) {
			su.session.Redis = redis.NewClient(&redis.Options{Addr: "127.0.0.1:1", MaxRetries: -1})
		})
		wantUnknown(w, strings.Repeat("A", 43))
	})
	t.Run("mysql", func(t *testing.T) {
		w := newWorld(t, func(su *setup) { su.dsn = "root@tcp(127.0.0.1:1)/wxlogin" })
		token, err := w.sessions.Create(t.Context(), session.Session{AppID: appID, OpenID: "o", SessionKey: "k"})
		w.must(err)
		wantUnknown(w, token)
	})
}

func TestTokenCheck_wants_the_key(t *testing.T) {
	w := newWorld(t, withAPIKey)
	token := w.login(w.phone("alice")).Token
	basic := func(password string) header {
		req := &http.Request{Header: http.Header{}}
		req.SetBasicAuth("orders", password)
		return header{"Authorization", req.Header.Get("Authorization")}
	}
	for _, good := range []header{{"X-Api-Key", apiKey}, {"Authorization", "Bearer " + apiKey}, basic(apiKey)} {
		if a := w.introspect(token, good); a.active["active"] != true {
			t.Errorf("/introspect with %s: %d", good.name, a.status)
		}
	}
	for _, bad := range []header{{"X-Other", ""}, {"X-Api-Key", apiKey + "x"}, {"X-Api-Key", apiKey[1:]}, {"Authorization", "Bearer " + token}, basic("x")} {
		a := w.introspect(token, bad)
		w.wantProblem(a.response, 401, "invalid_api_key", "none")
	}
	if a := w.verify(token, header{"X-Api-Key", apiKey}); a.status != http.StatusOK || a.header.Get("X-User-Id") == "" {
		t.Errorf("/verify with the key: %d", a.status)
	}
	for _, bad := range []header{{"X-Other", ""}, {"X-Api-Key", "x"}, {"X-Api-Key", token}} {
		w.wantProblem(w.verify(token, bad).response, 403, "forbidden", "none")
	}
	for _, open := range []string{"/healthz", "/readyz", "/metrics"} {
		if got := w.get(open); strings.Contains(got, "api_key") {
			t.Errorf("%s wants the key", open)
		}
	}
}

func TestTokenCheck_leaves_no_secret_in_the_log(t *testing.T) {
	w := newWorld(t, withAPIKey)
	alice := w.phone("alice")
	token := w.login(alice).Token
	for _, h := range []header{{"X-Api-Key", apiKey}, {"X-Api-Key", apiKey + "x"}} {
		w.introspect(token, h)
		w.verify(token, h)
	}
	logs := w.logs.String()
	for _, secret := range []string{token, apiKey, alice.OpenID(), alice.SessionKey()} {
		if strings.Contains(logs, secret) {
			t.Error("the log holds a token, the apiKey, an openid or a session_key")
		}
	}
}

// A token is checked by many at once while its session ends: each answer is right for its time, and none comes after the end.
func TestTokenCheck_race_with_logout(t *testing.T) {
	w := newWorld(t)
	token := w.login(w.phone("alice")).Token
	var ended sync.WaitGroup
	outcomes := make([][]int, 8)
	for i := range outcomes {
		ended.Go(func() {
			for range 20 {
				outcomes[i] = append(outcomes[i], w.verify(token).status)
			}
		})
	}
	w.form("/logout", "token", token)
	ended.Wait()
	for _, seen := range outcomes {
		if !slices.IsSortedFunc(seen, func(a, b int) int { return a - b }) || slices.Max(seen) > 401 {
			t.Errorf("a phone that was logged out came back: %v", seen)
		}
	}
	w.wantInactive(token)
	if n, _ := strconv.Atoi(w.metric(`wxlogin_token_checks_total{outcome="failed"}`)); n != 0 {
		t.Errorf("%d checks failed", n)
	}
}
