package handlers_test

import (
	"net/http"
	"strings"
	"testing"

	"wxlogin/wechat/wechattest"
)

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
