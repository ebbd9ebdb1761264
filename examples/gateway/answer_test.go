package gateway_test

import (
	"encoding/json"
	"io"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// answer is what a client gets.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// problem is the body of a refusal.
type problem struct {
	Type, Title, Detail, Code, Action, RequestID string
	Status                                       int
}

// request is what a client sends.
type request struct {
	method, path, token string
	header              http.Header
	body                string
}

func (r request) to(t *testing.T, base string) answer {
	t.Helper()
	method := r.method
	if method == "" {
		method = http.MethodGet
	}
	req, err := http.NewRequestWithContext(t.Context(), method, base+r.path, strings.NewReader(r.body))
	if err != nil {
		t.Fatal(err)
	}
	for name, values := range r.header {
		req.Header[name] = values
	}
	if r.token != "" {
		req.Header.Set("Authorization", "Bearer "+r.token)
	}
	return do(t, req)
}

// client goes nowhere by itself.
var client = &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}

func do(t *testing.T, req *http.Request) answer {
	t.Helper()
	res, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	return readAnswer(t, res)
}

func readAnswer(t *testing.T, res *http.Response) answer {
	t.Helper()
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{res.StatusCode, res.Header, body}
}

// wantProblem checks that an answer is exactly this problem, as docs/api.md describes it.
func (a answer) wantProblem(t *testing.T, status int, code, action string) {
	t.Helper()
	var p problem
	if err := json.Unmarshal(a.body, &p); err != nil {
		t.Fatalf("status %d, %v: %s", a.status, err, a.body)
	}
	if a.status != status || p.Status != status || p.Code != code || p.Action != action {
		t.Errorf("answered %d %+v, want %d %s %s", a.status, p, status, code, action)
	}
	if media, _, err := mime.ParseMediaType(a.header.Get("Content-Type")); err != nil || media != "application/problem+json" {
		t.Errorf("Content-Type %q", a.header["Content-Type"])
	}
	if p.Type == "" || p.Title == "" || p.Detail == "" {
		t.Errorf("the problem is not whole: %+v", p)
	}
	var challenge []string // the mini-program's client goes by it
	if status == http.StatusUnauthorized {
		challenge = []string{"Bearer"}
	}
	if got := a.header.Values("WWW-Authenticate"); !slices.Equal(got, challenge) {
		t.Errorf("status %d has WWW-Authenticate %q", status, got)
	}
	seconds, err := strconv.Atoi(a.header.Get("Retry-After"))
	if retry := action == "retry"; retry != (err == nil && seconds > 0) {
		t.Errorf("action %s has Retry-After %q", action, a.header["Retry-After"])
	}
}

// wantOK reads the body of an answer 200.
func (a answer) wantOK(t *testing.T, into any) {
	t.Helper()
	if err := json.Unmarshal(a.body, into); err != nil || a.status != http.StatusOK {
		t.Fatalf("status %d, %v: %s", a.status, err, a.body)
	}
}
