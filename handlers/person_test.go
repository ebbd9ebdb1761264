package handlers_test

import (
	"net/http"
	"testing"

	"wxlogin/wechat/wechattest"
)

// A person is known in two mini-programs before WeChat tells that it is one person: from then on there is one user, who has
// both identities and the profile, and nobody is signed out.
func TestPerson_in_two_apps_becomes_one_user(t *testing.T) {
	w := newWorld(t, twoApps)
	here, there := w.sim.Device(appID, wechattest.User{Name: "alice"}), w.sim.Device(otherAppID, wechattest.User{Name: "alice"})
	tokenHere := w.login(here).Token
	w.mustUpdate(tokenHere, here.GetUserInfo())
	here.SetUnionID("ocMvos6NjeKLIBqg5Mr9QjxrP1FA") // the mini-programs are bound to one Open Platform account
	tokenThere := w.login(there).Token
	w.wantUsers("2", "2")
	if name := w.login(here).UserInfo["nickName"]; name != "alice" {
		t.Errorf("after WeChat told, the profile here is %v", name)
	}
	w.wantUsers("1", "2")
	for where, token := range map[string]string{"here": tokenHere, "there": tokenThere} {
		if r := w.readBack("", "Bearer "+token); r.status != http.StatusOK || r.body.UserInfo["nickName"] != "alice" {
			t.Errorf("the token from before, %s: %d %s", where, r.status, r.body.Code)
		}
	}
	if n := w.one("SELECT COUNT(*) FROM user_merges"); n != "1" {
		t.Errorf("%s merges are on record, want 1", n)
	}
	// Data of one app does not open in a session of the other.
	w.wantProblem(w.update(tokenThere, here.GetUserInfo()), 422, "undecryptable", "relogin")
}
