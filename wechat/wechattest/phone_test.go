package wechattest_test

import (
	"sync"
	"testing"
	"time"

	"wxlogin/wechat"
	"wxlogin/wechat/wechattest"
)

func TestLogin_replaces_the_session_key_after_its_minimum_age(t *testing.T) {
	tests := map[string]struct {
		minKeyAge, wait time.Duration
		replaced        bool
	}{
		"quick_second_login":  {0, time.Second, false},
		"after_a_minute":      {0, time.Minute + time.Second, true},
		"before_a_longer_age": {time.Hour, 59 * time.Minute, false},
		"after_a_longer_age":  {time.Hour, 61 * time.Minute, true},
		"every_time":          {-1, 0, true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			c := newClock()
			sim := newSimulator(wechattest.Options{Now: c.Now, MinKeyAge: test.minKeyAge})
			phone := sim.Device(appA, wechattest.User{Name: "alice"})
			phone.Login()
			before := phone.SessionKey()
			c.fastForward(test.wait)
			phone.Login()
			if got := phone.SessionKey() != before; got != test.replaced {
				t.Errorf("replaced: %t", got)
			}
		})
	}
}

// The race that every SDK knows: data made under one key meets the key of a later login.
func TestNewSessionKey_leaves_earlier_data_behind(t *testing.T) {
	sim := newSimulator(wechattest.Options{})
	phone := sim.Device(appA, wechattest.User{Name: "alice"})
	first, _ := ask(t, sim, query(appA, secretA, phone.Login()))
	data := phone.GetUserInfo()
	phone.NewSessionKey()
	second, _ := ask(t, sim, query(appA, secretA, phone.Login()))

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

func TestPhone_is_a_person_in_a_mini_program(t *testing.T) {
	sim := newSimulator(wechattest.Options{})
	alice := sim.Device(appA, wechattest.User{Name: "alice"})
	tablet := sim.Device("", wechattest.User{Name: "alice"}) // the first app
	if alice.OpenID() != tablet.OpenID() || alice.SessionKey() != tablet.SessionKey() || tablet.AppID() != appA {
		t.Error("two devices of one person are two accounts")
	}
	if other := newSimulator(wechattest.Options{}).Device(appA, wechattest.User{Name: "alice"}); other.OpenID() != alice.OpenID() {
		t.Error("the openid is not stable")
	}
	if bob := sim.Device(appA, wechattest.User{Name: "bob"}); bob.OpenID() == alice.OpenID() || bob.SessionKey() == alice.SessionKey() {
		t.Error("two persons are one account")
	}
	if own := sim.Device(appA, wechattest.User{Name: "carol", OpenID: "oCarol"}); own.OpenID() != "oCarol" {
		t.Errorf("openid %q", own.OpenID())
	}
}

func TestPhone_panics_where_it_cannot_be(t *testing.T) {
	sim := newSimulator(wechattest.Options{})
	for name, f := range map[string]func(){
		"no_apps":       func() { wechattest.New(wechattest.Options{}) },
		"an_other_app":  func() { sim.Device("wxother", wechattest.User{Name: "alice"}) },
		"no_name":       func() { sim.Device(appA, wechattest.User{}) },
		"unknown_fault": func() { sim.Fail("tired") },
		"seal_bad_key":  func() { wechattest.Seal("AAAA", nil) },
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
}

func TestSimulator_is_safe_for_concurrent_use(t *testing.T) {
	sim := newSimulator(wechattest.Options{MinKeyAge: -1})
	var group sync.WaitGroup
	for n := range 8 {
		group.Go(func() {
			phone := sim.Device([]string{appA, appB}[n%2], wechattest.User{Name: "alice"})
			secret := []string{secretA, secretB}[n%2]
			for range 50 {
				code := phone.Login()
				sim.Fail(wechattest.Busy)
				ask(t, sim, query(phone.AppID(), secret, code))
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
