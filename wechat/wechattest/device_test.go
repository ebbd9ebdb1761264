package wechattest_test

import (
	"bytes"
	"encoding/json"
	"image/jpeg"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"wxlogin/wechat"
	"wxlogin/wechat/wechattest"
)

func TestDevice_Login(t *testing.T) {
	tests := map[string]struct {
		minKeyAge, wait time.Duration
		replaced        bool
	}{
		"quick second login":  {0, time.Second, false},
		"after a minute":      {0, time.Minute + time.Second, true},
		"before a longer age": {time.Hour, 59 * time.Minute, false},
		"after a longer age":  {time.Hour, 61 * time.Minute, true},
		"every time":          {-1, 0, true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			c := newClock()
			sim := newSimulator(wechattest.Options{Now: c.Now, MinKeyAge: test.minKeyAge})
			phone := sim.Device(appA, wechattest.User{Name: "alice"})
			phone.Login()
			before := phone.SessionKey()
			c.advance(test.wait)
			phone.Login()
			if got := phone.SessionKey() != before; got != test.replaced {
				t.Errorf("replaced: %t", got)
			}
		})
	}
}

// The race of every SDK: data that was encrypted under one key meets the key of a later login.
func TestDevice_NewSessionKey(t *testing.T) {
	sim := newSimulator(wechattest.Options{})
	phone := sim.Device(appA, wechattest.User{Name: "alice"})
	first, _ := exchange(t, sim, query(appA, secretA, phone.Login()))
	data := phone.GetUserInfo()
	phone.NewSessionKey()
	second, _ := exchange(t, sim, query(appA, secretA, phone.Login()))

	want := wechat.Owner{AppID: appA, OpenID: phone.OpenID()}
	if _, err := wechat.DecryptUserInfo(first.SessionKey, data.EncryptedData, data.IV, want); err != nil {
		t.Error("the earlier key does not open the earlier data")
	}
	if _, err := wechat.DecryptUserInfo(second.SessionKey, data.EncryptedData, data.IV, want); err != wechat.ErrDecrypt {
		t.Errorf("the later key gives %v", err)
	}
	if !wechat.VerifySignature(first.SessionKey, data.RawData, data.Signature) || wechat.VerifySignature(second.SessionKey, data.RawData, data.Signature) {
		t.Error("the signature is not the earlier key's")
	}
}

func TestSimulator_Device(t *testing.T) {
	t.Run("is a user in a mini-program", func(t *testing.T) {
		sim := newSimulator(wechattest.Options{})
		alice := sim.Device(appA, wechattest.User{Name: "alice"})
		tablet := sim.Device("", wechattest.User{Name: "alice"}) // the first app
		if alice.OpenID() != tablet.OpenID() || alice.SessionKey() != tablet.SessionKey() || tablet.AppID() != appA {
			t.Error("two devices of one user are two accounts")
		}
		if other := newSimulator(wechattest.Options{}).Device(appA, wechattest.User{Name: "alice"}); other.OpenID() != alice.OpenID() {
			t.Error("the openid is not stable")
		}
		if bob := sim.Device(appA, wechattest.User{Name: "bob"}); bob.OpenID() == alice.OpenID() || bob.SessionKey() == alice.SessionKey() {
			t.Error("two users are one account")
		}
		if own := sim.Device(appA, wechattest.User{Name: "carol", OpenID: "oCarol"}); own.OpenID() != "oCarol" {
			t.Errorf("openid %q", own.OpenID())
		}
	})

	t.Run("panics if the user or app is invalid", func(t *testing.T) {
		sim := newSimulator(wechattest.Options{})
		for name, f := range map[string]func(){
			"no apps":    func() { wechattest.New(wechattest.Options{}) },
			"a bad push": func() { newSimulator(wechattest.Options{Pushes: map[string]wechattest.Push{appA: {}}}) },
			"an other push": func() {
				newSimulator(wechattest.Options{Pushes: map[string]wechattest.Push{"wxother": {URL: "http://127.0.0.1", Token: "t"}}})
			},
			"a bad key":     func() { wechattest.SealPush("AAAA", "wx1", nil) },
			"an other app":  func() { sim.Device("wxother", wechattest.User{Name: "alice"}) },
			"no name":       func() { sim.Device(appA, wechattest.User{}) },
			"unknown fault": func() { sim.Fail("tired") },
			"seal bad key":  func() { wechattest.Seal("AAAA", nil) },
		} {
			t.Run(name, func(t *testing.T) {
				defer func() {
					if recover() == nil {
						t.Error("no panic")
					}
				}()
				f()
			})
		}
	})
}

func TestSimulator_Concurrent(t *testing.T) {
	sim := newSimulator(wechattest.Options{MinKeyAge: -1})
	var group sync.WaitGroup
	for n := range 8 {
		group.Go(func() {
			phone := sim.Device([]string{appA, appB}[n%2], wechattest.User{Name: "alice"})
			secret := []string{secretA, secretB}[n%2]
			for range 50 {
				code := phone.Login()
				sim.Fail(wechattest.Busy)
				exchange(t, sim, query(phone.AppID(), secret, code))
				phone.GetUserInfo()
				phone.NewSessionKey()
				phone.SetUnionID("oUnion")
				sim.Stats()
			}
		})
	}
	group.Wait()
	if s := sim.Stats(); s.Calls != 400 || s.ErrCodes[-1] != 400 {
		t.Errorf("stats %+v", s)
	}
}

func TestDevice_ChooseAvatar(t *testing.T) {
	sim := wechattest.New(wechattest.Options{Apps: map[string]string{"wx1": "s1"}})
	alice, bob := sim.Device("", wechattest.User{Name: "alice"}), sim.Device("", wechattest.User{Name: "bob"})
	first, again, other := alice.ChooseAvatar(), alice.ChooseAvatar(), bob.ChooseAvatar()
	if !strings.HasPrefix(first.Path, "http://tmp/") || first.Path == again.Path {
		t.Errorf("paths %s and %s", first.Path, again.Path)
	}
	if !bytes.Equal(first.Data, again.Data) || bytes.Equal(first.Data, other.Data) {
		t.Error("a user has two pictures, or two users have one")
	}
	if picture, err := jpeg.Decode(bytes.NewReader(first.Data)); err != nil || picture.Bounds().Dx() != 132 {
		t.Errorf("%v", err)
	}
}

func TestControl_ChooseAvatarAndBind(t *testing.T) {
	sim := newSimulator(wechattest.Options{})
	alice := sim.Device(appA, wechattest.User{Name: "alice"})
	var file wechattest.TempFile
	decode(t, sim, "/sim/chooseavatar", url.Values{"user": {"alice"}}, &file)
	if !bytes.Equal(file.Data, alice.ChooseAvatar().Data) || !strings.HasPrefix(file.Path, "http://tmp/") {
		t.Errorf("%d bytes at %s", len(file.Data), file.Path)
	}
	var ok map[string]string
	decode(t, sim, "/sim/bind", url.Values{"user": {"alice"}, "appid": {appA}, "unionid": {"oUNION"}}, &ok)
	if resp, _ := exchange(t, sim, query(appA, secretA, alice.Login())); resp.UnionID == nil || *resp.UnionID != "oUNION" {
		t.Errorf("the unionid is %v", resp.UnionID)
	}
	if status, _ := post(t, sim, "/sim/bind", url.Values{"user": {"alice"}, "unionid": {"a\nb"}}); status != http.StatusBadRequest {
		t.Errorf("a unionid of two lines: %d", status)
	}
}

func TestDevice_OpenData(t *testing.T) {
	t.Run("decrypts and is signed", func(t *testing.T) {
		c := newClock()
		sim := newSimulator(wechattest.Options{Now: c.Now})
		info := wechattest.Info{
			NickName: "王小明 <&> 😀", Gender: 2, Language: "en", City: "Xi'an", Province: "Shaanxi", Country: "China",
			AvatarURL: "https://thirdwx.qlogo.cn/mmopen/vi_32/x/132",
		}
		phone := sim.Device(appA, wechattest.User{Name: "alice", UnionID: "oUnion", Info: info})
		real := wechat.UserInfo{
			NickName: info.NickName, Gender: 2, Language: "en", City: "Xi'an", Province: "Shaanxi", Country: "China",
			AvatarURL: info.AvatarURL, Watermark: wechat.Watermark{Timestamp: c.Now().Unix(), AppID: appA},
		}
		named := real
		named.OpenID, named.UnionID = phone.OpenID(), "oUnion"
		anonymous := wechat.UserInfo{
			OpenID: phone.OpenID(), UnionID: "oUnion", NickName: "微信用户", Language: "zh_CN",
			AvatarURL: wechat.AnonymousAvatarURL, Watermark: real.Watermark,
		}
		tests := map[string]struct {
			data wechattest.OpenData
			want wechat.UserInfo
		}{
			"GetUserInfo":    {phone.GetUserInfo(), named},
			"GetUserProfile": {phone.GetUserProfile(), real},
			"GetPlaceholder": {phone.GetPlaceholder(), anonymous},
		}
		for name, test := range tests {
			t.Run(name, func(t *testing.T) {
				d := test.data
				got, err := wechat.DecryptUserInfo(phone.SessionKey(), d.EncryptedData, d.IV, wechat.Owner{AppID: appA, OpenID: phone.OpenID()})
				if err != nil || got != test.want {
					t.Errorf("got %+v, %v", got, err)
				}
				if !wechat.VerifySignature(phone.SessionKey(), d.RawData, d.Signature) {
					t.Error("the signature does not fit")
				}
				var raw wechattest.Info
				if err := json.Unmarshal([]byte(d.RawData), &raw); err != nil || raw != d.UserInfo || raw.NickName != test.want.NickName {
					t.Errorf("rawData %s, userInfo %+v", d.RawData, d.UserInfo)
				}
				if got.IsPlaceholder() != (name == "GetPlaceholder") {
					t.Error("anonymous or not?")
				}
			})
		}
	})

	t.Run("differs each time", func(t *testing.T) {
		phone := newSimulator(wechattest.Options{}).Device(appA, wechattest.User{Name: "alice"})
		if a, b := phone.GetUserInfo(), phone.GetUserInfo(); a.IV == b.IV || a.EncryptedData == b.EncryptedData {
			t.Error("the iv is not fresh")
		}
	})
}

func TestUser(t *testing.T) {
	t.Run("is generated from the name", func(t *testing.T) {
		one := newSimulator(wechattest.Options{}).Device(appA, wechattest.User{Name: "alice"}).GetUserInfo().UserInfo
		two := newSimulator(wechattest.Options{}).Device(appB, wechattest.User{Name: "alice"}).GetUserInfo().UserInfo
		if one != two || one.NickName != "alice" {
			t.Errorf("%+v and %+v", one, two)
		}
		asSent := wechat.UserInfo{
			NickName: one.NickName, Gender: one.Gender, Language: one.Language,
			City: one.City, Province: one.Province, Country: one.Country, AvatarURL: one.AvatarURL,
		}
		if asSent.WithoutPlaceholders() != asSent {
			t.Errorf("%+v is not real throughout", asSent)
		}
	})

	t.Run("is updated by a later device", func(t *testing.T) {
		sim := newSimulator(wechattest.Options{})
		phone := sim.Device(appA, wechattest.User{Name: "alice", UnionID: "oUnion"})
		sim.Device(appB, wechattest.User{Name: "alice", Info: wechattest.Info{NickName: "Alice the Second"}})
		d := phone.GetUserInfo()
		info, err := wechat.DecryptUserInfo(phone.SessionKey(), d.EncryptedData, d.IV, wechat.Owner{AppID: appA, OpenID: phone.OpenID()})
		if err != nil || info.NickName != "Alice the Second" || info.UnionID != "oUnion" {
			t.Errorf("got %+v, %v", info, err)
		}
	})
}

// BenchmarkLoginAndExchange measures the simulator's own cost per login in a load test.
func BenchmarkLoginAndExchange(b *testing.B) {
	sim := newSimulator(wechattest.Options{})
	phone := sim.Device(appA, wechattest.User{Name: "alice"})
	b.ReportAllocs()
	for b.Loop() {
		if got, _ := exchange(b, sim, query(appA, secretA, phone.Login())); got.ErrCode != 0 {
			b.Fatal(got.ErrCode)
		}
	}
}

func BenchmarkGetUserInfo(b *testing.B) {
	phone := newSimulator(wechattest.Options{}).Device(appA, wechattest.User{Name: "alice"})
	b.ReportAllocs()
	for b.Loop() {
		phone.GetUserInfo()
	}
}
