package handlers_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
	"wxlogin/wechat/wechattest"
)

func testDamagedBase64(t *testing.T) {
	damage := map[string]func(string) string{
		"plus became space": func(s string) string { return strings.ReplaceAll(s, "+", " ") },
		"url safe":          func(s string) string { return strings.NewReplacer("+", "-", "/", "_").Replace(s) },
		"unpadded":          func(s string) string { return strings.TrimRight(s, "=") },
		"line breaks":       func(s string) string { return s[:10] + "\r\n" + s[10:] + "\n" },
	}
	srv := newTestServer(t)
	p := srv.device("alice")
	token := srv.login(p).Token
	for name, f := range damage {
		t.Run(name, func(t *testing.T) {
			d := p.GetUserInfo()
			for !strings.ContainsAny(d.EncryptedData, "+") || !strings.Contains(d.EncryptedData, "/") {
				d = p.GetUserInfo()
			}
			d.EncryptedData, d.IV = f(d.EncryptedData), f(d.IV)
			if r := srv.update(token, d); r.status != http.StatusOK {
				t.Errorf("%d %s", r.status, r.body.Code)
			}
		})
	}
	t.Run("plus unescaped in a form", func(t *testing.T) {
		d := p.GetUserInfo()
		r := srv.do(srv.request("/updateUserInfo", formType, "token="+token+"&encryptedData="+d.EncryptedData+"&iv="+d.IV))
		if r.status != http.StatusOK {
			t.Errorf("%d %s", r.status, r.body.Code)
		}
	})
}

func testProfileOfAnotherUser(t *testing.T) {
	srv := newTestServer(t, withTwoApps)
	const openID = "oGZUI0egBJY1zhBYw2KhdUfwVJJE"
	people := []*wechattest.Device{
		srv.sim.Device(appID, wechattest.User{Name: "upper", OpenID: openID}),
		srv.sim.Device(appID, wechattest.User{Name: "lower", OpenID: strings.ToLower(openID)}),
		srv.sim.Device(otherAppID, wechattest.User{Name: "elsewhere", OpenID: openID}),
	}
	for _, p := range people {
		b := srv.login(p)
		if !b.IsNewUser || b.UserInfo["nickName"] != "" {
			t.Error("a new user gets an existing profile")
		}
		srv.mustUpdate(b.Token, p.GetUserProfile())
	}
	srv.wantUsers("3", "3")
	for i, want := range []string{"upper", "lower", "elsewhere"} {
		if got := srv.login(people[i]).UserInfo["nickName"]; got != want {
			t.Errorf("%s logs in and is called %v", want, got)
		}
	}
	r := srv.update(srv.login(people[0]).Token, people[1].GetUserInfo())
	srv.wantProblem(r, 422, "undecryptable", "relogin")
}

func testEmoji(t *testing.T) {
	srv := newTestServer(t)
	const name = "李🐼 👨‍👩‍👧‍👦 é"
	p := srv.sim.Device(appID, wechattest.User{Name: "li", Info: wechattest.Info{NickName: name, AvatarURL: "https://thirdwx.qlogo.cn/li/132"}})
	if got := srv.mustUpdate(srv.login(p).Token, p.GetUserInfo()).UserInfo["nickName"]; got != name {
		t.Errorf("the response has %v", got)
	}
	if got := srv.nickname(appID, p.OpenID()); got != name {
		t.Errorf("stored %s", got)
	}
	if got := srv.login(p).UserInfo["nickName"]; got != name {
		t.Errorf("read back %v", got)
	}
}

func testPlaceholderOverwritesProfile(t *testing.T) {
	srv := newTestServer(t)
	p := srv.device("alice")
	token := srv.login(p).Token
	first := srv.mustUpdate(token, p.GetUserInfo())
	before := srv.queryText("SELECT updated_at FROM users")
	srv.advance(time.Minute)

	anonymous := srv.mustUpdate(token, p.GetPlaceholder())
	if !anonymous.Anonymous || !anonymous.ProfileComplete {
		t.Errorf("anonymous %v, profileComplete %v; want both", anonymous.Anonymous, anonymous.ProfileComplete)
	}
	if fmt.Sprint(anonymous.UserInfo) != fmt.Sprint(first.UserInfo) {
		t.Errorf("the profile became %v", anonymous.UserInfo)
	}
	if got := srv.queryText("SELECT updated_at FROM users"); got != before {
		t.Error("the row was written")
	}

	poor := srv.sim.Device(appID, wechattest.User{Name: "alice", Info: wechattest.Info{NickName: "Alice II", Language: "zh_CN"}})
	got := srv.mustUpdate(token, poor.GetUserProfile()).UserInfo
	want := first.UserInfo
	want["nickName"] = "Alice II"
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %v, want %v", got, want)
	}

	t.Run("a new users placeholder is not stored", func(t *testing.T) {
		bob := srv.device("bob")
		b := srv.mustUpdate(srv.login(bob).Token, bob.GetPlaceholder())
		if !b.Anonymous || b.ProfileComplete || b.UserInfo["nickName"] != "" || b.UserInfo["avatarUrl"] != "" {
			t.Errorf("got %+v", b)
		}
		if got := srv.nickname(appID, bob.OpenID()); got != "" {
			t.Errorf("stored %s", got)
		}
	})
}

func testTemporaryAvatar(t *testing.T) {
	srv := newTestServer(t)
	for i, avatar := range []string{"wxfile://tmp_8a1b2c.jpg", "http://tmp/8a1b2c.jpg", "https://tmp/x", "data:image/png;base64,AAAA", "/tmp/x"} {
		p := srv.sim.Device(appID, wechattest.User{Name: fmt.Sprint("u", i), Info: wechattest.Info{NickName: "n", AvatarURL: avatar}})
		b := srv.mustUpdate(srv.login(p).Token, p.GetUserInfo())
		if b.UserInfo["avatarUrl"] != "" || b.UserInfo["nickName"] != "n" || b.ProfileComplete {
			t.Errorf("%s: got %+v", avatar, b)
		}
	}
	if got := srv.queryText("SELECT COUNT(*) FROM users WHERE avatar_url <> ''"); got != "0" {
		t.Errorf("%s avatars are stored", got)
	}
}

func testDataWithoutOpenID(t *testing.T) {
	srv := newTestServer(t)
	p := srv.device("alice")
	srv.mustUpdate(srv.login(p).Token, p.GetUserProfile()) // getUserProfile's data has no openid
	srv.wantUsers("1", "1")
	if got := srv.nickname(appID, p.OpenID()); got != "alice" {
		t.Errorf("the session's user is called %q", got)
	}
}
