package wechattest_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"wxlogin/wechat"
	"wxlogin/wechat/wechattest"
)

// tokenResponse has all fields of stable_token's responses.
type tokenResponse struct {
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

// stableToken returns appA's access_token.
func stableToken(t testing.TB, sim http.Handler, force bool) (a tokenResponse) {
	t.Helper()
	call(t, sim, "/cgi-bin/stable_token", tokenBody(appA, secretA, force), &a)
	return a
}

func TestSimulator_StableToken(t *testing.T) {
	t.Run("is the same until 5 minutes before its end", func(t *testing.T) {
		c := newClock()
		sim := newSimulator(wechattest.Options{Now: c.Now})
		phone := sim.Device(appA, wechattest.User{Name: "alice"})
		first := stableToken(t, sim, false)
		if first.ExpiresIn != 7200 || first.Token == "" {
			t.Fatalf("a token for %d s", first.ExpiresIn)
		}
		c.advance(115*time.Minute - time.Second)
		if again := stableToken(t, sim, false); again.Token != first.Token || again.ExpiresIn != 301 {
			t.Errorf("another token, or %d s left", again.ExpiresIn)
		}
		c.advance(time.Second)
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
		c.advance(5*time.Minute - time.Second)
		valid(first.Token, 0)
		valid(next.Token, 0)
		c.advance(time.Second)
		valid(first.Token, 42001)
		valid(next.Token, 0)
		if s := sim.Stats(); s.TokenCalls != 3 || s.TokensMade != 2 || s.PhoneCalls != 4 || s.Calls+s.Others != 0 {
			t.Errorf("stats %+v", s)
		}
		both := []string{next.Token, first.Token}
		if !slices.Equal(sim.AccessTokens(""), both) || len(sim.AccessTokens(appB)) != 0 {
			t.Error("AccessTokens does not tell them")
		}
	})

	t.Run("forced refresh", func(t *testing.T) {
		c := newClock()
		sim := newSimulator(wechattest.Options{Now: c.Now})
		phone := sim.Device(appA, wechattest.User{Name: "alice"})
		first := stableToken(t, sim, false)
		last := stableToken(t, sim, true)
		if got := phoneNumber(t, sim, first.Token, phone.OpenID(), phone.PhoneCode()); last.Token == first.Token || got.ErrCode != 42001 {
			t.Errorf("the token before still works: errcode %d", got.ErrCode)
		}
		c.advance(29 * time.Second)
		if soon := stableToken(t, sim, true); soon.Token != last.Token {
			t.Error("within 30 s it is replaced again")
		}
		for n := 2; n <= 20; n++ {
			c.advance(30 * time.Second)
			next := stableToken(t, sim, true)
			if next.Token == last.Token || next.ErrCode != 0 {
				t.Fatalf("time %d: errcode %d", n, next.ErrCode)
			}
			last = next
		}
		c.advance(30 * time.Second)
		if got := stableToken(t, sim, true); got.ErrCode != 45009 {
			t.Errorf("the 21st time: errcode %d", got.ErrCode)
		}
		c.advance(24 * time.Hour)
		if got := stableToken(t, sim, true); got.ErrCode != 0 {
			t.Errorf("the next day: errcode %d", got.ErrCode)
		}
	})

	t.Run("refuses invalid calls", func(t *testing.T) {
		sim := newSimulator(wechattest.Options{})
		for name, test := range map[string]struct {
			body string
			want int
		}{
			"no JSON":       {"appid=" + appA, 47001},
			"no grant type": {`{"appid":"` + appA + `"}`, 40002},
			"no appid":      {tokenBody("", secretA, false), 41002},
			"no secret":     {tokenBody(appA, "", false), 41004},
			"unknown app":   {tokenBody("wxother", secretA, false), 40013},
			"wrong secret":  {tokenBody(appA, secretB, false), 40125},
		} {
			var got tokenResponse
			if call(t, sim, "/cgi-bin/stable_token", test.body, &got); got.ErrCode != test.want || got.Token != "" {
				t.Errorf("%s: errcode %d, want %d", name, got.ErrCode, test.want)
			}
		}
		got, _ := send(t, sim, httptest.NewRequest(http.MethodGet, "/cgi-bin/stable_token?appid="+appA, nil))
		if got.ErrCode != 43002 {
			t.Errorf("a GET: errcode %d", got.ErrCode)
		}
	})
}

func TestSimulator_ExpireAccessTokens(t *testing.T) {
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

// phoneResponse has all fields of getuserphonenumber's responses.
type phoneResponse struct {
	ErrCode   int `json:"errcode"`
	PhoneInfo struct {
		PhoneNumber     string
		PurePhoneNumber string
		CountryCode     string
		Watermark       wechat.Watermark
	} `json:"phone_info"`
}

func phoneNumber(t testing.TB, sim http.Handler, token, openID, code string) (a phoneResponse) {
	t.Helper()
	path := "/wxa/business/getuserphonenumber?" + url.Values{"access_token": {token}}.Encode()
	call(t, sim, path, fmt.Sprintf(`{"code":%q,"openid":%q}`, code, openID), &a)
	return a
}

func TestDevice_PhoneCode(t *testing.T) {
	c := newClock()
	sim := newSimulator(wechattest.Options{Now: c.Now})
	token := stableToken(t, sim, false).Token
	alice, bob := sim.Device(appA, wechattest.User{Name: "alice"}), sim.Device(appA, wechattest.User{Name: "bob"})
	inB := sim.Device(appB, wechattest.User{Name: "alice"})
	late := alice.PhoneCode()
	c.advance(5*time.Minute - time.Second)
	code := alice.PhoneCode()
	for _, step := range []struct {
		name, token, openID, code string
		want                      int
	}{
		{"no token", "", alice.OpenID(), code, 41001},
		{"unknown token", "x", alice.OpenID(), code, 40001},
		{"another users", token, bob.OpenID(), code, 40029},
		{"another apps", token, inB.OpenID(), inB.PhoneCode(), 40013},
		{"of wx.login", token, alice.OpenID(), alice.Login(), 40029},
		{"unknown code", token, alice.OpenID(), "x", 40029},
		{"just in time", token, alice.OpenID(), late, 0},
		{"first", token, alice.OpenID(), code, 0},
		{"second", token, alice.OpenID(), code, 40029},
		{"without openid", token, "", bob.PhoneCode(), 0},
	} {
		if got := phoneNumber(t, sim, step.token, step.openID, step.code); got.ErrCode != step.want {
			t.Errorf("%s: errcode %d, want %d", step.name, got.ErrCode, step.want)
		}
	}
	code = alice.PhoneCode()
	c.advance(5 * time.Minute)
	if got := phoneNumber(t, sim, token, alice.OpenID(), code); got.ErrCode != 40029 {
		t.Errorf("after 5 minutes: errcode %d", got.ErrCode)
	}
	if got, _ := exchange(t, sim, query(appA, secretA, alice.PhoneCode())); got.ErrCode != 40029 {
		t.Errorf("as the code of a login: errcode %d", got.ErrCode)
	}
	got, _ := send(t, sim, httptest.NewRequest(http.MethodGet, "/wxa/business/getuserphonenumber?access_token="+token, nil))
	if got.ErrCode != 43002 {
		t.Errorf("a GET: errcode %d", got.ErrCode)
	}
}

func TestDevice_PhoneNumber(t *testing.T) {
	c := newClock()
	sim := newSimulator(wechattest.Options{Now: c.Now})
	token := stableToken(t, sim, false).Token
	madeUp := sim.Device(appA, wechattest.User{Name: "alice"}).PhoneNumber()
	inB := sim.Device(appB, wechattest.User{Name: "alice"})
	if !regexp.MustCompile(`^138\d{8}$`).MatchString(madeUp) || inB.PhoneNumber() != madeUp {
		t.Error("the generated number is invalid, or not always the same")
	}
	for want, user := range map[string]wechattest.User{
		"+86" + madeUp: {Name: "alice"},
		"+85251234567": {Name: "mei", CountryCode: "852", PhoneNumber: "51234567"},
	} {
		phone := sim.Device(appA, user)
		info := phoneNumber(t, sim, token, phone.OpenID(), phone.PhoneCode()).PhoneInfo
		if info.PhoneNumber != want || "+"+info.CountryCode+info.PurePhoneNumber != want ||
			info.PurePhoneNumber != phone.PhoneNumber() {
			t.Errorf("%s: another number", user.Name)
		}
		if info.Watermark != (wechat.Watermark{Timestamp: c.Now().Unix(), AppID: appA}) {
			t.Errorf("%s: watermark %+v", user.Name, info.Watermark)
		}
		data := phone.GetPhoneNumber()
		opened, err := wechat.DecryptPhoneNumber(phone.SessionKey(), data.EncryptedData, data.IV, wechat.Owner{AppID: appA})
		if err != nil || "+"+opened.CountryCode+string(opened.Number) != want || data.ErrMsg != "getPhoneNumber:ok" {
			t.Errorf("%s: the old way: %v", user.Name, err)
		}
	}
}

func TestSimulator_FailAPI(t *testing.T) {
	sim := newSimulator(wechattest.Options{})
	phone := sim.Device(appA, wechattest.User{Name: "alice"})
	sim.FailAPI(wechattest.Tokens, wechattest.ErrCode(40164))
	busy := url.Values{"kind": {"busy"}, "api": {"getuserphonenumber"}, "n": {"2"}}
	if status, _ := post(t, sim, "/sim/fault", busy); status != http.StatusOK {
		t.Fatalf("HTTP status %d", status)
	}
	if got, _ := exchange(t, sim, query(appA, secretA, phone.Login())); got.ErrCode != 0 {
		t.Errorf("a login: errcode %d", got.ErrCode)
	}
	for _, want := range []int{40164, 0} {
		if got := stableToken(t, sim, false); got.ErrCode != want {
			t.Errorf("stable_token: errcode %d, want %d", got.ErrCode, want)
		}
	}
	code := phone.PhoneCode()
	for _, want := range []int{-1, -1, 0} {
		if got := phoneNumber(t, sim, sim.AccessTokens(appA)[0], phone.OpenID(), code); got.ErrCode != want {
			t.Errorf("getuserphonenumber: errcode %d, want %d", got.ErrCode, want)
		}
	}
	busy.Set("api", "token")
	if status, _ := post(t, sim, "/sim/fault", busy); status != http.StatusBadRequest {
		t.Errorf("an unknown API: HTTP status %d", status)
	}
}

func TestControl_PhoneButton(t *testing.T) {
	sim := newSimulator(wechattest.Options{})
	phone := sim.Device(appA, wechattest.User{Name: "alice"})
	var button struct{ Code, EncryptedData, IV string }
	decode(t, sim, "/sim/phonecode", url.Values{"user": {"alice"}}, &button)
	decode(t, sim, "/sim/phonenumber", url.Values{"user": {"alice"}}, &button)
	token := stableToken(t, sim, false).Token
	if got := phoneNumber(t, sim, token, phone.OpenID(), button.Code); got.PhoneInfo.PurePhoneNumber != phone.PhoneNumber() {
		t.Errorf("the new way: errcode %d", got.ErrCode)
	}
	got, err := wechat.DecryptPhoneNumber(phone.SessionKey(), button.EncryptedData, button.IV, wechat.Owner{AppID: appA})
	if err != nil || string(got.Number) != phone.PhoneNumber() {
		t.Errorf("the old way: %v", err)
	}
	for _, path := range []string{"/sim/phonecode", "/sim/phonenumber"} {
		if status, _ := post(t, sim, path, nil); status != http.StatusBadRequest {
			t.Errorf("%s without a user: HTTP status %d", path, status)
		}
	}
}
