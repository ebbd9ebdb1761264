package wechattest_test

import (
	"bytes"
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
			"no apps":       func() { wechattest.New(wechattest.Options{}) },
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
