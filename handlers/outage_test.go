package handlers_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"wxlogin/handlers"
	"wxlogin/session"
	"wxlogin/store"
	"wxlogin/wechat"
)

func TestStorageUnavailable(t *testing.T) {
	t.Run("redis", func(t *testing.T) {
		srv := newTestServer(t, func(cfg *serverConfig) {
			cfg.session.Redis = redis.NewClient(&redis.Options{Addr: "127.0.0.1:1", MaxRetries: -1})
		})
		p := srv.device("alice")
		srv.wantProblem(srv.postForm("/onLogin", "code", p.Login()), 503, "storage_unavailable", "retry")
		r := srv.update(strings.Repeat("A", 43), p.GetUserInfo())
		srv.wantProblem(r, 503, "storage_unavailable", "retry") // never 401: the token may be valid
		if srv.logLine(r.body.RequestID)["cause"] == nil {
			t.Error("the log does not say why")
		}
	})
	t.Run("mysql", func(t *testing.T) {
		srv := newTestServer(t, func(cfg *serverConfig) { cfg.dsn = "root@tcp(127.0.0.1:1)/wxlogin" })
		srv.wantProblem(srv.postForm("/onLogin", "code", srv.device("alice").Login()), 503, "storage_unavailable", "retry")
		srv.wantNoKeys()
	})
	t.Run("tables are missing", func(t *testing.T) {
		srv := newTestServer(t)
		if _, err := srv.db.Exec("DROP TABLE wechat_identities"); err != nil {
			t.Fatal(err)
		}
		r := srv.postForm("/onLogin", "code", srv.device("alice").Login())
		srv.wantProblem(r, 503, "storage_unavailable", "retry") // wxlogin migrate would fix it
		if strings.Contains(r.raw, "wechat_identities") {
			t.Error("the response contains an inner error")
		}
		if cause := fmt.Sprint(srv.logLine(r.body.RequestID)["cause"]); !strings.Contains(cause, "no such table") {
			t.Errorf("the log's cause is %s", cause)
		}
	})
}

// blockedStore is a storage that never responds.
type blockedStore struct {
	handlers.Sessions
	handlers.Users
	handlers.Eraser
}

func (blockedStore) Create(ctx context.Context, _ session.Session) (string, error) {
	<-ctx.Done()
	return "", fmt.Errorf("%w: %w", session.ErrUnavailable, ctx.Err())
}

func (blockedStore) Revoke(ctx context.Context, _ string) error {
	<-ctx.Done()
	return fmt.Errorf("%w: %w", session.ErrUnavailable, ctx.Err())
}

func (h blockedStore) RevokeAll(ctx context.Context, _, _ string) error { return h.Revoke(ctx, "") }

func (blockedStore) Login(ctx context.Context, _ store.Identity) (store.User, bool, error) {
	<-ctx.Done()
	return store.User{}, false, fmt.Errorf("%w: %w", store.ErrUnavailable, ctx.Err())
}

func (blockedStore) Lookup(ctx context.Context, _ string) (session.Session, error) {
	<-ctx.Done()
	return session.Session{}, fmt.Errorf("%w: %w", session.ErrUnavailable, ctx.Err())
}

// blockedMySQL has sessions that respond at once, all of one user.
type blockedMySQL struct{ blockedStore }

func (blockedMySQL) Create(context.Context, session.Session) (string, error) { return "token", nil }

func (blockedMySQL) Lookup(context.Context, string) (session.Session, error) {
	return session.Session{AppID: appID, OpenID: "o1"}, nil
}

func (blockedMySQL) Age(session.Session) time.Duration { return 0 }

func (blockedMySQL) Revoke(context.Context, string) error { return nil }

func (blockedMySQL) Find(ctx context.Context, _, _ string) (store.User, error) {
	return blockedUser(ctx)
}

func (blockedMySQL) EraseIdentity(ctx context.Context, _, _ string, _ time.Time, _ store.Cause) (store.User, error) {
	return blockedUser(ctx)
}

func (blockedMySQL) Remove(ctx context.Context, _, _ string, _ store.Removal, _ store.Cause) (store.User, error) {
	return blockedUser(ctx)
}

func blockedUser(ctx context.Context) (store.User, error) {
	<-ctx.Done()
	return store.User{}, fmt.Errorf("%w: %w", store.ErrUnavailable, ctx.Err())
}

// okWeChat is an app whose WeChat accepts every code.
type okWeChat struct{}

func (okWeChat) AppID() string { return appID }

func (okWeChat) Code2Session(context.Context, string) (wechat.Session, error) {
	return wechat.Session{OpenID: "o1", SessionKey: "tiihtNczf5v6AKRyjwEUhQ=="}, nil
}

func TestStorageTimeout(t *testing.T) {
	for name, tt := range map[string]struct {
		sessions handlers.Sessions
		users    handlers.Users
		eraser   handlers.Eraser
		requests []string // method, path and form
	}{
		"redis": {blockedStore{}, blockedStore{}, blockedStore{}, []string{
			"POST /onLogin code=c", "POST /updateUserInfo token=t", "POST /logout token=t", "GET /myData ",
			"POST /deleteAccount token=t&confirm=delete", "POST /unbindPhone token=t",
		}},
		"mysql": {blockedMySQL{}, blockedMySQL{}, blockedMySQL{}, []string{
			"POST /onLogin code=c", "GET /myData ", "POST /deleteAccount token=t&confirm=delete", "POST /unbindPhone token=t",
		}},
	} {
		h, err := handlers.NewPublic(handlers.PublicOptions{
			Apps: []handlers.CodeExchanger{okWeChat{}}, Sessions: tt.sessions, Users: tt.users, Eraser: tt.eraser,
			Logger: slog.New(slog.DiscardHandler), Metrics: handlers.NewMetrics(), StorageTimeout: time.Millisecond,
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, request := range tt.requests {
			parts := strings.SplitN(request, " ", 3)
			rec := httptest.NewRecorder()
			req := httptest.NewRequest(parts[0], parts[1], strings.NewReader(parts[2]))
			req.Header.Set("Content-Type", formType)
			described(t, publicListener, h).ServeHTTP(rec, req)
			res := rec.Result()
			b := decode(t, res)
			if res.StatusCode != http.StatusServiceUnavailable || b.Code != "storage_unavailable" || res.Header.Get("Retry-After") == "" {
				t.Errorf("%s: %s: %d %s", name, request, res.StatusCode, b.Code)
			}
		}
	}
}

// cannedWeChat is an http.RoundTripper that returns these bodies by path.
type cannedWeChat map[string]string

func (a cannedWeChat) RoundTrip(r *http.Request) (*http.Response, error) {
	res := httptest.NewRecorder()
	res.WriteString(a[r.URL.Path])
	return res.Result(), nil
}

const (
	loginPath = "/sns/jscode2session"
	phonePath = "/wxa/business/getuserphonenumber"

	cannedSessionKey = "tiihtNczf5v6AKRyjwEUhQ=="
	cannedOpenID     = "oGZUI0egBJY1zhBYw2KhdUfwVJJE"
	cannedLogin      = `{"openid":"` + cannedOpenID + `","session_key":"` + cannedSessionKey + `"}`
)

// withResponses replaces WeChat. For a phone number, an access_token is needed too.
func withResponses(a cannedWeChat) func(*serverConfig) {
	return func(cfg *serverConfig) { cfg.wechat.Transport = a }
}

// errorLines returns the log lines at level error.
func (srv *testServer) errorLines() (lines []map[string]any) {
	srv.t.Helper()
	for text := range strings.Lines(srv.logs.String()) {
		var line map[string]any
		if json.Unmarshal([]byte(text), &line) == nil && line["level"] == "ERROR" {
			lines = append(lines, line)
		}
	}
	return lines
}

// If WeChat's response to a code lacks a required field, the code is spent and cannot be used again.
func TestOnLogin_UnusableResponses(t *testing.T) {
	for name, test := range map[string]struct{ answer, missing string }{
		"nothing":               {`{}`, "openid, session_key"},
		"an errcode of 0 alone": {`{"errcode":0,"errmsg":"ok"}`, "openid, session_key"},
		"no openid":             {`{"session_key":"` + cannedSessionKey + `"}`, "openid"},
		"an openid as a number": {`{"openid":12,"session_key":"` + cannedSessionKey + `"}`, "openid"},
		"no session_key":        {`{"openid":"` + cannedOpenID + `"}`, "session_key"},
		"a short session_key":   {`{"openid":"` + cannedOpenID + `","session_key":"AAAA"}`, "session_key"},
		"a session_key as null": {`{"openid":"` + cannedOpenID + `","session_key":null}`, "session_key"},
	} {
		t.Run(name, func(t *testing.T) {
			srv := newTestServer(t, withResponses(cannedWeChat{loginPath: test.answer}))
			r := srv.postForm("/onLogin", "code", "0a1b2c3d4e5f")
			srv.wantProblem(r, 400, "invalid_code", "relogin")
			if r.header.Get("Retry-After") != "" {
				t.Error("Retry-After is set, but the code cannot be used again")
			}
			srv.wantUsers("0", "0")
			srv.wantKeys(0)
			lines := srv.errorLines()
			if len(lines) != 1 || lines[0]["cause"] != "wechat: jscode2session: unusable response: no usable "+test.missing {
				t.Errorf("error lines: %v", lines)
			}
			for _, value := range []string{cannedSessionKey, cannedOpenID, "0a1b2c3d4e5f"} {
				if strings.Contains(srv.logs.String()+r.raw, value) {
					t.Error("a value of WeChat's response, or the code, is in the log or the response")
				}
			}
			if n := srv.metric(`wxlogin_logins_total{outcome="unusable_answer"}`); n != "1" {
				t.Errorf("%s logins with an unusable response, want 1", n)
			}
			if n := srv.metric(`wxlogin_wechat_calls_total{api="jscode2session",errcode="unusable"}`); n != "1" {
				t.Errorf("%s calls with an unusable response, want 1", n)
			}
		})
	}
}

// An unreadable response may come from a gateway in between, so the code may still be valid.
func TestOnLogin_UnreadableResponses(t *testing.T) {
	for name, answer := range map[string]string{"a page": "<html>", "half an answer": cannedLogin[:40], "nothing": ""} {
		t.Run(name, func(t *testing.T) {
			srv := newTestServer(t, withResponses(cannedWeChat{loginPath: answer}))
			srv.wantProblem(srv.postForm("/onLogin", "code", "c"), 503, "wechat_unavailable", "retry")
			srv.wantUsers("0", "0")
		})
	}
}

func TestOnLogin_UnusualResponses(t *testing.T) {
	srv := newTestServer(t, withResponses(cannedWeChat{loginPath: "\ufeff{\"errcode\":\"0\",\"errmsg\":\"\n\xff\",\"unionid\":{}," + cannedLogin[1:]}))
	if r := srv.postForm("/onLogin", "code", "c"); r.status != http.StatusOK || r.body.Token == "" {
		t.Errorf("got %d %s", r.status, r.body.Code)
	}
	srv.wantUsers("1", "1")
}

func TestOnLogin_ErrCodes(t *testing.T) {
	for answer, want := range map[string][2]string{
		`{"errcode":"40029"}`: {"invalid_code", "relogin"},
		`{"errcode":40013}`:   {"misconfigured", "none"},
		`{"errcode":61024}`:   {"misconfigured", "none"},
		`{"errcode":89503}`:   {"misconfigured", "none"},
		`{"errcode":77777}`:   {"misconfigured", "none"},
		`{"errcode":-1000}`:   {"wechat_unavailable", "retry"},
	} {
		srv := newTestServer(t, withResponses(cannedWeChat{loginPath: answer}))
		status := 503
		if want[0] == "invalid_code" {
			status = 400
		}
		srv.wantProblem(srv.postForm("/onLogin", "code", "c"), status, want[0], want[1])
	}
}

func TestBindPhone_UnusableResponses(t *testing.T) {
	const number = "13800138000"
	for name, test := range map[string]struct{ answer, missing string }{
		"no phone_info":         {`{"errcode":0}`, "purePhoneNumber, countryCode"},
		"no country code":       {`{"phone_info":{"phoneNumber":"+86` + number + `","purePhoneNumber":"` + number + `"}}`, "countryCode"},
		"no number":             {`{"phone_info":{"countryCode":"86"}}`, "purePhoneNumber"},
		"a number of no digits": {`{"phone_info":{"countryCode":"86","purePhoneNumber":"` + number[:5] + `****"}}`, "purePhoneNumber"},
	} {
		t.Run(name, func(t *testing.T) {
			srv := newTestServer(t, withResponses(cannedWeChat{
				loginPath: cannedLogin, phonePath: test.answer, "/cgi-bin/stable_token": `{"access_token":"a","expires_in":"7200"}`,
			}))
			token := srv.postForm("/onLogin", "code", "c").body.Token
			r := srv.postForm("/bindPhone", "token", token, "code", "c")
			srv.wantProblem(r, 400, "invalid_code", "relogin")
			if got := srv.queryText("SELECT COUNT(*) FROM users WHERE phone_number <> ''"); got != "0" {
				t.Error("a number was stored")
			}
			lines := srv.errorLines()
			want := "wechat: getuserphonenumber: unusable response: no usable " + test.missing
			if len(lines) != 1 || lines[0]["cause"] != want || strings.Contains(srv.logs.String(), number[:5]) {
				t.Errorf("error lines: %v", lines)
			}
			if n := srv.metric(`wxlogin_wechat_calls_total{api="getuserphonenumber",errcode="unusable"}`); n != "1" {
				t.Errorf("%s calls with an unusable response, want 1", n)
			}
		})
	}
}

// gatedWeChat is an app that announces each call of WeChat and waits for release.
type gatedWeChat struct {
	handlers.CodeExchanger
	called, release chan struct{}
}

func (g gatedWeChat) Code2Session(ctx context.Context, code string) (wechat.Session, error) {
	g.called <- struct{}{}
	<-g.release
	return g.CodeExchanger.Code2Session(ctx, code)
}

// newGatedServer returns a server with limits whose logins wait in gatedWeChat.
func newGatedServer(t *testing.T, l handlers.Limits) (srv *testServer, g gatedWeChat) {
	t.Helper()
	g = gatedWeChat{called: make(chan struct{}), release: make(chan struct{})}
	return newTestServer(t, withLimits(l), func(cfg *serverConfig) {
		cfg.wrapApp = func(e handlers.CodeExchanger) handlers.CodeExchanger { g.CodeExchanger = e; return g }
	}), g
}

// startLogin logs a user in and returns a channel for the status of the response.
func (srv *testServer) startLogin(name string) <-chan int {
	srv.t.Helper()
	form := url.Values{"code": {srv.device(name).Login()}}
	status := make(chan int, 1)
	go func() {
		res, err := http.PostForm(srv.public.URL+"/onLogin", form)
		if err != nil {
			srv.t.Error(err)
			status <- 0
			return
		}
		res.Body.Close()
		status <- res.StatusCode
	}()
	return status
}

// waitFor waits for a condition that is bound to become true.
func waitFor(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
	}
}

func TestLoginSlots(t *testing.T) {
	t.Run("rejects a login if the queue is full", func(t *testing.T) {
		srv, weChat := newGatedServer(t, handlers.Limits{LoginsInFlight: 1, LoginWait: time.Hour})
		first := srv.startLogin("first")
		<-weChat.called
		second := srv.startLogin("second")
		waitFor(t, "the second login queues", func() bool { return srv.metric("wxlogin_logins_queued") == "1" })
		if got := srv.metric("wxlogin_logins_in_flight"); got != "1" {
			t.Errorf("%s logins in flight, want 1", got)
		}

		r := srv.postForm("/onLogin", "code", srv.device("third").Login())
		srv.wantProblem(r, 503, "wechat_unavailable", "retry")
		srv.wantRefusals("logins_in_flight", "1")
		// Updates and logouts do not call WeChat, so they go on.
		srv.wantInvalidToken("x")
		srv.mustLogout("token", "x")

		weChat.release <- struct{}{}
		<-weChat.called // the second login has the slot of the first
		weChat.release <- struct{}{}
		for name, status := range map[string]<-chan int{"first": first, "second": second} {
			if got := <-status; got != http.StatusOK {
				t.Errorf("%s login: status %d", name, got)
			}
		}
		srv.wantUsers("2", "2")
	})

	t.Run("rejects a login that has waited too long", func(t *testing.T) {
		srv, weChat := newGatedServer(t, handlers.Limits{LoginsInFlight: 1, LoginWait: time.Millisecond})
		first := srv.startLogin("first")
		<-weChat.called
		srv.wantProblem(srv.postForm("/onLogin", "code", srv.device("second").Login()), 503, "wechat_unavailable", "retry")
		weChat.release <- struct{}{}
		if got := <-first; got != http.StatusOK {
			t.Errorf("login in progress: status %d", got)
		}
		// The slot is free again.
		third := srv.startLogin("third")
		<-weChat.called
		weChat.release <- struct{}{}
		if got := <-third; got != http.StatusOK {
			t.Errorf("next login: status %d", got)
		}
	})

	// A client that disconnects leaves the queue.
	t.Run("frees the queue if a client disconnects", func(t *testing.T) {
		srv, weChat := newGatedServer(t, handlers.Limits{LoginsInFlight: 1, LoginWait: time.Hour})
		first := srv.startLogin("first")
		<-weChat.called
		ctx, cancel := context.WithCancel(t.Context())
		req := srv.request("/onLogin", formType, url.Values{"code": {srv.device("second").Login()}}.Encode()).WithContext(ctx)
		gone := make(chan struct{})
		go func() {
			defer close(gone)
			if res, err := http.DefaultClient.Do(req); err == nil {
				res.Body.Close()
				t.Error("the request got a response")
			}
		}()
		waitFor(t, "the second login queues", func() bool { return srv.metric("wxlogin_logins_queued") == "1" })
		cancel()
		<-gone
		waitFor(t, "the queue is empty", func() bool { return srv.metric("wxlogin_logins_queued") == "0" })
		weChat.release <- struct{}{}
		if got := <-first; got != http.StatusOK {
			t.Errorf("login in progress: status %d", got)
		}
	})
}

func TestLoginSlots_RateLimit(t *testing.T) {
	// A client beyond its limit takes no slot, not even in the queue, and is rejected for its rate.
	t.Run("rejects a client beyond its limit before it queues", func(t *testing.T) {
		srv, weChat := newGatedServer(t, handlers.Limits{LoginsInFlight: 1, LoginWait: time.Hour, Logins: 2})
		first := srv.startLogin("first")
		<-weChat.called
		second := srv.startLogin("second")
		waitFor(t, "the second login queues", func() bool { return srv.metric("wxlogin_logins_queued") == "1" })
		srv.wantLimited(srv.postForm("/onLogin", "code", srv.device("third").Login())) // not for the full queue
		srv.wantRefusals("login_rate", "1")

		weChat.release <- struct{}{}
		<-weChat.called
		weChat.release <- struct{}{}
		if a, b := <-first, <-second; a != http.StatusOK || b != http.StatusOK {
			t.Errorf("status %d and %d", a, b)
		}
	})

	t.Run("does not count a login that gets no slot", func(t *testing.T) {
		srv, weChat := newGatedServer(t, handlers.Limits{LoginsInFlight: 1, LoginWait: time.Millisecond, Logins: 2})
		first := srv.startLogin("first")
		<-weChat.called
		for range 5 {
			srv.wantProblem(srv.postForm("/onLogin", "code", srv.device("second").Login()), 503, "wechat_unavailable", "retry")
		}
		weChat.release <- struct{}{}
		<-first
		second := srv.startLogin("second")
		<-weChat.called
		weChat.release <- struct{}{}
		if got := <-second; got != http.StatusOK {
			t.Errorf("status %d", got)
		}
	})
}
