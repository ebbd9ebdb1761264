package handlers_test

import (
	"net/http"
	"testing"
)

// readBack asks for the profile with this Authorization header, "" for none.
func (w *world) readBack(query, authorization string) response {
	w.t.Helper()
	req, err := http.NewRequest(http.MethodGet, w.public.URL+"/userInfo"+query, nil)
	w.must(err)
	if authorization != "" {
		req.Header.Set("Authorization", authorization)
	}
	return w.do(req)
}

func TestUserInfo_is_the_profile_as_it_is_now(t *testing.T) {
	w := newWorld(t)
	p := w.phone("alice")
	token := w.login(p).Token
	if r := w.readBack("", "Bearer "+token); r.status != http.StatusOK || r.body.ProfileComplete || r.body.UserInfo["nickName"] != "" {
		t.Errorf("before: %d %s", r.status, r.body.Code)
	}
	w.mustUpdate(token, p.GetUserInfo())
	r := w.readBack("", "Bearer "+token)
	if r.status != http.StatusOK || !r.body.ProfileComplete || r.body.UserInfo["nickName"] != "alice" || len(r.body.UserInfo) != 7 {
		t.Errorf("after: %d %s, %d fields", r.status, r.body.Code, len(r.body.UserInfo))
	}
	// Another session of the same person sees it too; another person does not.
	if r := w.readBack("", "Bearer "+w.login(p).Token); r.body.UserInfo["nickName"] != "alice" {
		t.Error("another session shows another profile")
	}
	if r := w.readBack("", "Bearer "+w.login(w.phone("bob")).Token); r.body.UserInfo["nickName"] != "" {
		t.Error("somebody else is shown")
	}
}

func TestUserInfo_refuses(t *testing.T) {
	w := newWorld(t)
	token := w.login(w.phone("alice")).Token
	w.wantProblem(w.readBack("", ""), 401, "invalid_token", "relogin")
	w.wantProblem(w.readBack("?token="+token, ""), 401, "invalid_token", "relogin")
	w.wantProblem(w.readBack("", "Basic "+token), 401, "invalid_token", "relogin")
	if _, err := w.db.Exec("UPDATE users SET status = 2"); err != nil {
		t.Fatal(err)
	}
	w.wantProblem(w.readBack("", "Bearer "+token), 403, "user_blocked", "none")
}
