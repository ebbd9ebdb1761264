package wechattest_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"testing"
	"time"

	"wxlogin/wechat"
	"wxlogin/wechat/wechattest"
)

// phoneAnswer is all that getuserphonenumber may answer.
type phoneAnswer struct {
	ErrCode   int `json:"errcode"`
	PhoneInfo struct {
		PhoneNumber     string
		PurePhoneNumber string
		CountryCode     string
		Watermark       wechat.Watermark
	} `json:"phone_info"`
}

func phoneNumber(t testing.TB, sim http.Handler, token, openID, code string) (a phoneAnswer) {
	t.Helper()
	path := "/wxa/business/getuserphonenumber?" + url.Values{"access_token": {token}}.Encode()
	call(t, sim, path, fmt.Sprintf(`{"code":%q,"openid":%q}`, code, openID), &a)
	return a
}

func TestPhoneCode_is_good_once_for_5_minutes_and_its_user(t *testing.T) {
	c := newClock()
	sim := newSimulator(wechattest.Options{Now: c.Now})
	token := stableToken(t, sim, false).Token
	alice, bob := sim.Device(appA, wechattest.User{Name: "alice"}), sim.Device(appA, wechattest.User{Name: "bob"})
	inB := sim.Device(appB, wechattest.User{Name: "alice"})
	late := alice.PhoneCode()
	c.fastForward(5*time.Minute - time.Second)
	code := alice.PhoneCode()
	for _, step := range []struct {
		name, token, openID, code string
		want                      int
	}{
		{"no_token", "", alice.OpenID(), code, 41001},
		{"unknown_token", "x", alice.OpenID(), code, 40001},
		{"another_users", token, bob.OpenID(), code, 40029},
		{"another_apps", token, inB.OpenID(), inB.PhoneCode(), 40013},
		{"of_wx.login", token, alice.OpenID(), alice.Login(), 40029},
		{"unknown_code", token, alice.OpenID(), "x", 40029},
		{"just_in_time", token, alice.OpenID(), late, 0},
		{"first", token, alice.OpenID(), code, 0},
		{"second", token, alice.OpenID(), code, 40029},
		{"without_openid", token, "", bob.PhoneCode(), 0},
	} {
		if got := phoneNumber(t, sim, step.token, step.openID, step.code); got.ErrCode != step.want {
			t.Errorf("%s: errcode %d, want %d", step.name, got.ErrCode, step.want)
		}
	}
	code = alice.PhoneCode()
	c.fastForward(5 * time.Minute)
	if got := phoneNumber(t, sim, token, alice.OpenID(), code); got.ErrCode != 40029 {
		t.Errorf("after 5 minutes: errcode %d", got.ErrCode)
	}
	if got, _ := ask(t, sim, query(appA, secretA, alice.PhoneCode())); got.ErrCode != 40029 {
		t.Errorf("as the code of a login: errcode %d", got.ErrCode)
	}
	got, _ := send(t, sim, httptest.NewRequest(http.MethodGet, "/wxa/business/getuserphonenumber?access_token="+token, nil))
	if got.ErrCode != 43002 {
		t.Errorf("a GET: errcode %d", got.ErrCode)
	}
}

func TestPhoneNumber_is_the_users(t *testing.T) {
	c := newClock()
	sim := newSimulator(wechattest.Options{Now: c.Now})
	token := stableToken(t, sim, false).Token
	madeUp := sim.Device(appA, wechattest.User{Name: "alice"}).PhoneNumber()
	inB := sim.Device(appB, wechattest.User{Name: "alice"})
	if !regexp.MustCompile(`^138\d{8}$`).MatchString(madeUp) || inB.PhoneNumber() != madeUp {
		t.Error("the number that is made up is none, or not always the same")
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

func TestFailAPI_fails_one_API_alone(t *testing.T) {
	sim := newSimulator(wechattest.Options{})
	phone := sim.Device(appA, wechattest.User{Name: "alice"})
	sim.FailAPI(wechattest.Tokens, wechattest.ErrCode(40164))
	busy := url.Values{"kind": {"busy"}, "api": {"getuserphonenumber"}, "n": {"2"}}
	if status, _ := post(t, sim, "/sim/fault", busy); status != http.StatusOK {
		t.Fatalf("HTTP status %d", status)
	}
	if got, _ := ask(t, sim, query(appA, secretA, phone.Login())); got.ErrCode != 0 {
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

func TestControl_plays_the_phone_button(t *testing.T) {
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
