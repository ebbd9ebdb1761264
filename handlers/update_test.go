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

func TestUpdateUserInfo_tokens(t *testing.T) {
	w := newWorld(t)
	p := w.phone("alice")
	token := w.login(p).Token
	data := p.GetUserInfo()
	post := func(authorization, field string) response {
		content := fmt.Sprintf(`{"token":%q,"encryptedData":%q,"iv":%q}`, field, data.EncryptedData, data.IV)
		req := w.request("/updateUserInfo", "application/json", content)
		if authorization != "" {
			req.Header.Set("Authorization", authorization)
		}
		return w.do(req)
	}
	for name, r := range map[string]response{
		"bearer": post("Bearer "+token, ""), "any_case": post("bearer "+token, ""), "field": post("", token), "both": post("Bearer "+token, token),
	} {
		if r.status != http.StatusOK {
			t.Errorf("%s: %d %s", name, r.status, r.body.Code)
		}
	}
	w.wantProblem(post("Bearer "+token, "x"), 400, "invalid_request", "none")

	unknown := strings.Repeat("A", 43)
	var first string
	for name, r := range map[string]response{
		"missing": post("", ""), "malformed": post("", "x"), "unknown": post("", unknown), "basic": post("Basic "+token, ""),
		"empty_bearer": post("Bearer ", ""), "bearer_unknown": post("Bearer "+unknown, ""),
	} {
		t.Run(name, func(t *testing.T) {
			w.wantProblem(r, 401, "invalid_token", "relogin")
			if got := r.header.Get("WWW-Authenticate"); got != "Bearer" {
				t.Errorf("WWW-Authenticate is %q", got)
			}
			answer := strings.ReplaceAll(r.raw, r.body.RequestID, "")
			if first == "" {
				first = answer
			}
			if answer != first {
				t.Error("refused tokens get different answers")
			}
		})
	}
}

func TestUpdateUserInfo_of_a_user_whose_row_is_gone(t *testing.T) {
	w := newWorld(t)
	p := w.phone("alice")
	token := w.login(p).Token
	if _, err := w.db.Exec("DELETE FROM wechat_identities"); err != nil {
		t.Fatal(err)
	}
	w.wantProblem(w.update(token, p.GetUserInfo()), 401, "invalid_token", "relogin")
}

func TestUpdateUserInfo_newer_data_is_kept(t *testing.T) {
	w := newWorld(t)
	p := w.phone("alice")
	token := w.login(p).Token
	old := p.GetUserInfo()
	w.pass(time.Minute)
	renamed := w.sim.Device(appID, wechattest.User{Name: "alice", Info: wechattest.Info{NickName: "Alice II"}})
	w.mustUpdate(token, renamed.GetUserInfo())
	if got := w.mustUpdate(token, old).UserInfo["nickName"]; got != "Alice II" {
		t.Errorf("older data overwrote newer: %v", got)
	}
}

const typedAvatar = "https://cdn.example.com/avatars/1.png"

// typed sends what a person typed.
func (w *world) typed(token string, fields ...string) response {
	w.t.Helper()
	return w.form("/updateUserInfo", append([]string{"token", token}, fields...)...)
}

// column reads one column of Alice's row.
func (w *world) column(name string) string {
	w.t.Helper()
	return w.one("SELECT " + name + " FROM users ORDER BY id LIMIT 1")
}

func TestTyped_nickname_and_avatar_fill_the_profile(t *testing.T) {
	w := newWorld(t)
	token := w.login(w.phone("alice")).Token
	r := w.typed(token, "nickName", "  Ame\u0301lie 🐼 ", "avatarUrl", typedAvatar)
	if r.status != http.StatusOK || !r.body.ProfileComplete || r.body.Anonymous {
		t.Fatalf("%d %s, complete %v", r.status, r.body.Code, r.body.ProfileComplete)
	}
	if got := r.body.UserInfo["nickName"]; got != "Am\u00e9lie 🐼" { // trimmed, and in the composed form
		t.Errorf("the answer says %q", got)
	}
	if w.column("nickname") != "Am\u00e9lie 🐼" || w.column("avatar_url") != typedAvatar || w.column("profile_source") != "2" {
		t.Error("the database has another nickname, avatar or source")
	}
}

func TestTyped_one_of_both_keeps_the_other(t *testing.T) {
	w := newWorld(t)
	p := w.phone("alice")
	token := w.login(p).Token
	w.mustUpdate(token, p.GetUserInfo())
	if got := w.column("profile_source"); got != "1" {
		t.Errorf("source %s of what came from WeChat", got)
	}
	avatar := w.column("avatar_url")
	if r := w.typed(token, "nickName", "Al"); r.status != http.StatusOK || r.body.UserInfo["avatarUrl"] != avatar {
		t.Errorf("%d %s, or another avatar", r.status, r.body.Code)
	}
	if w.column("nickname") != "Al" || w.column("gender") == "0" || w.column("profile_source") != "2" {
		t.Error("the database has another nickname, gender or source")
	}
}

// WeChat's placeholder, by whichever way, overwrites nothing that a person typed; neither does older data.
func TestTyped_stays_over_placeholders_and_older_data(t *testing.T) {
	w := newWorld(t)
	p := w.phone("alice")
	token := w.login(p).Token
	older := p.GetUserInfo()
	w.pass(2 * time.Second) // a watermark has whole ones
	w.typed(token, "nickName", "Al", "avatarUrl", typedAvatar)
	for name, r := range map[string]response{
		"anonymous_data":    w.update(token, p.GetPlaceholder()),
		"typed_placeholder": w.typed(token, "nickName", "微信用户"),
		"older_data":        w.update(token, older),
	} {
		if r.status != http.StatusOK || r.body.UserInfo["nickName"] != "Al" || r.body.UserInfo["avatarUrl"] != typedAvatar {
			t.Errorf("%s: %d %s, or another profile", name, r.status, r.body.Code)
		}
	}
	if w.column("profile_source") != "2" {
		t.Error("the source is another one")
	}
}

func TestTyped_refuses(t *testing.T) {
	w := newWorld(t)
	p := w.phone("alice")
	token := w.login(p).Token
	data := p.GetUserInfo()
	const name, avatar = "The field nickName ", "The field avatarUrl "
	for what, tt := range map[string]struct {
		fields []string
		detail string
	}{
		"only_spaces":         {[]string{"nickName", " \u3000 "}, name},
		"33_characters":       {[]string{"nickName", strings.Repeat("字", 33)}, name},
		"control":             {[]string{"nickName", "a\x00b"}, name},
		"newline":             {[]string{"nickName", "a\nb"}, name},
		"line_separator":      {[]string{"nickName", "a\u2028b"}, name},
		"bidi_override":       {[]string{"nickName", "a\u202egnp.exe"}, name},
		"bidi_isolate":        {[]string{"nickName", "a\u2067b"}, name},
		"no_UTF8":             {[]string{"nickName", "a\xffb"}, name},
		"temporary_file":      {[]string{"avatarUrl", "wxfile://tmp_1.png"}, avatar},
		"temporary_http_file": {[]string{"avatarUrl", "http://tmp/1.png"}, avatar},
		"plain_http":          {[]string{"avatarUrl", "http://cdn.example.com/1.png"}, avatar},
		"script":              {[]string{"avatarUrl", "javascript:alert(1)"}, avatar},
		"user_in_the_address": {[]string{"avatarUrl", "https://a:b@example.com/1.png"}, avatar},
		"no_host":             {[]string{"avatarUrl", "https:///1.png"}, avatar},
		"space":               {[]string{"avatarUrl", "https://example.com/1 .png"}, avatar},
		"too_long":            {[]string{"avatarUrl", "https://example.com/" + strings.Repeat("a", 1024)}, avatar},
		"good_name_bad_image": {[]string{"nickName", "Al", "avatarUrl", "http://tmp/1.png"}, avatar},
		"beside_data":         {[]string{"nickName", "Al", "encryptedData", data.EncryptedData, "iv", data.IV}, "The fields nickName"},
	} {
		t.Run(what, func(t *testing.T) {
			r := w.typed(token, tt.fields...)
			w.wantProblem(r, 400, "invalid_request", "none")
			if !strings.HasPrefix(r.body.Detail, tt.detail) {
				t.Errorf("detail: %s", r.body.Detail)
			}
		})
	}
	if w.column("nickname") != "" || w.column("avatar_url") != "" || w.column("profile_updated_at") != "" {
		t.Error("something was written")
	}
	if r := w.typed(token, "nickName", strings.Repeat("字", 31)+"👩\u200d💻"[:4]); r.status != http.StatusOK {
		t.Errorf("32 characters: %d %s", r.status, r.body.Code)
	}
	if r := w.typed(token, "nickName", "👩\u200d💻"); r.status != http.StatusOK || !utf8.ValidString(w.column("nickname")) {
		t.Errorf("an emoji of several characters: %d %s", r.status, r.body.Code)
	}
}

func TestTyped_needs_a_token_and_a_user_who_may(t *testing.T) {
	w := newWorld(t)
	w.wantProblem(w.typed("x", "nickName", "Al"), 401, "invalid_token", "relogin")
	token := w.login(w.sim.Device(appID, wechattest.User{Name: "alice"})).Token
	if _, err := w.db.Exec("UPDATE users SET status = 2"); err != nil {
		t.Fatal(err)
	}
	w.wantProblem(w.typed(token, "nickName", "Al"), 403, "user_blocked", "none")
	if w.column("nickname") != "" {
		t.Error("it was written")
	}
}
