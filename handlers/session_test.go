package handlers_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"wxlogin/wechat/wechattest"
)

func TestDisabledUser(t *testing.T) {
	srv := newTestServer(t)
	p := srv.device("alice")
	token := srv.login(p).Token
	if _, err := srv.db.Exec("UPDATE users SET status = 2"); err != nil {
		t.Fatal(err)
	}
	before := len(srv.redis.Dump(t))
	srv.wantProblem(srv.postForm("/onLogin", "code", p.Login()), 403, "user_blocked", "none")
	if got := len(srv.redis.Dump(t)); got != before {
		t.Error("a disabled user got a session")
	}
	srv.wantProblem(srv.update(token, p.GetUserInfo()), 403, "user_blocked", "none")
	if got := srv.nickname(appID, p.OpenID()); got != "" {
		t.Errorf("%s was stored", got)
	}
}

// mustLogout is a logout with a response that must be 200.
func (srv *testServer) mustLogout(fields ...string) {
	srv.t.Helper()
	if r := srv.postForm("/logout", fields...); r.status != http.StatusOK || r.raw != "{\"status\":200}\n" {
		srv.t.Fatalf("logout: %d %s", r.status, r.body.Code)
	}
}

// wantInvalidToken checks that a token is rejected.
func (srv *testServer) wantInvalidToken(token string) {
	srv.t.Helper()
	srv.wantProblem(srv.postForm("/updateUserInfo", "token", token, "encryptedData", "x", "iv", "x"), 401, "invalid_token", "relogin")
}

// wantValidToken checks that a token is accepted.
func (srv *testServer) wantValidToken(token string) {
	srv.t.Helper()
	srv.wantProblem(srv.postForm("/updateUserInfo", "token", token, "encryptedData", garbage, "iv", garbage), 422, "undecryptable", "relogin")
}

// wantKeys checks the number of keys in Redis: a record per session and an index per user.
func (srv *testServer) wantKeys(n int) {
	srv.t.Helper()
	if keys := srv.redis.Dump(srv.t); len(keys) != n {
		srv.t.Errorf("Redis has %d keys, want %d", len(keys), n)
	}
}

func TestLogout(t *testing.T) {
	t.Run("ends only this session", func(t *testing.T) {
		srv := newTestServer(t)
		phone, tablet, bob := srv.login(srv.device("alice")).Token, srv.login(srv.device("alice")).Token, srv.login(srv.device("bob")).Token
		srv.wantKeys(5)
		for range 2 { // a logout may be repeated
			srv.mustLogout("token", phone)
			srv.wantInvalidToken(phone)
			srv.wantKeys(4)
		}
		srv.wantValidToken(tablet)
		srv.wantValidToken(bob)
	})

	t.Run("with everywhere ends all sessions of the user in this app", func(t *testing.T) {
		srv := newTestServer(t, withTwoApps)
		phone, tablet, bob := srv.login(srv.device("alice")).Token, srv.login(srv.device("alice")).Token, srv.login(srv.device("bob")).Token
		other := srv.login(srv.sim.Device(otherAppID, wechattest.User{Name: "alice"})).Token
		srv.mustLogout("token", phone, "everywhere", "true")
		srv.wantInvalidToken(phone)
		srv.wantInvalidToken(tablet)
		srv.wantValidToken(bob)
		srv.wantValidToken(other)
		srv.wantKeys(4)
		// The user of the token is not known any more, and 200 would mean that all sessions have ended.
		srv.wantProblem(srv.postForm("/logout", "token", phone, "everywhere", "true"), 401, "invalid_token", "relogin")
		srv.mustLogout("token", phone)
	})
}

func TestLogout_Requests(t *testing.T) {
	srv := newTestServer(t)
	t.Run("token in the header without a body", func(t *testing.T) {
		token := srv.login(srv.device("alice")).Token
		req := srv.request("/logout", "", "")
		req.Header.Del("Content-Type")
		req.Header.Set("Authorization", "Bearer "+token)
		if r := srv.do(req); r.status != http.StatusOK {
			t.Errorf("%d %s", r.status, r.body.Code)
		}
		srv.wantInvalidToken(token)
	})
	t.Run("everywhere as JSON", func(t *testing.T) {
		first, second := srv.login(srv.device("alice")).Token, srv.login(srv.device("alice")).Token
		r := srv.do(srv.request("/logout", "application/json", `{"token":"`+first+`","everywhere":true}`))
		if r.status != http.StatusOK {
			t.Errorf("%d %s", r.status, r.body.Code)
		}
		srv.wantInvalidToken(second)
	})
	t.Run("everywhere false", func(t *testing.T) {
		first, second := srv.login(srv.device("alice")).Token, srv.login(srv.device("alice")).Token
		srv.mustLogout("token", first, "everywhere", "false")
		srv.wantInvalidToken(first)
		srv.wantValidToken(second)
	})
	t.Run("invalid everywhere", func(t *testing.T) {
		token := srv.login(srv.device("alice")).Token
		srv.wantProblem(srv.postForm("/logout", "token", token, "everywhere", "yes"), 400, "invalid_request", "none")
		srv.wantValidToken(token)
	})
	t.Run("no token", func(t *testing.T) {
		srv.wantProblem(srv.postForm("/logout", "everywhere", "true"), 401, "invalid_token", "relogin")
		srv.wantProblem(srv.do(srv.request("/logout", "", "")), 401, "invalid_token", "relogin")
	})
	t.Run("unknown token", func(t *testing.T) {
		srv.mustLogout("token", strings.Repeat("A", 43))
		srv.mustLogout("token", "x")
	})
}

// getUserInfo gets the profile. authorization may be "".
func (srv *testServer) getUserInfo(query, authorization string) response {
	srv.t.Helper()
	req, err := http.NewRequest(http.MethodGet, srv.public.URL+"/userInfo"+query, nil)
	srv.must(err)
	if authorization != "" {
		req.Header.Set("Authorization", authorization)
	}
	return srv.do(req)
}

func TestUserInfo(t *testing.T) {
	t.Run("returns the current profile", func(t *testing.T) {
		srv := newTestServer(t)
		p := srv.device("alice")
		token := srv.login(p).Token
		if r := srv.getUserInfo("", "Bearer "+token); r.status != http.StatusOK || r.body.ProfileComplete || r.body.UserInfo["nickName"] != "" {
			t.Errorf("before: %d %s", r.status, r.body.Code)
		}
		srv.mustUpdate(token, p.GetUserInfo())
		r := srv.getUserInfo("", "Bearer "+token)
		if r.status != http.StatusOK || !r.body.ProfileComplete || r.body.UserInfo["nickName"] != "alice" || len(r.body.UserInfo) != 7 {
			t.Errorf("after: %d %s, %d fields", r.status, r.body.Code, len(r.body.UserInfo))
		}
		// Another session of the same user returns the same profile, another user's does not.
		if r := srv.getUserInfo("", "Bearer "+srv.login(p).Token); r.body.UserInfo["nickName"] != "alice" {
			t.Error("another session shows another profile")
		}
		if r := srv.getUserInfo("", "Bearer "+srv.login(srv.device("bob")).Token); r.body.UserInfo["nickName"] != "" {
			t.Error("the profile of another user is returned")
		}
	})

	t.Run("rejects requests without a valid token in the header", func(t *testing.T) {
		srv := newTestServer(t)
		token := srv.login(srv.device("alice")).Token
		srv.wantProblem(srv.getUserInfo("", ""), 401, "invalid_token", "relogin")
		srv.wantProblem(srv.getUserInfo("?token="+token, ""), 401, "invalid_token", "relogin")
		srv.wantProblem(srv.getUserInfo("", "Basic "+token), 401, "invalid_token", "relogin")
		if _, err := srv.db.Exec("UPDATE users SET status = 2"); err != nil {
			t.Fatal(err)
		}
		srv.wantProblem(srv.getUserInfo("", "Bearer "+token), 403, "user_blocked", "none")
	})
}

// Only status 1 is accepted, on routes that read the user and on those that write it.
func TestUserStatus(t *testing.T) {
	picture := pictureFiles(t)["jpeg"]
	for _, status := range []int{0, 2, 3, 4, 5, 7, 255} {
		t.Run(fmt.Sprint("status ", status), func(t *testing.T) {
			srv := newTestServer(t)
			p := srv.device("alice")
			token := srv.login(p).Token
			if _, err := srv.db.Exec("UPDATE users SET status = ?", status); err != nil {
				t.Fatal(err)
			}
			sessions, before := len(srv.redis.Dump(t)), srv.userSummary()
			for name, r := range map[string]response{
				"login":        srv.postForm("/onLogin", "code", p.Login()),
				"update":       srv.update(token, p.GetUserInfo()),
				"typed update": srv.updateManually(token, "nickName", "Alice"),
				"phone":        srv.bindPhone(token, p.GetPhoneNumber()),
				"picture":      srv.upload(token, picture),
				"reading":      srv.getUserInfo("", "Bearer "+token),
				"own data":     srv.myData(token),
				"phone away":   srv.postForm("/unbindPhone", "token", token),
				"verify":       srv.verify(token).response,
			} {
				t.Run(name, func(t *testing.T) {
					if r.status != http.StatusForbidden || r.body.Code != "user_blocked" {
						t.Errorf("got %d %s", r.status, r.body.Code)
					}
				})
			}
			if status != 4 { // an erased user has no identity, unless somebody has edited the tables
				srv.wantProblem(srv.postForm("/deleteAccount", "token", token, "confirm", "delete"), 403, "user_blocked", "none")
			}
			if a := srv.introspect(token); a.status != http.StatusOK || a.active["active"] != false || len(a.active) != 1 {
				t.Errorf("introspect: %d %v", a.status, a.active)
			}
			if got := len(srv.redis.Dump(t)); got != sessions {
				t.Error("it got a session")
			}
			if after := srv.userSummary(); after != before {
				t.Errorf("the row was %s, is %s", before, after)
			}
			srv.wantPictures(0)
		})
	}
}

// userSummary returns the only user as one text.
func (srv *testServer) userSummary() string {
	srv.t.Helper()
	return srv.queryText("SELECT CONCAT_WS('|', id, status, nickname, avatar_url, phone_number, updated_at, last_login_at) FROM users")
}

// If an administrator has deleted the row, the old token leads to a login, and the login creates a new user.
func TestDeletedUser(t *testing.T) {
	srv := newTestServer(t)
	p := srv.device("alice")
	token := srv.login(p).Token
	if _, err := srv.db.Exec("DELETE FROM users"); err != nil {
		t.Fatal(err)
	}
	srv.wantProblem(srv.updateManually(token, "nickName", "Alice"), 401, "invalid_token", "relogin")
	srv.wantProblem(srv.getUserInfo("", "Bearer "+token), 401, "invalid_token", "relogin")
	answer := srv.login(p)
	if !answer.IsNewUser {
		t.Error("the login does not create a new user")
	}
	if r := srv.updateManually(answer.Token, "nickName", "Alice"); r.status != http.StatusOK {
		t.Errorf("update: %d %s", r.status, r.body.Code)
	}
	if srv.login(p).IsNewUser {
		t.Error("the second login is a new user again")
	}
	srv.wantUsers("1", "1")
	if logs := srv.logs.String(); strings.Count(logs, "an identity had no user") != 1 || strings.Contains(logs, p.OpenID()) {
		t.Errorf("log: %s", logs)
	}
}

// Concurrent updates of one session all succeed.
func TestUpdateUserInfo_Concurrent(t *testing.T) {
	const n = 100
	srv := newTestServer(t)
	token := srv.login(srv.device("alice")).Token
	codes := make([]string, n)
	var calls sync.WaitGroup
	for i := range n {
		calls.Go(func() {
			req := srv.request("/updateUserInfo", formType, fmt.Sprintf("token=%s&nickName=Alice%d", token, i))
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

// A user logs in to two mini-programs before they share a unionid. Once they do, there is one user with both identities
// and the profile, and all tokens stay valid.
func TestOnLogin_UserInTwoApps(t *testing.T) {
	srv := newTestServer(t, withTwoApps)
	here, there := srv.sim.Device(appID, wechattest.User{Name: "alice"}), srv.sim.Device(otherAppID, wechattest.User{Name: "alice"})
	tokenHere := srv.login(here).Token
	srv.mustUpdate(tokenHere, here.GetUserInfo())
	here.SetUnionID("ocMvos6NjeKLIBqg5Mr9QjxrP1FA") // the mini-programs now share an Open Platform account
	tokenThere := srv.login(there).Token
	srv.wantUsers("2", "2")
	if name := srv.login(here).UserInfo["nickName"]; name != "alice" {
		t.Errorf("once the unionid is known, the nickname here is %v", name)
	}
	srv.wantUsers("1", "2")
	for where, token := range map[string]string{"here": tokenHere, "there": tokenThere} {
		if r := srv.getUserInfo("", "Bearer "+token); r.status != http.StatusOK || r.body.UserInfo["nickName"] != "alice" {
			t.Errorf("the token from before, %s: %d %s", where, r.status, r.body.Code)
		}
	}
	if n := srv.queryText("SELECT COUNT(*) FROM user_merges"); n != "1" {
		t.Errorf("%s merges are recorded, want 1", n)
	}
	// Data of one app does not decrypt in a session of the other.
	srv.wantProblem(srv.update(tokenThere, here.GetUserInfo()), 422, "undecryptable", "relogin")
}
