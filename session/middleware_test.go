package session_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"wxlogin/session"
)

// behind is a handler behind Middleware that keeps whom it has served.
type behind struct {
	http.Handler
	served []session.Session
}

func (f *fixture) behind(t *testing.T, refuse func(http.ResponseWriter, *http.Request, error)) *behind {
	b := &behind{}
	b.Handler = f.Middleware(refuse)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sess, ok := session.FromContext(r.Context())
		if !ok {
			t.Error("a request without a session came through")
		}
		b.served = append(b.served, sess)
	}))
	return b
}

// get asks with an Authorization header, where it is not empty.
func (b *behind) get(authorization string) *http.Response {
	r := httptest.NewRequest(http.MethodGet, "/orders", nil)
	if authorization != "" {
		r.Header.Set("Authorization", authorization)
	}
	w := httptest.NewRecorder()
	b.ServeHTTP(w, r)
	return w.Result()
}

func TestMiddleware_puts_the_session_into_the_context(t *testing.T) {
	f := newFixture(t)
	b := f.behind(t, nil)
	token := f.login(t, openID, sessionKey)
	if res := b.get("Bearer " + token); res.StatusCode != http.StatusOK {
		t.Errorf("status %d", res.StatusCode)
	}
	if len(b.served) != 1 || b.served[0] != f.mustFind(t, token) {
		t.Errorf("served %v", b.served)
	}
}

func TestMiddleware_slides_the_session(t *testing.T) {
	f := newFixture(t)
	b := f.behind(t, nil)
	token := f.login(t, openID, sessionKey)
	for range 3 {
		f.pass(t, session.DefaultIdleTTL-time.Hour)
		b.get("Bearer " + token)
	}
	f.mustFind(t, token)
}

func TestMiddleware_refuses_what_is_no_session(t *testing.T) {
	f := newFixture(t)
	b := f.behind(t, nil)
	ended := f.login(t, openID, sessionKey)
	if err := f.Revoke(t.Context(), ended); err != nil {
		t.Fatal(err)
	}
	for _, authorization := range []string{"", "Bearer", "Bearer x", "Basic " + ended, "Bearer " + ended} {
		res := b.get(authorization)
		wantRefusal(t, res, http.StatusUnauthorized, "invalid_token", "relogin")
		if res.Header.Get("WWW-Authenticate") != "Bearer" {
			t.Error("no WWW-Authenticate")
		}
	}
	if len(b.served) != 0 {
		t.Errorf("served %v", b.served)
	}
}

// A token is not called invalid because Redis is away.
func TestMiddleware_tells_an_outage_from_a_miss(t *testing.T) {
	f := newFixture(t, unreachable)
	b := f.behind(t, nil)
	res := b.get("Bearer AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")
	wantRefusal(t, res, http.StatusServiceUnavailable, "storage_unavailable", "retry")
	if res.Header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
}

func TestMiddleware_lets_the_caller_refuse(t *testing.T) {
	f := newFixture(t)
	var got error
	b := f.behind(t, func(w http.ResponseWriter, _ *http.Request, err error) {
		got = err
		w.WriteHeader(http.StatusTeapot)
	})
	if res := b.get(""); res.StatusCode != http.StatusTeapot || !errors.Is(got, session.ErrNotFound) {
		t.Errorf("status %d, %v", res.StatusCode, got)
	}
}

// wantRefusal fails unless an answer is this problem, in the form of the login server's own.
func wantRefusal(t *testing.T, res *http.Response, status int, code, action string) {
	t.Helper()
	var body struct {
		Type, Title, Detail, Code, Action string
		Status                            int
	}
	if err := json.NewDecoder(res.Body).Decode(&body); err != nil {
		t.Fatal(err)
	}
	if res.StatusCode != status || body.Status != status || body.Code != code || body.Action != action {
		t.Errorf("got %d %+v, want %d %s %s", res.StatusCode, body, status, code, action)
	}
	if body.Type != "urn:wxlogin:problem:"+code || body.Title == "" || body.Detail == "" ||
		res.Header.Get("Content-Type") != "application/problem+json; charset=utf-8" || res.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("the problem is not whole: %+v, %v", body, res.Header)
	}
}

func TestBearerToken(t *testing.T) {
	for name, test := range map[string]struct {
		header []string
		want   string
		ok     bool
	}{
		"none":           {nil, "", false},
		"bearer":         {[]string{"Bearer abc"}, "abc", true},
		"any case":       {[]string{"bEARER abc"}, "abc", true},
		"more spaces":    {[]string{"Bearer   abc "}, "abc", true},
		"scheme alone":   {[]string{"Bearer"}, "", true},
		"another scheme": {[]string{"Basic abc"}, "", false},
		"token alone":    {[]string{"abc"}, "", false},
		"twice":          {[]string{"Bearer abc", "Bearer abc"}, "", false},
		"empty":          {[]string{""}, "", false},
	} {
		t.Run(name, func(t *testing.T) {
			token, ok := session.BearerToken(http.Header{"Authorization": test.header})
			if token != test.want || ok != test.ok {
				t.Errorf("got %q, %v; want %q, %v", token, ok, test.want, test.ok)
			}
		})
	}
}
