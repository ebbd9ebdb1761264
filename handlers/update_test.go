package handlers_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"wxlogin/wechat/wechattest"
)

func TestUpdateUserInfo_Token(t *testing.T) {
	srv := newTestServer(t)
	p := srv.device("alice")
	token := srv.login(p).Token
	data := p.GetUserInfo()
	post := func(authorization, field string) response {
		content := fmt.Sprintf(`{"token":%q,"encryptedData":%q,"iv":%q}`, field, data.EncryptedData, data.IV)
		req := srv.request("/updateUserInfo", "application/json", content)
		if authorization != "" {
			req.Header.Set("Authorization", authorization)
		}
		return srv.do(req)
	}
	for name, r := range map[string]response{
		"bearer": post("Bearer "+token, ""), "any case": post("bearer "+token, ""), "field": post("", token), "both": post("Bearer "+token, token),
	} {
		if r.status != http.StatusOK {
			t.Errorf("%s: %d %s", name, r.status, r.body.Code)
		}
	}
	srv.wantProblem(post("Bearer "+token, "x"), 400, "invalid_request", "none")

	unknown := strings.Repeat("A", 43)
	var first string
	for name, r := range map[string]response{
		"missing": post("", ""), "malformed": post("", "x"), "unknown": post("", unknown), "basic": post("Basic "+token, ""),
		"empty bearer": post("Bearer ", ""), "bearer unknown": post("Bearer "+unknown, ""),
	} {
		t.Run(name, func(t *testing.T) {
			srv.wantProblem(r, 401, "invalid_token", "relogin")
			if got := r.header.Get("WWW-Authenticate"); got != "Bearer" {
				t.Errorf("WWW-Authenticate is %q", got)
			}
			answer := strings.ReplaceAll(r.raw, r.body.RequestID, "")
			if first == "" {
				first = answer
			}
			if answer != first {
				t.Error("rejected tokens get different responses")
			}
		})
	}
}

func TestUpdateUserInfo(t *testing.T) {
	t.Run("rejects the token of a user without a row", func(t *testing.T) {
		srv := newTestServer(t)
		p := srv.device("alice")
		token := srv.login(p).Token
		if _, err := srv.db.Exec("DELETE FROM wechat_identities"); err != nil {
			t.Fatal(err)
		}
		srv.wantProblem(srv.update(token, p.GetUserInfo()), 401, "invalid_token", "relogin")
	})

	t.Run("does not overwrite newer data", func(t *testing.T) {
		srv := newTestServer(t)
		p := srv.device("alice")
		token := srv.login(p).Token
		old := p.GetUserInfo()
		srv.advance(time.Minute)
		renamed := srv.sim.Device(appID, wechattest.User{Name: "alice", Info: wechattest.Info{NickName: "Alice II"}})
		srv.mustUpdate(token, renamed.GetUserInfo())
		if got := srv.mustUpdate(token, old).UserInfo["nickName"]; got != "Alice II" {
			t.Errorf("older data overwrote newer: %v", got)
		}
	})
}

const manualAvatar = "https://cdn.example.com/avatars/1.png"

// updateManually sends what a user entered.
func (srv *testServer) updateManually(token string, fields ...string) response {
	srv.t.Helper()
	return srv.postForm("/updateUserInfo", append([]string{"token", token}, fields...)...)
}

// column reads a column of Alice's row.
func (srv *testServer) column(name string) string {
	srv.t.Helper()
	return srv.queryText("SELECT " + name + " FROM users ORDER BY id LIMIT 1")
}

func TestManualProfile(t *testing.T) {
	t.Run("fills the profile", func(t *testing.T) {
		srv := newTestServer(t)
		token := srv.login(srv.device("alice")).Token
		r := srv.updateManually(token, "nickName", "  Ame\u0301lie 🐼 ", "avatarUrl", manualAvatar)
		if r.status != http.StatusOK || !r.body.ProfileComplete || r.body.Anonymous {
			t.Fatalf("%d %s, complete %v", r.status, r.body.Code, r.body.ProfileComplete)
		}
		if got := r.body.UserInfo["nickName"]; got != "Am\u00e9lie 🐼" { // trimmed and composed
			t.Errorf("the response has %q", got)
		}
		if srv.column("nickname") != "Am\u00e9lie 🐼" || srv.column("avatar_url") != manualAvatar || srv.column("profile_source") != "2" {
			t.Error("the database has another nickname, avatar or source")
		}
	})

	t.Run("keeps what is not sent", func(t *testing.T) {
		srv := newTestServer(t)
		p := srv.device("alice")
		token := srv.login(p).Token
		srv.mustUpdate(token, p.GetUserInfo())
		if got := srv.column("profile_source"); got != "1" {
			t.Errorf("source %s of what came from WeChat", got)
		}
		avatar := srv.column("avatar_url")
		if r := srv.updateManually(token, "nickName", "Al"); r.status != http.StatusOK || r.body.UserInfo["avatarUrl"] != avatar {
			t.Errorf("%d %s, or another avatar", r.status, r.body.Code)
		}
		if srv.column("nickname") != "Al" || srv.column("gender") == "0" || srv.column("profile_source") != "2" {
			t.Error("the database has another nickname, gender or source")
		}
	})

	// Neither WeChat's placeholder nor older data overwrites what a user entered.
	t.Run("is not overwritten by placeholders or older data", func(t *testing.T) {
		srv := newTestServer(t)
		p := srv.device("alice")
		token := srv.login(p).Token
		older := p.GetUserInfo()
		srv.advance(2 * time.Second) // a watermark has whole seconds
		srv.updateManually(token, "nickName", "Al", "avatarUrl", manualAvatar)
		for name, r := range map[string]response{
			"anonymous data":    srv.update(token, p.GetPlaceholder()),
			"typed placeholder": srv.updateManually(token, "nickName", "微信用户"),
			"older data":        srv.update(token, older),
		} {
			if r.status != http.StatusOK || r.body.UserInfo["nickName"] != "Al" || r.body.UserInfo["avatarUrl"] != manualAvatar {
				t.Errorf("%s: %d %s, or another profile", name, r.status, r.body.Code)
			}
		}
		if srv.column("profile_source") != "2" {
			t.Error("the source is another one")
		}
	})

	t.Run("requires a token and an active user", func(t *testing.T) {
		srv := newTestServer(t)
		srv.wantProblem(srv.updateManually("x", "nickName", "Al"), 401, "invalid_token", "relogin")
		token := srv.login(srv.sim.Device(appID, wechattest.User{Name: "alice"})).Token
		if _, err := srv.db.Exec("UPDATE users SET status = 2"); err != nil {
			t.Fatal(err)
		}
		srv.wantProblem(srv.updateManually(token, "nickName", "Al"), 403, "user_blocked", "none")
		if srv.column("nickname") != "" {
			t.Error("it was written")
		}
	})
}

func TestManualProfile_Invalid(t *testing.T) {
	srv := newTestServer(t)
	p := srv.device("alice")
	token := srv.login(p).Token
	data := p.GetUserInfo()
	const name, avatar = "nickName ", "avatarUrl "
	for what, tt := range map[string]struct {
		fields []string
		detail string
	}{
		"only spaces":         {[]string{"nickName", " \u3000 "}, name},
		"33 characters":       {[]string{"nickName", strings.Repeat("字", 33)}, name},
		"control":             {[]string{"nickName", "a\x00b"}, name},
		"newline":             {[]string{"nickName", "a\nb"}, name},
		"line separator":      {[]string{"nickName", "a\u2028b"}, name},
		"bidi override":       {[]string{"nickName", "a\u202egnp.exe"}, name},
		"bidi isolate":        {[]string{"nickName", "a\u2067b"}, name},
		"no UTF8":             {[]string{"nickName", "a\xffb"}, name},
		"temporary file":      {[]string{"avatarUrl", "wxfile://tmp_1.png"}, avatar},
		"temporary http file": {[]string{"avatarUrl", "http://tmp/1.png"}, avatar},
		"plain http":          {[]string{"avatarUrl", "http://cdn.example.com/1.png"}, avatar},
		"script":              {[]string{"avatarUrl", "javascript:alert(1)"}, avatar},
		"user in the address": {[]string{"avatarUrl", "https://a:b@example.com/1.png"}, avatar},
		"no host":             {[]string{"avatarUrl", "https:///1.png"}, avatar},
		"space":               {[]string{"avatarUrl", "https://example.com/1 .png"}, avatar},
		"too long":            {[]string{"avatarUrl", "https://example.com/" + strings.Repeat("a", 1024)}, avatar},
		"good name bad image": {[]string{"nickName", "Al", "avatarUrl", "http://tmp/1.png"}, avatar},
		"with encrypted data": {[]string{"nickName", "Al", "encryptedData", data.EncryptedData, "iv", data.IV}, "Send either nickName"},
	} {
		t.Run(what, func(t *testing.T) {
			r := srv.updateManually(token, tt.fields...)
			srv.wantProblem(r, 400, "invalid_request", "none")
			if !strings.HasPrefix(r.body.Detail, tt.detail) {
				t.Errorf("detail: %s", r.body.Detail)
			}
		})
	}
	if srv.column("nickname") != "" || srv.column("avatar_url") != "" || srv.column("profile_updated_at") != "" {
		t.Error("something was written")
	}
	if r := srv.updateManually(token, "nickName", strings.Repeat("字", 31)+"👩\u200d💻"[:4]); r.status != http.StatusOK {
		t.Errorf("32 characters: %d %s", r.status, r.body.Code)
	}
	if r := srv.updateManually(token, "nickName", "👩\u200d💻"); r.status != http.StatusOK || !utf8.ValidString(srv.column("nickname")) {
		t.Errorf("an emoji of several characters: %d %s", r.status, r.body.Code)
	}
}
