package handlers_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
)

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
