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

// post sends a form over the benchmark's connections.
func (w *world) post(b *testing.B, path string, form url.Values) {
	b.Helper()
	w.postFor(b, http.StatusOK, path, form)
}

// postFor sends a form that must be answered with a status.
func (w *world) postFor(b *testing.B, status int, path string, form url.Values) {
	b.Helper()
	res, err := http.Post(w.public.URL+path, formType, strings.NewReader(form.Encode()))
	if err != nil {
		b.Fatal(err)
	}
	io.Copy(io.Discard, res.Body)
	res.Body.Close()
	if res.StatusCode != status {
		b.Fatal(res.Status)
	}
}

// BenchmarkOnLogin logs a returning user in, end to end: HTTP, WeChat's simulator, MySQL, Redis.
func BenchmarkOnLogin(b *testing.B) {
	w := newWorld(b)
	p := w.phone("alice")
	w.login(p)
	b.ReportAllocs()
	for b.Loop() {
		w.post(b, "/onLogin", url.Values{"code": {p.Login()}})
	}
}

// BenchmarkUpdateUserInfo sends a profile that is known already, end to end: HTTP, Redis, decryption, MySQL.
func BenchmarkUpdateUserInfo(b *testing.B) {
	w := newWorld(b)
	p := w.phone("alice")
	form := formOf(w.login(p).Token, p.GetUserInfo())
	b.ReportAllocs()
	for b.Loop() {
		w.post(b, "/updateUserInfo", form)
	}
}

func formOf(token string, d wechattest.OpenData) url.Values {
	return url.Values{
		"token": {token}, "encryptedData": {d.EncryptedData}, "iv": {d.IV}, "rawData": {d.RawData}, "signature": {d.Signature},
	}
}

// BenchmarkRefusal is what a request without a token costs: no storage is asked.
func BenchmarkRefusal(b *testing.B) {
	w := newWorld(b)
	b.ReportAllocs()
	for b.Loop() {
		rec := httptest.NewRecorder()
		req := httptest.NewRequest(http.MethodPost, "/updateUserInfo", strings.NewReader("iv=x"))
		req.Header.Set("Content-Type", formType)
		w.public.Config.Handler.ServeHTTP(rec, req)
	}
}
