package wechattest_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"wxlogin/wechat/wechattest"
)

const (
	appA, secretA = "wxaaaaaaaaaaaaaaaa", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	appB, secretB = "wxbbbbbbbbbbbbbbbb", "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
)

// clock is a clock that the test moves.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Unix(0x652d44d0, 0)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func newSimulator(o wechattest.Options) *wechattest.Simulator {
	o.Apps = map[string]string{appA: secretA, appB: secretB}
	return wechattest.New(o)
}

// wxResponse has all fields of jscode2session's responses.
type wxResponse struct {
	SessionKey string  `json:"session_key"`
	OpenID     string  `json:"openid"`
	UnionID    *string `json:"unionid"`
	ErrCode    int     `json:"errcode"`
	ErrMsg     string  `json:"errmsg"`
}

func query(appID, secret, code string) url.Values {
	return url.Values{"appid": {appID}, "secret": {secret}, "js_code": {code}, "grant_type": {"authorization_code"}}
}

// exchange sends a GET in WeChat's form and returns the response and its body.
func exchange(t testing.TB, sim http.Handler, q url.Values) (wxResponse, string) {
	t.Helper()
	return send(t, sim, httptest.NewRequest(http.MethodGet, "/sns/jscode2session?"+q.Encode(), nil))
}

func send(t testing.TB, sim http.Handler, r *http.Request) (wxResponse, string) {
	t.Helper()
	w := httptest.NewRecorder()
	sim.ServeHTTP(w, r)
	if got := w.Result().Header.Get("Content-Type"); got != "text/plain" {
		t.Errorf("Content-Type %q, want WeChat's text/plain", got)
	}
	if w.Code != http.StatusOK {
		t.Errorf("HTTP status %d, want 200 for errors too", w.Code)
	}
	var a wxResponse
	if err := json.Unmarshal(w.Body.Bytes(), &a); err != nil {
		t.Fatal(err)
	}
	return a, w.Body.String()
}

// post sends a control request.
func post(t testing.TB, sim http.Handler, path string, form url.Values) (status int, body string) {
	t.Helper()
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	w := httptest.NewRecorder()
	sim.ServeHTTP(w, r)
	return w.Code, w.Body.String()
}
