package handlers_test

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"
)

func TestRequests_Invalid(t *testing.T) {
	srv := newTestServer(t)
	token := srv.login(srv.device("alice")).Token
	calls := srv.sim.Calls()
	tests := map[string]struct {
		path, contentType, content string
		status                     int
		code, detail               string
	}{
		"no code":          {"/onLogin", formType, "", 400, "invalid_request", "code"},
		"empty code":       {"/onLogin", formType, "code=", 400, "invalid_request", "code"},
		"code twice":       {"/onLogin", formType, "code=a&code=b", 400, "invalid_request", "twice"},
		"bad escape":       {"/onLogin", formType, "code=%zz", 400, "invalid_request", "form-encoded"},
		"long code":        {"/onLogin", formType, "code=" + strings.Repeat("a", 129), 400, "invalid_request", "code"},
		"code with space":  {"/onLogin", formType, "code=a+b", 400, "invalid_request", "code"},
		"code with nul":    {"/onLogin", formType, "code=a%00b", 400, "invalid_request", "code"},
		"mock code":        {"/onLogin", formType, "code=the+code+is+a+mock+one", 400, "invalid_code", "DevTools"},
		"json array":       {"/onLogin", "application/json", `["code"]`, 400, "invalid_request", "object"},
		"json broken":      {"/onLogin", "application/json", `{"code":"a"`, 400, "invalid_request", "object"},
		"json trailing":    {"/onLogin", "application/json", `{"code":"a"}{}`, 400, "invalid_request", "after the JSON object"},
		"json number":      {"/onLogin", "application/json", `{"code":1}`, 400, "invalid_request", "code"},
		"json twice":       {"/onLogin", "application/json", `{"code":"a","code":"b"}`, 400, "invalid_request", "twice"},
		"json empty":       {"/onLogin", "application/json", ``, 400, "invalid_request", "object"},
		"xml":              {"/onLogin", "text/xml", "<code/>", 415, "unsupported_media_type", ""},
		"no content type":  {"/onLogin", "", "code=a", 415, "unsupported_media_type", ""},
		"multipart":        {"/onLogin", "multipart/form-data; boundary=x", "--x--", 415, "unsupported_media_type", ""},
		"too large":        {"/onLogin", formType, "code=a&x=" + strings.Repeat("a", 64<<10), 413, "request_too_large", ""},
		"no data":          {"/updateUserInfo", formType, "iv=x&token=" + token, 400, "invalid_request", "encryptedData"},
		"no iv":            {"/updateUserInfo", formType, "encryptedData=x&token=" + token, 400, "invalid_request", "iv"},
		"half a signature": {"/updateUserInfo", formType, "encryptedData=x&iv=x&rawData=x&token=" + token, 400, "invalid_request", "signature"},
		"unknown path":     {"/onlogin", formType, "code=a", 404, "not_found", ""},
		"root":             {"/", formType, "", 404, "not_found", ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			r := srv.do(srv.request(tt.path, tt.contentType, tt.content))
			action := "none"
			if tt.code == "invalid_code" {
				action = "relogin"
			}
			srv.wantProblem(r, tt.status, tt.code, action)
			if !strings.Contains(r.body.Detail, tt.detail) {
				t.Errorf("detail %q does not name %s", r.body.Detail, tt.detail)
			}
		})
	}
	t.Run("compressed", func(t *testing.T) {
		req := srv.request("/onLogin", formType, "code=a")
		req.Header.Set("Content-Encoding", "gzip")
		srv.wantProblem(srv.do(req), 415, "unsupported_media_type", "none")
	})
	t.Run("too large in chunks", func(t *testing.T) {
		req := srv.request("/onLogin", formType, "")
		req.Body = io.NopCloser(bytes.NewReader(bytes.Repeat([]byte("a"), 65<<10)))
		req.ContentLength = -1
		srv.wantProblem(srv.do(req), 413, "request_too_large", "none")
	})
	t.Run("get", func(t *testing.T) {
		req := srv.request("/onLogin", formType, "")
		req.Method = http.MethodGet
		r := srv.do(req)
		srv.wantProblem(r, 405, "method_not_allowed", "none")
		if got := r.header.Get("Allow"); got != "POST" {
			t.Errorf("Allow is %q", got)
		}
	})
	if got := srv.sim.Calls(); got != calls {
		t.Errorf("%d calls to WeChat", got-calls)
	}
}
