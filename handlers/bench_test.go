package handlers_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"wxlogin/wechat/wechattest"
)

// postOK posts a form over a reused connection. The response must be 200.
func (srv *testServer) postOK(b *testing.B, path string, form url.Values) {
	b.Helper()
	srv.postWant(b, http.StatusOK, path, form)
}

// postWant is postOK for any status.
func (srv *testServer) postWant(b *testing.B, status int, path string, form url.Values) {
	b.Helper()
	res, err := http.Post(srv.public.URL+path, formType, strings.NewReader(form.Encode()))
	if err != nil {
		b.Fatal(err)
	}
	io.Copy(io.Discard, res.Body)
	res.Body.Close()
	if res.StatusCode != status {
		b.Fatal(res.Status)
	}
}

// BenchmarkOnLogin measures a returning login end to end: HTTP, WeChat's simulator, MySQL, Redis.
func BenchmarkOnLogin(b *testing.B) {
	srv := newTestServer(b)
	p := srv.device("alice")
	srv.login(p)
	b.ReportAllocs()
	for b.Loop() {
		srv.postOK(b, "/onLogin", url.Values{"code": {p.Login()}})
	}
}

// BenchmarkUpdateUserInfo measures an update that changes nothing, end to end: HTTP, Redis, decryption, MySQL.
func BenchmarkUpdateUserInfo(b *testing.B) {
	srv := newTestServer(b)
	p := srv.device("alice")
	form := formOf(srv.login(p).Token, p.GetUserInfo())
	b.ReportAllocs()
	for b.Loop() {
		srv.postOK(b, "/updateUserInfo", form)
	}
}

func formOf(token string, d wechattest.OpenData) url.Values {
	return url.Values{
		"token": {token}, "encryptedData": {d.EncryptedData}, "iv": {d.IV}, "rawData": {d.RawData}, "signature": {d.Signature},
	}
}

// BenchmarkRefusal measures a request without a token, which needs neither Redis nor MySQL.
func BenchmarkRefusal(b *testing.B) {
	srv := newTestServer(b)
	b.ReportAllocs()
	for b.Loop() {
		rec := httptest.NewRecorder()
		req := httptest.NewRequest(http.MethodPost, "/updateUserInfo", strings.NewReader("iv=x"))
		req.Header.Set("Content-Type", formType)
		srv.public.Config.Handler.ServeHTTP(rec, req)
	}
}
