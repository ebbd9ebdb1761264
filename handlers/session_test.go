package handlers_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"wxlogin/wechat/wechattest"
)

func TestDisabled_user_can_neither_log_in_nor_update(t *testing.T) {
	w := newWorld(t)
	p := w.phone("alice")
	token := w.login(p).Token
	if _, err := w.db.Exec("UPDATE users SET status = 2"); err != nil {
		t.Fatal(err)
	}
	before := len(w.redis.Dump(t))
	w.wantProblem(w.form("/onLogin", "code", p.Login()), 403, "user_blocked", "none")
	if got := len(w.redis.Dump(t)); got != before {
		t.Error("a disabled user got a session")
	}
	w.wantProblem(w.update(token, p.GetUserInfo()), 403, "user_blocked", "none")
	if got := w.nickname(appID, p.OpenID()); got != "" {
		t.Errorf("%s was stored", got)
	}
}

// mustLogout is a logout that must be answered 200.
func (w *world) mustLogout(fields ...string) {
	w.t.Helper()
	if r := w.form("/logout", fields...); r.status != http.StatusOK || r.raw != "{\"status\":200}\n" {
		w.t.Fatalf("logout: %d %s", r.status, r.body.Code)
	}
}

// wantDead fails unless a token stands for nobody.
func (w *world) wantDead(token string) {
	w.t.Helper()
	w.wantProblem(w.form("/updateUserInfo", "token", token, "encryptedData", "x", "iv", "x"), 401, "invalid_token", "relogin")
}

// wantAlive fails unless a token stands for somebody.
func (w *world) wantAlive(token string) {
	w.t.Helper()
	w.wantProblem(w.form("/updateUserInfo", "token", token, "encryptedData", garbage, "iv", garbage), 422, "undecryptable", "relogin")
}

// wantKeys fails unless Redis holds so many keys: a record for each session and an index for each user.
func (w *world) wantKeys(n int) {
	w.t.Helper()
	if keys := w.redis.Dump(w.t); len(keys) != n {
		w.t.Errorf("Redis holds %d keys, want %d", len(keys), n)
	}
}

func TestLogout_ends_this_session_and_no_other(t *testing.T) {
	w := newWorld(t)
	phone, tablet, bob := w.login(w.phone("alice")).Token, w.login(w.phone("alice")).Token, w.login(w.phone("bob")).Token
	w.wantKeys(5)
	for range 2 { // once more does no harm
		w.mustLogout("token", phone)
		w.wantDead(phone)
		w.wantKeys(4)
	}
	w.wantAlive(tablet)
	w.wantAlive(bob)
}

func TestLogout_everywhere_ends_all_sessions_of_the_user_in_this_app(t *testing.T) {
	w := newWorld(t, twoApps)
	phone, tablet, bob := w.login(w.phone("alice")).Token, w.login(w.phone("alice")).Token, w.login(w.phone("bob")).Token
	other := w.login(w.sim.Device(otherAppID, wechattest.User{Name: "alice"})).Token
	w.mustLogout("token", phone, "everywhere", "true")
	w.wantDead(phone)
	w.wantDead(tablet)
	w.wantAlive(bob)
	w.wantAlive(other)
	w.wantKeys(4)
	// Whose sessions they were cannot be told any more, and 200 would say that all have ended.
	w.wantProblem(w.form("/logout", "token", phone, "everywhere", "true"), 401, "invalid_token", "relogin")
	w.mustLogout("token", phone)
}

func TestLogout_requests(t *testing.T) {
	w := newWorld(t)
	t.Run("token_in_the_header_without_a_body", func(t *testing.T) {
		token := w.login(w.phone("alice")).Token
		req := w.request("/logout", "", "")
		req.Header.Del("Content-Type")
		req.Header.Set("Authorization", "Bearer "+token)
		if r := w.do(req); r.status != http.StatusOK {
			t.Errorf("%d %s", r.status, r.body.Code)
		}
		w.wantDead(token)
	})
	t.Run("everywhere_as_JSON", func(t *testing.T) {
		first, second := w.login(w.phone("alice")).Token, w.login(w.phone("alice")).Token
		r := w.do(w.request("/logout", "application/json", `{"token":"`+first+`","everywhere":true}`))
		if r.status != http.StatusOK {
			t.Errorf("%d %s", r.status, r.body.Code)
		}
		w.wantDead(second)
	})
	t.Run("everywhere_false", func(t *testing.T) {
		first, second := w.login(w.phone("alice")).Token, w.login(w.phone("alice")).Token
		w.mustLogout("token", first, "everywhere", "false")
		w.wantDead(first)
		w.wantAlive(second)
	})
	t.Run("unclear_everywhere_ends_nothing", func(t *testing.T) {
		token := w.login(w.phone("alice")).Token
		w.wantProblem(w.form("/logout", "token", token, "everywhere", "yes"), 400, "invalid_request", "none")
		w.wantAlive(token)
	})
	t.Run("no_token", func(t *testing.T) {
		w.wantProblem(w.form("/logout", "everywhere", "true"), 401, "invalid_token", "relogin")
		w.wantProblem(w.do(w.request("/logout", "", "")), 401, "invalid_token", "relogin")
	})
	t.Run("unknown_token_has_ended_already", func(t *testing.T) {
		w.mustLogout("token", strings.Repeat("A", 43))
		w.mustLogout("token", "x")
	})
}

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

// Only status 1 is let through, whatever else stands there: by a route that reads the user or one that writes it.
func TestStatus_otherThanActiveIsRefused(t *testing.T) {
	picture := pictureFiles(t)["jpeg"]
	for _, status := range []int{0, 2, 3, 4, 5, 7, 255} {
		t.Run(fmt.Sprint("status ", status), func(t *testing.T) {
			w := newWorld(t)
			p := w.phone("alice")
			token := w.login(p).Token
			if _, err := w.db.Exec("UPDATE users SET status = ?", status); err != nil {
				t.Fatal(err)
			}
			sessions, before := len(w.redis.Dump(t)), w.row()
			for name, r := range map[string]response{
				"login":        w.form("/onLogin", "code", p.Login()),
				"update":       w.update(token, p.GetUserInfo()),
				"typed update": w.typed(token, "nickName", "Alice"),
				"phone":        w.bindPhone(token, p.GetPhoneNumber()),
				"picture":      w.upload(token, picture),
				"reading":      w.readBack("", "Bearer "+token),
				"verify":       w.verify(token).response,
			} {
				t.Run(name, func(t *testing.T) {
					if r.status != http.StatusForbidden || r.body.Code != "user_blocked" {
						t.Errorf("got %d %s", r.status, r.body.Code)
					}
				})
			}
			if a := w.introspect(token); a.status != http.StatusOK || a.active["active"] != false || len(a.active) != 1 {
				t.Errorf("introspect: %d %v", a.status, a.active)
			}
			if got := len(w.redis.Dump(t)); got != sessions {
				t.Error("it got a session")
			}
			if after := w.row(); after != before {
				t.Errorf("the row was %s, is %s", before, after)
			}
			w.wantPictures(0)
		})
	}
}

// row is the only user, as one text.
func (w *world) row() string {
	w.t.Helper()
	return w.one("SELECT CONCAT_WS('|', id, status, nickname, avatar_url, phone_number, updated_at, last_login_at) FROM users")
}

// A user whose row was deleted by hand: the old token leads to a login, and that to a new user.
func TestDeletedUser_logsInAsNew(t *testing.T) {
	w := newWorld(t)
	p := w.phone("alice")
	token := w.login(p).Token
	if _, err := w.db.Exec("DELETE FROM users"); err != nil {
		t.Fatal(err)
	}
	w.wantProblem(w.typed(token, "nickName", "Alice"), 401, "invalid_token", "relogin")
	w.wantProblem(w.readBack("", "Bearer "+token), 401, "invalid_token", "relogin")
	answer := w.login(p)
	if !answer.IsNewUser {
		t.Error("it is no new user")
	}
	if r := w.typed(answer.Token, "nickName", "Alice"); r.status != http.StatusOK {
		t.Errorf("update: %d %s", r.status, r.body.Code)
	}
	if w.login(p).IsNewUser {
		t.Error("the second login is a new user again")
	}
	w.wantUsers("1", "1")
	if logs := w.logs.String(); strings.Count(logs, "an identity had no user") != 1 || strings.Contains(logs, p.OpenID()) {
		t.Errorf("log: %s", logs)
	}
}

// Many updates of one session at once are all answered 200.
func TestUpdates_ofOneSessionAtOnce(t *testing.T) {
	const n = 100
	w := newWorld(t)
	token := w.login(w.phone("alice")).Token
	codes := make([]string, n)
	var calls sync.WaitGroup
	for i := range n {
		calls.Go(func() {
			req := w.request("/updateUserInfo", formType, fmt.Sprintf("token=%s&nickName=Alice%d", token, i))
			res, err := http.DefaultClient.Do(req)
			if err != nil {
				codes[i] = err.Error()
				return
			}
			res.Body.Close()
			codes[i] = res.Status
		})
	}
	calls.Wait()
	for i, code := range codes {
		if code != "200 OK" {
			t.Errorf("update %d: %s", i, code)
		}
	}
}

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
