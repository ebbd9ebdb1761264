package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"wxlogin/internal/contract"
)

// inProcess is a transport without a network, so that a test's time can stand still meanwhile.
type inProcess struct{ http.Handler }

func (t inProcess) RoundTrip(req *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	req = req.Clone(req.Context())
	if req.Body == nil {
		req.Body = http.NoBody
	}
	t.ServeHTTP(w, req)
	return w.Result(), nil
}

// fake is as much of a server as tests of time and of exit codes need: everybody is somebody without a profile.
type fake struct {
	takes  time.Duration                   // for each request
	before func(*http.Request) *fakeAnswer // nil, or an answer in the place of the usual one

	mu    sync.Mutex
	times []time.Time // of requests, from their beginning
}

type fakeAnswer struct {
	status int
	body   any
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	f.times = append(f.times, time.Now())
	f.mu.Unlock()
	time.Sleep(f.takes)
	a := fakeAnswer{200, contract.User{Status: 200}}
	if r.URL.Path == "/onLogin" {
		a.body = contract.Login{Status: 200, Token: strings.Repeat("t", contract.TokenLength), ExpiresIn: 1 << 20}
	}
	if f.before != nil {
		if other := f.before(r); other != nil {
			a = *other
		}
	}
	w.Header().Set("X-Request-Id", r.Header.Get("X-Request-Id"))
	w.Header().Set("Content-Type", "application/json")
	if a.status != 200 {
		w.Header().Set("Content-Type", "application/problem+json")
	}
	if a.status == 429 || a.status == 503 {
		w.Header().Set("Retry-After", "4")
	}
	if a.status == 401 {
		w.Header().Set("WWW-Authenticate", "Bearer")
	}
	w.WriteHeader(a.status)
	json.NewEncoder(w).Encode(a.body) // a recorder takes everything
}

// problem is a refusal that keeps the contract.
func problem(r *http.Request, code string) *fakeAnswer {
	p, _ := contract.Lookup(code)
	return &fakeAnswer{p.Status, contract.Problem{
		Type: "t", Title: "t", Status: p.Status, Detail: "d", Code: code, Action: p.Action, RequestID: r.Header.Get("X-Request-Id"),
	}}
}

// slow is a handler that takes its time.
func slow(h http.Handler, takes time.Duration) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(takes)
		h.ServeHTTP(w, r)
	})
}

// configOf is what a command line says, after what every one needs.
func configOf(t *testing.T, args ...string) config {
	t.Helper()
	t.Setenv("INTERNAL_API_KEY", "")
	var stderr strings.Builder
	c, err := parse(append([]string{"-server", "http://server", "-wechat", "http://wechat", "-progress", "0s"}, args...), &stderr, &stderr)
	if err != nil {
		t.Fatalf("%v: %s", err, stderr.String())
	}
	return c
}
