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

// protectedServer is a handler behind Middleware that records the sessions it served.
type protectedServer struct {
	http.Handler
	served []session.Session
}

func (f *fixture) protectedServer(t *testing.T) *protectedServer {
	s := &protectedServer{}
	s.Handler = f.Middleware(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sess, ok := session.FromContext(r.Context())
		if !ok {
			t.Error("a request without a session came through")
		}
		s.served = append(s.served, sess)
	}))
	return s
}

// get sends a request, with an Authorization header if that is not empty.
func (s *protectedServer) get(authorization string) *http.Response {
	r := httptest.NewRequest(http.MethodGet, "/orders", nil)
	if authorization != "" {
		r.Header.Set("Authorization", authorization)
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w.Result()
}

func TestStore_Middleware(t *testing.T) {
	t.Run("puts the session into the context", func(t *testing.T) {
		f := newFixture(t)
		s := f.protectedServer(t)
		token := f.login(t, openID, sessionKey)
		if res := s.get("Bearer " + token); res.StatusCode != http.StatusOK {
			t.Errorf("status %d", res.StatusCode)
		}
		if len(s.served) != 1 || s.served[0] != f.mustFind(t, token) {
			t.Errorf("served %v", s.served)
		}
	})

	t.Run("prolongs the session", func(t *testing.T) {
		f := newFixture(t)
		s := f.protectedServer(t)
		token := f.login(t, openID, sessionKey)
		for range 3 {
			f.advance(t, session.DefaultIdleTTL-time.Hour)
			s.get("Bearer " + token)
		}
		f.mustFind(t, token)
	})

	t.Run("refuses a request without a session", func(t *testing.T) {
		f := newFixture(t)
		s := f.protectedServer(t)
		ended := f.login(t, openID, sessionKey)
		if err := f.Revoke(t.Context(), ended); err != nil {
			t.Fatal(err)
		}
		for _, authorization := range []string{"", "Bearer", "Bearer x", "Basic " + ended, "Bearer " + ended} {
			res := s.get(authorization)
			wantProblem(t, res, http.StatusUnauthorized, "invalid_token", "relogin")
			if res.Header.Get("WWW-Authenticate") != "Bearer" {
				t.Error("no WWW-Authenticate")
			}
		}
		if len(s.served) != 0 {
			t.Errorf("served %v", s.served)
		}
	})

	// A token is not reported as invalid because Redis is down.
	t.Run("answers 503 if Redis is down", func(t *testing.T) {
		f := newFixture(t, unreachable)
		s := f.protectedServer(t)
		res := s.get("Bearer AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")
		wantProblem(t, res, http.StatusServiceUnavailable, "storage_unavailable", "retry")
		if res.Header.Get("Retry-After") == "" {
			t.Error("no Retry-After")
		}
	})

	t.Run("calls the ErrorHandler", func(t *testing.T) {
		var got error
		f := newFixture(t, func(o *session.Options) {
			o.ErrorHandler = func(w http.ResponseWriter, _ *http.Request, err error) {
				got = err
				w.WriteHeader(http.StatusTeapot)
			}
		})
		s := f.protectedServer(t)
		if res := s.get(""); res.StatusCode != http.StatusTeapot || !errors.Is(got, session.ErrNotFound) {
			t.Errorf("status %d, %v", res.StatusCode, got)
		}
	})
}

// wantProblem fails unless the response is this problem, in the login server's format.
func wantProblem(t *testing.T, res *http.Response, status int, code, action string) {
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
		t.Errorf("the problem is incomplete: %+v, %v", body, res.Header)
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
