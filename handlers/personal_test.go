package handlers_test

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"wxlogin/handlers"
	"wxlogin/session"
	"wxlogin/wechat/wechattest"
)

const unionID = "ocMvos6NjeKLIBqg5Mr9QjxrP1FA"

// fill gives a user of a device everything that a user can have: a name, a picture and a phone number.
func (srv *testServer) fill(p *wechattest.Device) (token string) {
	srv.t.Helper()
	token = srv.login(p).Token
	srv.mustUpdate(token, p.GetUserInfo())
	for what, r := range map[string]response{"picture": srv.upload(token, p.ChooseAvatar().Data), "phone": srv.bindPhone(token, p.GetPhoneNumber())} {
		if r.status != http.StatusOK {
			srv.t.Fatalf("%s: %d %s", what, r.status, r.body.Code)
		}
	}
	return token
}

// mergedUser returns a user of two mini-programs who was two users until WeChat returned a unionid, with a token in each.
func (srv *testServer) mergedUser(name string) (here, there *wechattest.Device, tokens []string) {
	srv.t.Helper()
	here, there = srv.device(name), srv.sim.Device(otherAppID, wechattest.User{Name: name})
	tokens = []string{srv.fill(here), srv.fill(there)}
	here.SetUnionID(unionID)
	srv.login(here)
	srv.login(there)
	return here, there, tokens
}

// deleteAccount sends POST /deleteAccount with the confirmation.
func (srv *testServer) deleteAccount(token string) response {
	srv.t.Helper()
	return srv.postForm("/deleteAccount", "token", token, "confirm", "delete")
}

// myData sends GET /myData.
func (srv *testServer) myData(token string) response {
	srv.t.Helper()
	req, err := http.NewRequest(http.MethodGet, srv.public.URL+"/myData", nil)
	srv.must(err)
	req.Header.Set("Authorization", "Bearer "+token)
	return srv.do(req)
}

// identityUser returns the id of the user with a device's identity, "" if there is none.
func (srv *testServer) identityUser(p *wechattest.Device) string {
	srv.t.Helper()
	return srv.queryText("SELECT MAX(user_id) FROM wechat_identities WHERE appid = ? AND openid = ?", p.AppID(), p.OpenID())
}

// rowOf returns the columns of a user as one text.
func (srv *testServer) rowOf(id string) string {
	srv.t.Helper()
	return srv.queryText("SELECT CONCAT_WS('|', id, unionid, status, nickname, avatar_url, gender, city, language, profile_source, phone_number, "+
		"phone_country_code, phone_bound_at, profile_as_of, created_at, updated_at) FROM users WHERE id = ?", id)
}

// wantErasedUser checks that a user is a tombstone, and why; its sessions and pictures are gone, and nothing is pending.
func (srv *testServer) wantErasedUser(id, reason string) {
	srv.t.Helper()
	row := srv.queryText("SELECT CONCAT_WS('|', status, nickname, avatar_url, gender, city, language, profile_source, unionid, merged_into, phone_number, "+
		"phone_country_code, phone_bound_at, profile_as_of, profile_updated_at) FROM users WHERE id = ?", id)
	if row != "4|||0|||0" {
		srv.t.Errorf("user %s is %q", id, row)
	}
	if n := srv.queryText("SELECT COUNT(*) FROM wechat_identities WHERE user_id = ?", id); n != "0" {
		srv.t.Errorf("%s identities of user %s are left", n, id)
	}
	if got := srv.queryText("SELECT GROUP_CONCAT(reason) FROM user_changes WHERE kind = 'erased' AND user_id = ?", id); got != reason {
		srv.t.Errorf("the erase of user %s is recorded with the reasons %q, want %q once", id, got, reason)
	}
	if n := srv.queryText("SELECT COUNT(*) FROM pending_deletions"); n != "0" {
		srv.t.Errorf("%s deletions are pending", n)
	}
}

func TestDeleteAccount(t *testing.T) {
	t.Run("erases the user everywhere", func(t *testing.T) {
		srv := newTestServer(t, withTwoApps)
		here, there, tokens := srv.mergedUser("alice")
		bob := srv.device("bob")
		bobToken := srv.fill(bob)
		id, bobRow := srv.identityUser(here), srv.rowOf(srv.identityUser(bob))
		merged := srv.queryText("SELECT id FROM users WHERE status = 3")

		r := srv.deleteAccount(tokens[0])
		if r.status != http.StatusOK || r.raw != "{\"status\":200}\n" {
			t.Fatalf("%d %s", r.status, r.raw)
		}
		srv.wantErasedUser(id, "person")
		if row := srv.rowOf(merged); strings.Contains(row, "alice") || strings.Contains(row, "/avatars/") || strings.Contains(row, here.PhoneNumber()) {
			t.Errorf("the merged user is %s", row)
		}
		if n := srv.queryText("SELECT COUNT(*) FROM user_merges WHERE unionid IS NOT NULL"); n != "0" {
			t.Error("user_merges has the unionid")
		}
		for _, token := range tokens {
			srv.wantProblem(srv.deleteAccount(token), 401, "invalid_token", "relogin") // repeated
			srv.wantInvalidToken(token)
		}
		srv.wantKeys(2) // Bob's
		srv.wantPictures(1)
		srv.wantValidToken(bobToken)
		if got := srv.rowOf(srv.identityUser(bob)); got != bobRow {
			t.Errorf("another user was %s, is %s", bobRow, got)
		}

		for i, p := range []*wechattest.Device{here, there} {
			again := srv.login(p)
			if again.IsNewUser != (i == 0) || again.ProfileComplete || again.PhoneNumber != "" || again.UserInfo["nickName"] != "" {
				t.Errorf("the next login in %s: %+v", p.AppID(), again)
			}
			if new := srv.identityUser(p); new == id || new == merged {
				t.Errorf("the next login is user %s", new)
			}
		}
	})

	t.Run("requires the confirmation", func(t *testing.T) {
		srv := newTestServer(t)
		p := srv.device("alice")
		token := srv.fill(p)
		before := srv.rowOf(srv.identityUser(p))
		for name, r := range map[string]response{
			"none":            srv.postForm("/deleteAccount", "token", token),
			"another":         srv.postForm("/deleteAccount", "token", token, "confirm", "yes"),
			"in upper case":   srv.postForm("/deleteAccount", "token", token, "confirm", "DELETE"),
			"in the query":    srv.postForm("/deleteAccount?confirm=delete", "token", token),
			"a boolean":       srv.do(srv.request("/deleteAccount", "application/json", `{"token":"`+token+`","confirm":true}`)),
			"given twice":     srv.do(srv.request("/deleteAccount", formType, "confirm=delete&confirm=delete&token="+token)),
			"of another kind": srv.do(srv.request("/deleteAccount", "application/json", `{"token":"`+token+`","confirm":["delete"]}`)),
		} {
			if r.status != http.StatusBadRequest || r.body.Code != "invalid_request" {
				t.Errorf("%s: %d %s", name, r.status, r.body.Code)
			}
		}
		if after := srv.rowOf(srv.identityUser(p)); after != before {
			t.Errorf("the row was %s, is %s", before, after)
		}
		srv.wantValidToken(token)
		req := srv.request("/deleteAccount", "application/json", `{"confirm":"delete"}`)
		req.Header.Set("Authorization", "Bearer "+token)
		if r := srv.do(req); r.status != http.StatusOK {
			t.Errorf("JSON: %d %s", r.status, r.body.Code)
		}
	})

	t.Run("requires a session that has just begun", func(t *testing.T) {
		srv := newTestServer(t)
		p := srv.device("alice")
		token := srv.fill(p)
		id := srv.identityUser(p)
		srv.advance(5*time.Minute + time.Millisecond)
		srv.wantProblem(srv.deleteAccount(token), 401, "stale_session", "relogin")
		srv.wantValidToken(token) // it is only too old for this
		if srv.storedPhone(p) == "" || srv.identityUser(p) != id {
			t.Error("the user was erased")
		}
		token = srv.login(p).Token
		srv.advance(5 * time.Minute)
		if r := srv.deleteAccount(token); r.status != http.StatusOK {
			t.Errorf("after a login: %d %s", r.status, r.body.Code)
		}
		srv.wantErasedUser(id, "person")
	})
}

func TestDeleteAccount_Rejected(t *testing.T) {
	t.Run("a disabled user", func(t *testing.T) {
		srv := newTestServer(t)
		p := srv.device("alice")
		token := srv.fill(p)
		_, err := srv.db.Exec("UPDATE users SET status = 2")
		srv.must(err)
		before := srv.rowOf(srv.identityUser(p))
		srv.wantProblem(srv.deleteAccount(token), 403, "user_blocked", "none")
		if after := srv.rowOf(srv.identityUser(p)); after != before {
			t.Errorf("the row was %s, is %s", before, after)
		}
		srv.wantKeys(2)
		srv.wantPictures(1)
	})
	t.Run("no session", func(t *testing.T) {
		srv := newTestServer(t)
		for _, token := range []string{"", "x", strings.Repeat("A", 43)} {
			srv.wantProblem(srv.deleteAccount(token), 401, "invalid_token", "relogin")
		}
	})
	t.Run("too many", func(t *testing.T) {
		srv := newTestServer(t, func(cfg *serverConfig) { cfg.limits = handlers.Limits{Updates: 1} })
		token := srv.login(srv.device("alice")).Token
		srv.wantProblem(srv.postForm("/deleteAccount", "token", token), 400, "invalid_request", "none")
		srv.wantProblem(srv.deleteAccount(token), 429, "rate_limited", "retry")
	})
	t.Run("MySQL is down", func(t *testing.T) {
		srv := newTestServer(t, func(cfg *serverConfig) { cfg.dsn = "root@tcp(127.0.0.1:1)/wxlogin" })
		token, err := srv.sessions.Create(t.Context(), session.Session{AppID: appID, OpenID: "oAlice", SessionKey: "k"})
		srv.must(err)
		for range 2 {
			srv.wantProblem(srv.deleteAccount(token), 503, "storage_unavailable", "retry") // the session has not ended
		}
		srv.wantProblem(srv.postForm("/unbindPhone", "token", token), 503, "storage_unavailable", "retry")
		srv.wantProblem(srv.myData(token), 503, "storage_unavailable", "retry")
	})
}

func TestUnbindPhone(t *testing.T) {
	t.Run("removes the number", func(t *testing.T) {
		srv := newTestServer(t)
		alice, bob := srv.device("alice"), srv.sim.Device(appID, wechattest.User{Name: "bob", PhoneNumber: srv.device("alice").PhoneNumber()})
		token := srv.fill(alice)
		srv.fill(bob) // the same number
		srv.advance(time.Hour)

		req := srv.request("/unbindPhone", "", "")
		req.Header.Del("Content-Type")
		req.Header.Set("Authorization", "Bearer "+token)
		if r := srv.do(req); r.status != http.StatusOK || r.raw != "{\"status\":200}\n" {
			t.Fatalf("%d %s", r.status, r.raw)
		}
		if r := srv.postForm("/unbindPhone", "token", token); r.status != http.StatusOK { // repeated
			t.Errorf("%d %s", r.status, r.body.Code)
		}
		id := srv.identityUser(alice)
		if got := srv.queryText("SELECT CONCAT_WS('|', nickname, phone_country_code, phone_number, phone_bound_at) FROM users WHERE id = ?", id); got != "alice" {
			t.Errorf("the row is %s", got)
		}
		if got := srv.queryText("SELECT GROUP_CONCAT(CONCAT_WS(' ', kind, user_id, reason)) FROM user_changes"); got != "phone_removed "+id+" person" {
			t.Errorf("recorded: %s", got)
		}
		if r := srv.getUserInfo("", "Bearer "+token); r.body.PhoneNumber != "" || r.body.UserInfo["nickName"] != "alice" {
			t.Errorf("afterwards: %+v", r.body)
		}
		if srv.storedPhone(bob) != "+86"+bob.PhoneNumber() {
			t.Error("another user with this number has lost it")
		}
		srv.wantPictures(2)
		srv.wantBound(srv.bindPhone(token, alice.GetPhoneNumber()), alice, "86", alice.PhoneNumber()[:3]+"****"+alice.PhoneNumber()[7:])
	})

	t.Run("rejects", func(t *testing.T) {
		srv := newTestServer(t)
		p := srv.device("alice")
		token := srv.fill(p)
		srv.wantProblem(srv.postForm("/unbindPhone"), 401, "invalid_token", "relogin")
		srv.wantProblem(srv.postForm("/unbindPhone?token="+token), 401, "invalid_token", "relogin")
		srv.wantProblem(srv.postForm("/unbindPhone", "token", strings.Repeat("A", 43)), 401, "invalid_token", "relogin")
		_, err := srv.db.Exec("UPDATE users SET status = 2")
		srv.must(err)
		srv.wantProblem(srv.postForm("/unbindPhone", "token", token), 403, "user_blocked", "none")
		if srv.storedPhone(p) == "" {
			t.Error("the number of a disabled user was removed")
		}
		if n := srv.queryText("SELECT COUNT(*) FROM user_changes"); n != "0" {
			t.Errorf("%s changes are recorded", n)
		}
	})
}

func TestMyData(t *testing.T) {
	t.Run("returns everything but openid and unionid", func(t *testing.T) {
		srv := newTestServer(t, withTwoApps)
		here, there, tokens := srv.mergedUser("alice")
		srv.fill(srv.device("bob"))
		r := srv.myData(tokens[0])
		if r.status != http.StatusOK {
			t.Fatalf("%d %s", r.status, r.body.Code)
		}
		var got struct{ Data map[string]any }
		srv.must(json.Unmarshal([]byte(r.raw), &got))
		want := []string{"apps", "changes", "createdAt", "externalId", "id", "lastLoginAt", "lastSeenAt", "merged", "phoneBoundAt", "phoneNumber",
			"profileSource", "profileUpdatedAt", "updatedAt", "userInfo"}
		if !slices.Equal(keys(got.Data), want) {
			t.Errorf("the fields are %v", keys(got.Data))
		}
		phone := "+86" + here.PhoneNumber()
		merged, _ := got.Data["merged"].([]any)
		apps, _ := got.Data["apps"].([]any)
		changes, _ := got.Data["changes"].([]any)
		if got.Data["phoneNumber"] != phone || len(merged) != 1 || len(apps) != 2 || len(changes) != 1 || got.Data["profileSource"] != "person" {
			t.Fatalf("%d merged, %d apps, %d changes, profileSource %v", len(merged), len(apps), len(changes), got.Data["profileSource"])
		}
		earlier, change := merged[0].(map[string]any), changes[0].(map[string]any)
		if earlier["phoneNumber"] != phone || earlier["userInfo"].(map[string]any)["nickName"] != "alice" || change["kind"] != "merged" {
			t.Errorf("merged %v, change %v", keys(earlier), change["kind"])
		}
		if !equalJSON(keys(apps[0].(map[string]any)), []string{"appid", "createdAt"}) {
			t.Errorf("an app has %v", keys(apps[0].(map[string]any)))
		}
		if info := got.Data["userInfo"].(map[string]any); !strings.HasPrefix(info["avatarUrl"].(string), avatarBase+"/avatars/") {
			t.Error("the picture has no address")
		}
		for what, secret := range map[string]string{
			"openid": here.OpenID(), "other openid": there.OpenID(), "unionid": unionID, "session_key": here.SessionKey(), "token": tokens[0],
			"the other user": "bob",
		} {
			if strings.Contains(r.raw, secret) {
				t.Errorf("the response has %s", what)
			}
		}
		if strings.Contains(srv.logs.String(), here.PhoneNumber()) {
			t.Error("the log has the phone number")
		}
	})

	t.Run("has all fields of a new user", func(t *testing.T) {
		srv := newTestServer(t)
		token := srv.login(srv.device("alice")).Token
		r := srv.myData(token)
		for _, want := range []string{`"merged":[]`, `"changes":[]`, `"phoneNumber":""`, `"phoneBoundAt":null`, `"profileUpdatedAt":null`,
			`"profileSource":"none"`, `"apps":[{"appid":"` + appID + `"`, `"status":200`} {
			if !strings.Contains(r.raw, want) {
				t.Errorf("no %s in %s", want, r.raw)
			}
		}
	})

	t.Run("rejects", func(t *testing.T) {
		srv := newTestServer(t)
		token := srv.fill(srv.device("alice"))
		req, err := http.NewRequest(http.MethodGet, srv.public.URL+"/myData?token="+token, nil)
		srv.must(err)
		srv.wantProblem(srv.do(req), 401, "invalid_token", "relogin")
		srv.wantProblem(srv.myData(strings.Repeat("A", 43)), 401, "invalid_token", "relogin")
		srv.wantProblem(srv.postForm("/myData", "token", token), 405, "method_not_allowed", "none")
		srv.advance(5*time.Minute + time.Millisecond)
		srv.wantProblem(srv.myData(token), 401, "stale_session", "relogin")
		token = srv.login(srv.device("alice")).Token
		srv.advance(5 * time.Minute)
		if r := srv.myData(token); r.status != http.StatusOK {
			t.Errorf("at 5 minutes: %d %s", r.status, r.body.Code)
		}
		_, err = srv.db.Exec("UPDATE users SET status = 2")
		srv.must(err)
		srv.wantProblem(srv.myData(token), 403, "user_blocked", "none")
	})
}
