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
		"no_code":          {"/onLogin", formType, "", 400, "invalid_request", "code"},
		"empty_code":       {"/onLogin", formType, "code=", 400, "invalid_request", "code"},
		"code_twice":       {"/onLogin", formType, "code=a&code=b", 400, "invalid_request", "twice"},
		"bad_escape":       {"/onLogin", formType, "code=%zz", 400, "invalid_request", "form-encoded"},
		"long_code":        {"/onLogin", formType, "code=" + strings.Repeat("a", 129), 400, "invalid_request", "code"},
		"code_with_space":  {"/onLogin", formType, "code=a+b", 400, "invalid_request", "code"},
		"code_with_nul":    {"/onLogin", formType, "code=a%00b", 400, "invalid_request", "code"},
		"mock_code":        {"/onLogin", formType, "code=the+code+is+a+mock+one", 400, "invalid_code", "DevTools"},
		"json_array":       {"/onLogin", "application/json", `["code"]`, 400, "invalid_request", "object"},
		"json_broken":      {"/onLogin", "application/json", `{"code":"a"`, 400, "invalid_request", "object"},
		"json_trailing":    {"/onLogin", "application/json", `{"code":"a"}{}`, 400, "invalid_request", "after the JSON object"},
		"json_number":      {"/onLogin", "application/json", `{"code":1}`, 400, "invalid_request", "code"},
		"json_twice":       {"/onLogin", "application/json", `{"code":"a","code":"b"}`, 400, "invalid_request", "twice"},
		"json_empty":       {"/onLogin", "application/json", ``, 400, "invalid_request", "object"},
		"xml":              {"/onLogin", "text/xml", "<code/>", 415, "unsupported_media_type", ""},
		"no_content_type":  {"/onLogin", "", "code=a", 415, "unsupported_media_type", ""},
		"multipart":        {"/onLogin", "multipart/form-data; boundary=x", "--x--", 415, "unsupported_media_type", ""},
		"too_large":        {"/onLogin", formType, "code=a&x=" + strings.Repeat("a", 64<<10), 413, "request_too_large", ""},
		"no_data":          {"/updateUserInfo", formType, "iv=x&token=" + token, 400, "invalid_request", "encryptedData"},
		"no_iv":            {"/updateUserInfo", formType, "encryptedData=x&token=" + token, 400, "invalid_request", "iv"},
		"half_a_signature": {"/updateUserInfo", formType, "encryptedData=x&iv=x&rawData=x&token=" + token, 400, "invalid_request", "signature"},
		"unknown_path":     {"/onlogin", formType, "code=a", 404, "not_found", ""},
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
	t.Run("too_large_in_chunks", func(t *testing.T) {
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
		t.Errorf("WeChat was asked %d times", got-calls)
	}
}
