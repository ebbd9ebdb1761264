package wechattest_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"wxlogin/wechat/wechattest"
)

// tokenAnswer is all that stable_token may answer.
type tokenAnswer struct {
	Token     string `json:"access_token"`
	ExpiresIn int    `json:"expires_in"`
	ErrCode   int    `json:"errcode"`
}

// call posts JSON to one of WeChat's APIs.
func call(t testing.TB, sim http.Handler, path, body string, into any) {
	t.Helper()
	w := httptest.NewRecorder()
	sim.ServeHTTP(w, httptest.NewRequest(http.MethodPost, path, strings.NewReader(body)))
	if ct := w.Result().Header.Get("Content-Type"); w.Code != http.StatusOK || ct != "text/plain" {
		t.Errorf("HTTP status %d, Content-Type %q; want WeChat's 200 and text/plain", w.Code, ct)
	}
	if err := json.Unmarshal(w.Body.Bytes(), into); err != nil {
		t.Fatal(err)
	}
}

func tokenBody(appID, secret string, force bool) string {
	return fmt.Sprintf(`{"grant_type":"client_credential","appid":%q,"secret":%q,"force_refresh":%t}`, appID, secret, force)
}

// stableToken asks for appA's access_token.
func stableToken(t testing.TB, sim http.Handler, force bool) (a tokenAnswer) {
	t.Helper()
	call(t, sim, "/cgi-bin/stable_token", tokenBody(appA, secretA, force), &a)
	return a
}

func TestStableToken_is_the_same_until_5_minutes_before_its_end(t *testing.T) {
	c := newClock()
	sim := newSimulator(wechattest.Options{Now: c.Now})
	phone := sim.Device(appA, wechattest.User{Name: "alice"})
	first := stableToken(t, sim, false)
	if first.ExpiresIn != 7200 || first.Token == "" {
		t.Fatalf("a token for %d s", first.ExpiresIn)
	}
	c.fastForward(115*time.Minute - time.Second)
	if again := stableToken(t, sim, false); again.Token != first.Token || again.ExpiresIn != 301 {
		t.Errorf("another token, or %d s left", again.ExpiresIn)
	}
	c.fastForward(time.Second)
	next := stableToken(t, sim, false)
	if next.Token == first.Token || next.ExpiresIn != 7200 {
		t.Errorf("the same token, or %d s left", next.ExpiresIn)
	}
	valid := func(token string, want int) {
		t.Helper()
		if got := phoneNumber(t, sim, token, phone.OpenID(), phone.PhoneCode()); got.ErrCode != want {
			t.Errorf("errcode %d, want %d", got.ErrCode, want)
		}
	}
	c.fastForward(5*time.Minute - time.Second)
	valid(first.Token, 0)
	valid(next.Token, 0)
	c.fastForward(time.Second)
	valid(first.Token, 42001)
	valid(next.Token, 0)
	if s := sim.Stats(); s.TokenCalls != 3 || s.TokensMade != 2 || s.PhoneCalls != 4 || s.Calls+s.Others != 0 {
		t.Errorf("stats %+v", s)
	}
	both := []string{next.Token, first.Token}
	if !slices.Equal(sim.AccessTokens(""), both) || len(sim.AccessTokens(appB)) != 0 {
		t.Error("AccessTokens does not tell them")
	}
}

func TestStableToken_forced(t *testing.T) {
	c := newClock()
	sim := newSimulator(wechattest.Options{Now: c.Now})
	phone := sim.Device(appA, wechattest.User{Name: "alice"})
	first := stableToken(t, sim, false)
	last := stableToken(t, sim, true)
	if got := phoneNumber(t, sim, first.Token, phone.OpenID(), phone.PhoneCode()); last.Token == first.Token || got.ErrCode != 42001 {
		t.Errorf("the token before still works: errcode %d", got.ErrCode)
	}
	c.fastForward(29 * time.Second)
	if soon := stableToken(t, sim, true); soon.Token != last.Token {
		t.Error("within 30 s it is replaced again")
	}
	for n := 2; n <= 20; n++ {
		c.fastForward(30 * time.Second)
		next := stableToken(t, sim, true)
		if next.Token == last.Token || next.ErrCode != 0 {
			t.Fatalf("time %d: errcode %d", n, next.ErrCode)
		}
		last = next
	}
	c.fastForward(30 * time.Second)
	if got := stableToken(t, sim, true); got.ErrCode != 45009 {
		t.Errorf("the 21st time: errcode %d", got.ErrCode)
	}
	c.fastForward(24 * time.Hour)
	if got := stableToken(t, sim, true); got.ErrCode != 0 {
		t.Errorf("the next day: errcode %d", got.ErrCode)
	}
}

func TestStableToken_refuses(t *testing.T) {
	sim := newSimulator(wechattest.Options{})
	for name, test := range map[string]struct {
		body string
		want int
	}{
		"no_JSON":       {"appid=" + appA, 47001},
		"no_grant_type": {`{"appid":"` + appA + `"}`, 40002},
		"no_appid":      {tokenBody("", secretA, false), 41002},
		"no_secret":     {tokenBody(appA, "", false), 41004},
		"unknown_app":   {tokenBody("wxother", secretA, false), 40013},
		"wrong_secret":  {tokenBody(appA, secretB, false), 40125},
	} {
		var got tokenAnswer
		if call(t, sim, "/cgi-bin/stable_token", test.body, &got); got.ErrCode != test.want || got.Token != "" {
			t.Errorf("%s: errcode %d, want %d", name, got.ErrCode, test.want)
		}
	}
	got, _ := send(t, sim, httptest.NewRequest(http.MethodGet, "/cgi-bin/stable_token?appid="+appA, nil))
	if got.ErrCode != 43002 {
		t.Errorf("a GET: errcode %d", got.ErrCode)
	}
}

func TestExpireAccessTokens_ends_them_at_once(t *testing.T) {
	sim := newSimulator(wechattest.Options{})
	phone := sim.Device(appA, wechattest.User{Name: "alice"})
	first := stableToken(t, sim, false)
	if status, _ := post(t, sim, "/sim/expiretoken", nil); status != http.StatusOK {
		t.Fatalf("HTTP status %d", status)
	}
	if got := phoneNumber(t, sim, first.Token, phone.OpenID(), phone.PhoneCode()); got.ErrCode != 42001 {
		t.Errorf("errcode %d", got.ErrCode)
	}
	if next := stableToken(t, sim, false); next.Token == first.Token || next.ExpiresIn != 7200 {
		t.Errorf("the same token, or %d s left", next.ExpiresIn)
	}
}
