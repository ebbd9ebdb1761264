package wechattest_test

import (
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"wxlogin/wechat"
	"wxlogin/wechat/wechattest"
)

func TestSimulator_JSCode2Session(t *testing.T) {
	t.Run("returns a session", func(t *testing.T) {
		sim := newSimulator(wechattest.Options{})
		phone := sim.Device(appA, wechattest.User{Name: "alice"})
		code := phone.Login()
		got, body := exchange(t, sim, query(appA, secretA, code))
		if len(code) != 32 || got.OpenID != phone.OpenID() || got.SessionKey != phone.SessionKey() || got.ErrCode != 0 {
			t.Errorf("got %d characters of code, openid %q, errcode %d", len(code), got.OpenID, got.ErrCode)
		}
		if !regexp.MustCompile(`^o[A-Za-z0-9_-]{27}$`).MatchString(got.OpenID) {
			t.Errorf("openid %q", got.OpenID)
		}
		if raw, err := base64.StdEncoding.DecodeString(got.SessionKey); err != nil || len(raw) != 16 {
			t.Errorf("session_key of %d bytes, %v", len(raw), err)
		}
		if strings.Contains(body, "errcode") || got.UnionID != nil {
			t.Error("a success has neither errcode nor, without a binding, unionid")
		}
	})

	t.Run("returns a unionid only if the user has one", func(t *testing.T) {
		sim := newSimulator(wechattest.Options{})
		a := sim.Device(appA, wechattest.User{Name: "alice", UnionID: "oUnion"})
		b := sim.Device(appB, wechattest.User{Name: "alice"})
		inA, _ := exchange(t, sim, query(appA, secretA, a.Login()))
		inB, _ := exchange(t, sim, query(appB, secretB, b.Login()))
		if inA.UnionID == nil || inB.UnionID == nil || *inA.UnionID != "oUnion" || *inB.UnionID != "oUnion" {
			t.Error("a user has one unionid in both mini-programs")
		}
		if inA.OpenID == inB.OpenID || inA.SessionKey == inB.SessionKey {
			t.Error("openid and session_key differ between mini-programs")
		}
		a.SetUnionID("")
		if gone, _ := exchange(t, sim, query(appA, secretA, a.Login())); gone.UnionID != nil {
			t.Error("the unionid is still there")
		}
	})

	t.Run("escapes slashes", func(t *testing.T) {
		sim := newSimulator(wechattest.Options{})
		phone := sim.Device(appA, wechattest.User{Name: "alice"})
		for !strings.Contains(phone.SessionKey(), "/") {
			phone.NewSessionKey()
		}
		got, body := exchange(t, sim, query(appA, secretA, phone.Login()))
		if got.SessionKey != phone.SessionKey() || strings.Contains(strings.ReplaceAll(body, `\/`, ""), "/") || !strings.Contains(body, `\/`) {
			t.Error("the response has a slash that is not escaped")
		}
	})

	t.Run("refuses invalid calls", func(t *testing.T) {
		tests := map[string]struct {
			change  func(url.Values)
			errCode int
			errMsg  string
		}{
			"a missing appid":         {func(q url.Values) { q.Del("appid") }, 41002, "appid missing"},
			"a missing secret":        {func(q url.Values) { q.Del("secret") }, 41004, "appsecret missing"},
			"a missing code":          {func(q url.Values) { q.Del("js_code") }, 41008, "missing code"},
			"an empty code":           {func(q url.Values) { q.Set("js_code", "") }, 41008, "missing code"},
			"another grant type":      {func(q url.Values) { q.Set("grant_type", "client_credential") }, 40002, "invalid grant_type"},
			"a missing grant type":    {func(q url.Values) { q.Del("grant_type") }, 40002, "invalid grant_type"},
			"an unknown appid":        {func(q url.Values) { q.Set("appid", "wxunknown") }, 40013, "invalid appid"},
			"a wrong secret":          {func(q url.Values) { q.Set("secret", secretB) }, 40125, "invalid appsecret"},
			"an unknown code":         {func(q url.Values) { q.Set("js_code", "x") }, 40029, "invalid code"},
			"the mock code":           {func(q url.Values) { q.Set("js_code", wechat.MockCode) }, 40029, "invalid code"},
			"the code of another app": {func(q url.Values) { q.Set("appid", appB); q.Set("secret", secretB) }, 40029, "invalid code"},
		}
		for name, test := range tests {
			t.Run(name, func(t *testing.T) {
				sim := newSimulator(wechattest.Options{Now: newClock().Now})
				code := sim.Device(appA, wechattest.User{Name: "alice"}).Login()
				q := query(appA, secretA, code)
				test.change(q)
				got, _ := exchange(t, sim, q)
				wantMsg := regexp.MustCompile(`^` + test.errMsg + `, rid: 652d44d0-[0-9a-f]{8}-[0-9a-f]{8}$`)
				if got.ErrCode != test.errCode || !wantMsg.MatchString(got.ErrMsg) || got.OpenID != "" {
					t.Errorf("got %+v", got)
				}
				if again, _ := exchange(t, sim, query(appA, secretA, code)); again.ErrCode != 0 {
					t.Errorf("the refusal spent the code: %d", again.ErrCode)
				}
				if s := sim.Stats(); s.ErrCodes[test.errCode] != 1 || s.Calls != 2 || s.Exchanged != 1 {
					t.Errorf("stats %+v", s)
				}
			})
		}
	})

	t.Run("reads only the query of a GET", func(t *testing.T) {
		sim := newSimulator(wechattest.Options{})
		q := query(appA, secretA, sim.Device(appA, wechattest.User{Name: "alice"}).Login()).Encode()
		for name, r := range map[string]*http.Request{
			"post with a query": httptest.NewRequest(http.MethodPost, "/sns/jscode2session?"+q, nil),
			"post with a body":  httptest.NewRequest(http.MethodPost, "/sns/jscode2session", strings.NewReader(q)),
			"get with a body":   httptest.NewRequest(http.MethodGet, "/sns/jscode2session", strings.NewReader(q)),
		} {
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			if got, _ := send(t, sim, r); got.ErrCode != 41002 {
				t.Errorf("%s: errcode %d, want 41002", name, got.ErrCode)
			}
		}
	})
}

func TestSimulator_Code(t *testing.T) {
	t.Run("can be used once within 5 minutes", func(t *testing.T) {
		c := newClock()
		sim := newSimulator(wechattest.Options{Now: c.Now})
		phone := sim.Device(appA, wechattest.User{Name: "alice"})
		tests := map[string]struct {
			after   time.Duration
			errCode int
		}{
			"at once":             {0, 0},
			"just before its end": {5*time.Minute - time.Second, 0},
			"at its end":          {5 * time.Minute, 40029},
		}
		for name, test := range tests {
			t.Run(name, func(t *testing.T) {
				code := phone.Login()
				c.advance(test.after)
				if got, _ := exchange(t, sim, query(appA, secretA, code)); got.ErrCode != test.errCode {
					t.Errorf("errcode %d, want %d", got.ErrCode, test.errCode)
				}
			})
		}
		code := phone.Login()
		exchange(t, sim, query(appA, secretA, code))
		if again, _ := exchange(t, sim, query(appA, secretA, code)); again.ErrCode != 40163 || !strings.HasPrefix(again.ErrMsg, "code been used, rid: ") {
			t.Errorf("a used code returns %+v", again)
		}
	})

	t.Run("has a configurable TTL", func(t *testing.T) {
		c := newClock()
		sim := newSimulator(wechattest.Options{Now: c.Now, CodeTTL: time.Second})
		code := sim.Device(appA, wechattest.User{Name: "alice"}).Login()
		c.advance(time.Second)
		if got, _ := exchange(t, sim, query(appA, secretA, code)); got.ErrCode != 40029 {
			t.Errorf("errcode %d", got.ErrCode)
		}
	})

	// Expired codes are removed now and then; valid ones stay.
	t.Run("survives the removal of expired ones", func(t *testing.T) {
		c := newClock()
		sim := newSimulator(wechattest.Options{Now: c.Now})
		phone := sim.Device(appA, wechattest.User{Name: "alice"})
		for range 1500 {
			phone.Login()
		}
		c.advance(4 * time.Minute)
		code := phone.Login()
		c.advance(4 * time.Minute)
		for range 1500 {
			phone.Login()
		}
		if got, _ := exchange(t, sim, query(appA, secretA, code)); got.ErrCode != 0 {
			t.Errorf("errcode %d", got.ErrCode)
		}
	})
}

func TestSimulator_OtherPaths(t *testing.T) {
	sim := newSimulator(wechattest.Options{})
	w := httptest.NewRecorder()
	sim.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/cgi-bin/token", nil))
	if s := sim.Stats(); w.Code != http.StatusNotFound || s.Others != 1 || s.Calls != 0 {
		t.Errorf("HTTP status %d, stats %+v", w.Code, s)
	}
}
