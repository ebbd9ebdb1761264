package handlers_test

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/go-chi/chi/v5"

	"wxlogin/handlers"
)

const (
	describedProfile = `"status":200,"profileComplete":false,"phoneNumber":"","userInfo":{"nickName":"","avatarUrl":"","gender":0,` +
		`"country":"","province":"","city":"","language":""}`
	describedLogin   = `{"token":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA","expiresIn":1,"isNewUser":true,` + describedProfile + `}`
	describedProblem = `{"type":"urn:wxlogin:problem:invalid_code","title":"t","status":400,"detail":"d","code":"invalid_code",` +
		`"action":"relogin","requestId":"id"}`
)

// loginExchange returns a login with one of these responses.
func loginExchange(status int, response string) *exchange {
	x := &exchange{listener: publicListener, routes: chi.NewRouter(), status: status, header: http.Header{
		"X-Request-Id": {"id"}, "Cache-Control": {"no-store"}, "X-Content-Type-Options": {"nosniff"}, "Content-Type": {"application/json"},
	}}
	if status >= 400 {
		x.header.Set("Content-Type", "application/problem+json")
	}
	x.routes.(*chi.Mux).Post("/onLogin", nil)
	x.routes.(*chi.Mux).Get("/userInfo", nil)
	x.routes.(*chi.Mux).Get("/other", nil)
	x.request = httptest.NewRequest(http.MethodPost, "/onLogin", nil)
	x.request.Header.Set("Content-Type", formType)
	x.sent.WriteString("code=c")
	x.response.WriteString(response)
	return x
}

// newDescription returns a description that has seen nothing.
func newDescription(t *testing.T) *description {
	return &description{T: openAPI(t).T, seen: make(map[string]bool), compared: make(map[string]bool)}
}

// What docs/openapi.yaml does not say is an error.
func TestOpenAPI_Check(t *testing.T) {
	replaced := func(status int, response, old, new string) *exchange {
		return loginExchange(status, strings.Replace(response, old, new, 1))
	}
	changed := func(change func(x *exchange)) *exchange {
		x := loginExchange(200, describedLogin)
		change(x)
		return x
	}
	for name, x := range map[string]*exchange{
		"another field":            replaced(200, describedLogin, `{`, `{"openid":"o",`),
		"another field within":     replaced(200, describedLogin, `"gender":0`, `"gender":0,"openid":"o"`),
		"a missing field":          replaced(200, describedLogin, `"isNewUser":true,`, ``),
		"a missing common field":   replaced(200, describedLogin, `"phoneNumber":"",`, ``),
		"a value of another type":  replaced(200, describedLogin, `"expiresIn":1`, `"expiresIn":"1"`),
		"a value of another form":  replaced(200, describedLogin, `"AAA`, `"AA`),
		"another value":            replaced(200, describedLogin, `"gender":0`, `"gender":3`),
		"another status":           loginExchange(201, describedLogin),
		"an error of other routes": replaced(400, strings.ReplaceAll(describedProblem, "invalid_code", "invalid_token"), "400", "401"),
		"another code":             loginExchange(400, strings.ReplaceAll(describedProblem, "invalid_code", "forbidden")),
		"a code's other action":    replaced(400, describedProblem, "relogin", "none"),
		"a code's other status":    replaced(400, describedProblem, "400", "403"),
		"another media type":       changed(func(x *exchange) { x.header.Set("Content-Type", "text/html") }),
		"another header":           changed(func(x *exchange) { x.header.Set("Server", "wxlogin") }),
		"a missing header":         changed(func(x *exchange) { x.header.Del("X-Content-Type-Options") }),
		"another header's value":   changed(func(x *exchange) { x.header.Set("Cache-Control", "public") }),
		"the other listener":       changed(func(x *exchange) { x.listener = internalListener }),
		"another route":            changed(func(x *exchange) { x.request = httptest.NewRequest(http.MethodGet, "/other", nil) }),
		"no route":                 changed(func(x *exchange) { x.request.URL.Path = "/none" }),
		"a request without a code": changed(func(x *exchange) { x.sent = *bytes.NewBufferString("appid=wx0123456789abcdef") }),
		"a request without token":  changed(func(x *exchange) { x.request = httptest.NewRequest(http.MethodGet, "/userInfo", nil) }),
	} {
		if newDescription(t).check(x) == nil {
			t.Errorf("%s: no error", name)
		}
	}
	for status, response := range map[int]string{200: describedLogin, 400: describedProblem} {
		if err := newDescription(t).check(loginExchange(status, response)); err != nil {
			t.Errorf("%d: %v", status, err)
		}
	}
}

// Errors of routes that no test of their topic shows.
func TestProblems_ByRoute(t *testing.T) {
	var cfg *serverConfig
	srv := newTestServer(t, withAPIKey, withAccessTokens, func(c *serverConfig) { c.limits, cfg = handlers.Limits{Updates: 1}, c })
	token := srv.login(srv.device("alice")).Token
	large := "reason=" + strings.Repeat("x", 64<<10)
	form, text := header{"Content-Type", formType}, header{"Content-Type", "text/plain"}
	for _, call := range []struct {
		method, path, content string
		contentType           header
		status                int
		code                  string
	}{
		{"DELETE", "/users/1", "reason=a&reason=b", form, 400, "invalid_request"},
		{"DELETE", "/users/1", large, form, 413, "request_too_large"},
		{"DELETE", "/users/1", "reason", text, 415, "unsupported_media_type"},
		{"POST", "/introspect", large, form, 413, "request_too_large"},
		{"POST", "/introspect", token, text, 415, "unsupported_media_type"},
		{"POST", "/sign", large, form, 413, "request_too_large"},
		{"POST", "/sign", token, text, 415, "unsupported_media_type"},
		{"POST", "/decrypt", large, form, 413, "request_too_large"},
		{"POST", "/decrypt", token, text, 415, "unsupported_media_type"},
		{"POST", "/accessToken", large, form, 413, "request_too_large"},
		{"PUT", "/users/1/status", large, form, 413, "request_too_large"},
		{"PUT", "/users/1/status", "disabled", text, 415, "unsupported_media_type"},
		{"PUT", "/users/1/externalId", large, form, 413, "request_too_large"},
		{"PUT", "/users/1/externalId", "7", text, 415, "unsupported_media_type"},
		{"DELETE", "/users/999/externalId", "", form, 404, "not_found"},
	} {
		srv.wantProblem(srv.callInternal(call.method, call.path, call.content, withKey, call.contentType).response, call.status, call.code, "none")
	}
	srv.wantUsers("1", "1")
	if got := srv.queryText("SELECT COUNT(*) FROM user_changes"); got != "0" {
		t.Errorf("%s changes", got)
	}
	for key, want := range map[string]int{apiKey: http.StatusOK, "": http.StatusUnauthorized} {
		if status, _ := srv.pprof("symbol", key); status != want {
			t.Errorf("symbol: %d, want %d", status, want)
		}
	}
	down := newTestServer(t, withAPIKey, func(c *serverConfig) { c.dsn = "root@tcp(127.0.0.1:1)/wxlogin" })
	srv.wantProblem(down.callInternal("DELETE", "/users/1/externalId", "", withKey).response, 503, "storage_unavailable", "retry")
	srv.postForm("/updateUserInfo", "token", token, "nickName", "Alice")
	srv.wantProblem(srv.postForm("/unbindPhone", "token", token), 429, "rate_limited", "retry")
	srv.wantProblem(srv.myData(token), 429, "rate_limited", "retry")

	const picture = "/avatars/00000000000000000000000000000000.jpg"
	srv.wantStatus(http.MethodHead, picture, http.StatusNotFound)
	srv.must(cfg.avatars.Close())
	srv.wantStatus(http.MethodGet, picture, http.StatusServiceUnavailable)
	srv.wantStatus(http.MethodHead, picture, http.StatusServiceUnavailable)
}

// wantStatus checks the status of a path of the public listener.
func (srv *testServer) wantStatus(method, path string, want int) {
	srv.t.Helper()
	req, err := http.NewRequest(method, srv.public.URL+path, nil)
	srv.must(err)
	res, err := http.DefaultClient.Do(req)
	srv.must(err)
	_, _ = io.Copy(io.Discard, res.Body)
	res.Body.Close()
	if res.StatusCode != want {
		srv.t.Errorf("%s %s: %d, want %d", method, path, res.StatusCode, want)
	}
}
