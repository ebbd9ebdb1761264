package handlers_test

import (
	"net/http"
	"strconv"
	"strings"
	"testing"

	"wxlogin/wechat/wechattest"
)

// A request's line says whose it was, as far as that is known, and never more of a person than the user id.
func TestRequestLog_says_whose_request_it_was(t *testing.T) {
	w := newWorld(t)
	alice := w.phone("alice")
	loggedIn := func(wantLogin string) string {
		t.Helper()
		r := w.form("/onLogin", "code", alice.Login())
		w.wantLine(r, map[string]any{"login": wantLogin, "appid": appID, "userId": w.userID(), "field": nil, "code": nil})
		return r.body.Token
	}
	loggedIn("new")
	token := loggedIn("returning")
	known := map[string]any{"login": nil, "appid": appID, "userId": w.userID()}
	w.wantLine(w.update(token, alice.GetUserInfo()), known)
	w.wantLine(w.form("/updateUserInfo", "token", token, "nickName", "Alice"), known)
	w.wantLine(w.bindPhone(token, alice.GetPhoneNumber()), known)
	w.wantLine(w.readBack("", "Bearer "+token), known)
	w.wantLine(w.introspect(token).response, known)
	w.wantLine(w.verify(token).response, known)
	w.wantLine(w.form("/updateUserInfo", "token", strings.Repeat("A", 43), "nickName", "x"), map[string]any{"appid": nil, "userId": nil})
	_, err := w.db.Exec("UPDATE users SET status = 2")
	w.must(err)
	known["code"] = "user_blocked"
	w.wantLine(w.form("/onLogin", "code", alice.Login()), map[string]any{"login": "returning", "userId": w.userID(), "code": "user_blocked"})
	w.wantLine(w.readBack("", "Bearer "+token), known)
	w.wantLine(w.verify(token).response, known)
	for _, secret := range []string{token, alice.OpenID(), alice.SessionKey(), secret, "Alice"} {
		if strings.Contains(w.logs.String(), secret) {
			t.Error("the log holds a token, an openid, a session_key, an AppSecret or a name")
		}
	}
}

func TestRequestLog_says_which_field_a_400_is_about(t *testing.T) {
	w := newWorld(t)
	token := w.login(w.phone("alice")).Token
	for field, r := range map[string]response{
		"code":          w.form("/onLogin"),
		"appid":         w.form("/onLogin", "code", "x", "appid", "wx0"),
		"encryptedData": w.form("/updateUserInfo", "token", token),
		"iv":            w.form("/updateUserInfo", "token", token, "encryptedData", "x"),
		"signature":     w.form("/updateUserInfo", "token", token, "encryptedData", "x", "iv", "x", "rawData", "x"),
		"nickName":      w.form("/updateUserInfo", "token", token, "nickName", strings.Repeat("x", 33)),
		"avatarUrl":     w.form("/updateUserInfo", "token", token, "avatarUrl", "http://tmp/x.png"),
		"everywhere":    w.form("/logout", "token", token, "everywhere", "yes"),
		"token":         w.do(w.request("/logout", "application/json", `{"token":7}`)),
	} {
		if r.status != http.StatusBadRequest {
			t.Errorf("%s: it is answered %d", field, r.status)
		}
		w.wantLine(r, map[string]any{"field": field, "code": "invalid_request"})
	}
	w.wantLine(w.do(w.request("/onLogin", formType, "code=a&code=b")), map[string]any{"field": "code"})
	w.wantLine(w.do(w.request("/onLogin", formType, "sesame=a&sesame=b&code=c")), map[string]any{"field": nil})
	if strings.Contains(w.logs.String(), "sesame") {
		t.Error("the log holds a name that a client made up")
	}
}

// The duration is in milliseconds, not in Go's nanoseconds.
func TestRequestLog_duration_is_in_milliseconds(t *testing.T) {
	w := newWorld(t)
	w.sim.Fail(wechattest.Busy) // which the client repeats after some 100 ms
	r := w.form("/onLogin", "code", w.phone("alice").Login())
	if ms, _ := w.logLine(r.header.Get("X-Request-Id"))["duration"].(float64); ms < 1 || ms > 60_000 {
		t.Errorf("a login took %v", ms)
	}
}

// wantLine fails unless the line of an answered request has these attributes; nil: it has not.
func (w *world) wantLine(r response, want map[string]any) {
	w.t.Helper()
	line := w.logLine(r.header.Get("X-Request-Id"))
	for name, value := range want {
		if line[name] != value {
			w.t.Errorf("%s %v: %s is %v, want %v", line["method"], line["route"], name, line[name], value)
		}
	}
}

// userID is the id of the only user, as JSON has it.
func (w *world) userID() float64 {
	w.t.Helper()
	id, err := strconv.ParseFloat(w.one("SELECT id FROM users"), 64)
	w.must(err)
	return id
}
