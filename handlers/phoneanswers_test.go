package handlers_test

import (
	"net/http"
	"strings"
	"testing"

	"wxlogin/wechat/wechattest"
)

// Every answer about a user says, masked, which phone number is bound, so that no client asks for it again.
func TestPhoneNumber_in_answers(t *testing.T) {
	w := newWorld(t, twoApps)
	const number = "13812345678"
	alice := wechattest.User{Name: "alice", UnionID: "o6_bmasdasdsad6_2sgVt7hMZOPfL", PhoneNumber: number}
	phone, other := w.sim.Device(appID, alice), w.sim.Device(otherAppID, alice)
	check := func(t *testing.T, phone *wechattest.Device, want string) {
		t.Helper()
		token := w.login(phone).Token
		for route, r := range map[string]response{
			"/onLogin":        w.form("/onLogin", "code", phone.Login(), "appid", phone.AppID()),
			"/updateUserInfo": w.update(token, phone.GetUserInfo()),
			"typed":           w.typed(token, "nickName", "Alice"),
			"/uploadAvatar":   w.upload(token, pictureFiles(t)["png"]),
			"/userInfo":       w.readBack("", "Bearer "+token),
		} {
			if r.status != http.StatusOK || !strings.Contains(r.raw, `"phoneNumber":"`+want+`"`) {
				t.Errorf("%s: %d %s without phoneNumber %q", route, r.status, r.body.Code, want)
			}
			if strings.Contains(r.raw, number) {
				t.Errorf("%s shows the whole number", route)
			}
		}
	}
	t.Run("none is bound", func(t *testing.T) { check(t, phone, "") })
	w.wantBound(w.form("/bindPhone", "token", w.login(phone).Token, "code", phone.PhoneCode()), phone, "86", "138****5678")
	t.Run("one is bound", func(t *testing.T) { check(t, phone, "138****5678") })
	t.Run("in another mini-program of the same person", func(t *testing.T) { check(t, other, "138****5678") })
}
