package wechattest_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"wxlogin/wechat"
	"wxlogin/wechat/wechattest"
)

// steps is the plaintext of wx.getWeRunData.
type steps struct {
	StepInfoList []struct {
		Timestamp int64
		Step      int
	}
	Watermark wechat.Watermark
}

// mustDecrypt decrypts data under a device's current session_key.
func mustDecrypt(t *testing.T, d *wechattest.Device, data wechattest.SealedData, into any) {
	t.Helper()
	owner := wechat.Owner{AppID: d.AppID(), OpenID: d.OpenID()}
	plain, err := wechat.DecryptData(d.SessionKey(), data.EncryptedData, data.IV, owner)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(plain, into); err != nil {
		t.Fatal(err)
	}
}

func TestDevice_GetWeRunData(t *testing.T) {
	c := newClock()
	sim := newSimulator(wechattest.Options{Now: c.Now})
	alice, bob := sim.Device(appA, wechattest.User{Name: "alice"}), sim.Device(appA, wechattest.User{Name: "bob"})
	var first, again, tomorrow, other steps
	mustDecrypt(t, alice, alice.GetWeRunData(), &first)
	alice.NewSessionKey()
	mustDecrypt(t, alice, alice.GetWeRunData(), &again)
	mustDecrypt(t, bob, bob.GetWeRunData(), &other)
	c.advance(24 * time.Hour)
	mustDecrypt(t, alice, alice.GetWeRunData(), &tomorrow)

	last := len(first.StepInfoList) - 1
	if last != 30 || first.Watermark.AppID != appA {
		t.Fatalf("%d days of %s", last+1, first.Watermark.AppID)
	}
	for n, day := range first.StepInfoList {
		began := time.Unix(day.Timestamp, 0).UTC()
		if began.Hour() != 16 || began.Minute() != 0 || day.Step < 0 || day.Step >= 20_000 { // midnight in China
			t.Errorf("%d steps at %s", day.Step, began)
		}
		if n > 0 && day.Timestamp-first.StepInfoList[n-1].Timestamp != 86_400 {
			t.Errorf("the day %s does not follow", began)
		}
	}
	if today := first.StepInfoList[last].Timestamp; today > first.Watermark.Timestamp || today+86_400 <= first.Watermark.Timestamp {
		t.Error("the last day is not today")
	}
	if again.StepInfoList[last] != first.StepInfoList[last] || tomorrow.StepInfoList[last-1] != first.StepInfoList[last] {
		t.Error("the steps of a day change")
	}
	if other.StepInfoList[last] == first.StepInfoList[last] {
		t.Error("two users have the same steps")
	}
}

func TestDevice_GetGroupEnterInfo(t *testing.T) {
	sim := newSimulator(wechattest.Options{})
	group := func(appID, name string) string {
		var info struct{ OpenGID string }
		d := sim.Device(appID, wechattest.User{Name: name})
		mustDecrypt(t, d, d.GetGroupEnterInfo(), &info)
		return info.OpenGID
	}
	if alice, bob := group(appA, "alice"), group(appA, "bob"); alice != bob || !strings.HasPrefix(alice, "G") || len(alice) != 28 {
		t.Errorf("the groups are %q and %q", alice, bob)
	}
	if group(appA, "alice") == group(appB, "alice") {
		t.Error("two mini-programs have one openGId")
	}
}

func TestDevice_Pay(t *testing.T) {
	const data = `{"openid": "xxx", "user_ip": "127.0.0.1", "env": 0}`
	sim := newSimulator(wechattest.Options{})
	phone := sim.Device(appA, wechattest.User{Name: "alice"})
	tablet := sim.Device(appA, wechattest.User{Name: "alice"})
	elsewhere, bob := sim.Device(appB, wechattest.User{Name: "alice"}), sim.Device(appA, wechattest.User{Name: "bob"})
	signature := wechat.SignData(phone.SessionKey(), data)
	if !phone.Pay(data, signature) || !tablet.Pay(data, signature) {
		t.Error("the right signature is refused")
	}
	if phone.Pay(data+" ", signature) || phone.Pay(data, strings.ToUpper(signature)) || phone.Pay(data, "") ||
		elsewhere.Pay(data, signature) || bob.Pay(data, signature) {
		t.Error("a wrong signature is taken")
	}
	tablet.NewSessionKey()
	if phone.Pay(data, signature) {
		t.Error("a signature under an earlier session_key is taken")
	}
}

func TestControl_SessionKey(t *testing.T) {
	sim := newSimulator(wechattest.Options{})
	alice := sim.Device(appB, wechattest.User{Name: "alice"})
	form := func(fields ...string) url.Values {
		values := url.Values{"user": {"alice"}, "appid": {appB}}
		for i := 0; i < len(fields); i += 2 {
			values.Set(fields[i], fields[i+1])
		}
		return values
	}
	var sealed wechattest.SealedData
	var walked steps
	decode(t, sim, "/sim/werun", form(), &sealed)
	mustDecrypt(t, alice, sealed, &walked)
	if sealed.ErrMsg != "getWeRunData:ok" || len(walked.StepInfoList) != 31 {
		t.Errorf("%s, %d days", sealed.ErrMsg, len(walked.StepInfoList))
	}
	decode(t, sim, "/sim/group", form(), &sealed)
	var group map[string]any
	mustDecrypt(t, alice, sealed, &group)
	if sealed.ErrMsg != "getGroupEnterInfo:ok" || group["openGId"] == "" {
		t.Errorf("%s, %v", sealed.ErrMsg, group)
	}
	for data, want := range map[string]bool{"a=1&b": true, "a=1": false} {
		var paid struct{ Valid bool }
		decode(t, sim, "/sim/pay", form("data", data, "signature", wechat.SignData(alice.SessionKey(), "a=1&b")), &paid)
		if paid.Valid != want {
			t.Errorf("%s: valid is %t", data, paid.Valid)
		}
	}
	for _, incomplete := range []url.Values{form(), form("data", "x"), form("signature", "x")} {
		if status, body := post(t, sim, "/sim/pay", incomplete); status != http.StatusBadRequest || !strings.Contains(body, "data and signature") {
			t.Errorf("HTTP status %d, %s", status, body)
		}
	}
}
