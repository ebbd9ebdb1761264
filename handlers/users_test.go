package handlers_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"wxlogin/store"
	"wxlogin/wechat/push"
	"wxlogin/wechat/wechattest"
)

var withKey = header{"X-Api-Key", apiKey}

// deleteUser sends DELETE /users/{id} with the key.
func (srv *testServer) deleteUser(id, reason string) internalResponse {
	srv.t.Helper()
	return srv.callInternal(http.MethodDelete, "/users/"+id, url.Values{"reason": {reason}}.Encode(), withKey)
}

func TestDeleteUser(t *testing.T) {
	t.Run("erases the user", func(t *testing.T) {
		srv := newTestServer(t, withTwoApps, withAPIKey)
		here, _, tokens := srv.mergedUser("alice")
		bob := srv.device("bob")
		srv.fill(bob)
		id, bobRow := srv.identityUser(here), srv.rowOf(srv.identityUser(bob))
		merged := srv.queryText("SELECT id FROM users WHERE status = 3")
		srv.advance(time.Hour)

		// The id of a merged user stands for its survivor. A repeated request changes nothing.
		for _, each := range []string{merged, id, id, merged} {
			a := srv.deleteUser(each, "asked by mail, case 7")
			if a.status != http.StatusOK || a.raw != `{"id":`+id+`,"status":"erased"}`+"\n" {
				t.Fatalf("%s: %d %s", each, a.status, a.raw)
			}
		}
		srv.wantErasedUser(id, "admin")
		if got := srv.queryText("SELECT CONCAT_WS('|', actor, note) FROM user_changes WHERE kind = 'erased'"); got != "crm|asked by mail, case 7" {
			t.Errorf("recorded: %s", got)
		}
		for _, token := range tokens {
			srv.wantInvalidToken(token)
		}
		srv.wantKeys(2)
		srv.wantPictures(1)
		if got := srv.rowOf(srv.identityUser(bob)); got != bobRow {
			t.Errorf("another user was %s, is %s", bobRow, got)
		}
		if !srv.login(here).IsNewUser {
			t.Error("the next login is not a new user")
		}
	})

	t.Run("takes JSON or nothing, and any active or disabled user", func(t *testing.T) {
		srv := newTestServer(t, withAPIKey)
		for i, content := range []string{`{"reason":"a court's order"}`, ""} {
			p := srv.device(fmt.Sprint("user", i))
			srv.login(p)
			id := srv.identityUser(p)
			_, err := srv.db.Exec("UPDATE users SET status = 2 WHERE id = ?", id)
			srv.must(err)
			req, err := http.NewRequest(http.MethodDelete, srv.internal.URL+"/users/"+id, strings.NewReader(content))
			srv.must(err)
			req.Header.Set("X-Api-Key", apiKey)
			if content != "" {
				req.Header.Set("Content-Type", "application/json")
			}
			if r := srv.send(req); r.status != http.StatusOK {
				t.Errorf("%q: %d %s", content, r.status, r.raw)
			}
			srv.wantErasedUser(id, "admin")
		}
		if got := srv.queryText("SELECT GROUP_CONCAT(note) FROM user_changes"); got != "a court's order" {
			t.Errorf("recorded: %s", got)
		}
	})

	t.Run("unknown and malformed ids are not found", func(t *testing.T) {
		srv := newTestServer(t, withAPIKey)
		srv.login(srv.device("alice"))
		for _, id := range []string{"999", "0", "-1", "+1", "1.0", "1e0", "abc", "18446744073709551615", "18446744073709551616", "%31x", ""} {
			srv.wantProblem(srv.deleteUser(id, "r").response, 404, "not_found", "none")
		}
		srv.wantUsers("1", "1")
	})

	t.Run("is unavailable while MySQL is down", func(t *testing.T) {
		srv := newTestServer(t, withAPIKey, func(cfg *serverConfig) { cfg.dsn = "root@tcp(127.0.0.1:1)/wxlogin" })
		srv.wantProblem(srv.deleteUser("1", "r").response, 503, "storage_unavailable", "retry")
	})
}

// Routes that write require a key even if the listener has none.
func TestInternalWrites_APIKey(t *testing.T) {
	for name, changes := range map[string][]func(*serverConfig){"a key": {withAPIKey}, "no key": nil} {
		t.Run(name+" is configured", func(t *testing.T) {
			srv := newTestServer(t, changes...)
			p := srv.device("alice")
			srv.fill(p)
			id := srv.identityUser(p)
			before := srv.rowOf(id)
			event := string(p.Message(wechattest.Event{Name: push.AuthorizationCancelled}))
			for _, h := range []header{{"X-Other", ""}, {"X-Api-Key", ""}, {"X-Api-Key", apiKey + "x"}, {"Authorization", "Bearer x"}} {
				srv.wantProblem(srv.callInternal(http.MethodDelete, "/users/"+id, "reason=r", h).response, 401, "invalid_api_key", "none")
				srv.wantProblem(srv.callInternal(http.MethodPost, "/wechatEvent", event, h).response, 401, "invalid_api_key", "none")
			}
			if name == "no key" {
				srv.wantProblem(srv.deleteUser(id, "r").response, 401, "invalid_api_key", "none")
			}
			if after := srv.rowOf(id); after != before {
				t.Errorf("the row was %s, is %s", before, after)
			}
		})
	}
}

// wechatEvent sends POST /wechatEvent with the key.
func (srv *testServer) wechatEvent(message string) internalResponse {
	srv.t.Helper()
	req, err := http.NewRequest(http.MethodPost, srv.internal.URL+"/wechatEvent", strings.NewReader(message))
	srv.must(err)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-Api-Key", apiKey)
	return internalResponse{response: srv.send(req)}
}

func TestWechatEvent(t *testing.T) {
	t.Run("does the same as a push", func(t *testing.T) {
		srv := newTestServer(t, withAPIKey)
		for _, tt := range personalEvents {
			p := srv.device(tt.name)
			srv.fill(p)
			id := srv.identityUser(p)
			for range 2 {
				if a := srv.wechatEvent(string(p.Message(tt.event))); a.status != http.StatusOK || a.raw != "{}\n" {
					t.Fatalf("%s: %d %s", tt.name, a.status, a.raw)
				}
			}
			if got := srv.left(p); got != tt.left {
				t.Errorf("%s: %q is left, want %q", tt.name, got, tt.left)
			}
			got := srv.queryText("SELECT GROUP_CONCAT(kind ORDER BY seq) FROM user_changes WHERE user_id = ? AND reason = 'wechat'", id)
			if got != tt.changes {
				t.Errorf("%s: %q is recorded, want %q", tt.name, got, tt.changes)
			}
		}
		if a := srv.wechatEvent(string(srv.device("stranger").Message(wechattest.Event{Name: push.AuthorizationCancelled}))); a.raw != "{}\n" {
			t.Errorf("an unknown openid: %d %s", a.status, a.raw)
		}
		if a := srv.wechatEvent(`{"MsgType":"event","Event":"x","AppID":"` + appID + `"}`); a.raw != "{}\n" {
			t.Errorf("another event: %d %s", a.status, a.raw)
		}
		srv.wantPushes(push.UserInfoModified, "applied", "2")
		srv.wantPushes("other", "ignored", "1")
	})

	t.Run("rejects", func(t *testing.T) {
		srv := newTestServer(t, withAPIKey)
		p := srv.device("alice")
		srv.fill(p)
		before := srv.rowOf(srv.identityUser(p))
		message := string(p.Message(wechattest.Event{Name: push.AuthorizationCancelled}))
		for name, tt := range map[string]struct {
			message string
			status  int
			code    string
		}{
			"another app": {strings.ReplaceAll(message, appID, otherAppID), 400, "invalid_request"},
			"no app":      {`{"MsgType":"event","Event":"x"}`, 400, "invalid_request"},
			"half":        {message[:40], 400, "invalid_request"},
			"nothing":     {"", 400, "invalid_request"},
			"encrypted":   {`{"ToUserName":"gh_1","Encrypt":"AAAA"}`, 400, "invalid_request"},
			"too large":   {message + strings.Repeat(" ", 64<<10), 413, "request_too_large"},
		} {
			t.Run(name, func(t *testing.T) {
				srv.t = t
				srv.wantProblem(srv.wechatEvent(tt.message).response, tt.status, tt.code, "none")
			})
		}
		if after := srv.rowOf(srv.identityUser(p)); after != before {
			t.Errorf("the row was %s, is %s", before, after)
		}
	})

	t.Run("is unavailable while MySQL is down", func(t *testing.T) {
		srv := newTestServer(t, withAPIKey, func(cfg *serverConfig) { cfg.dsn = "root@tcp(127.0.0.1:1)/wxlogin" })
		a := srv.wechatEvent(string(srv.device("alice").Message(wechattest.Event{Name: push.AuthorizationCancelled})))
		srv.wantProblem(a.response, 503, "storage_unavailable", "retry")
	})
}

// Each listener has its own routes only.
func TestListeners(t *testing.T) {
	srv := newTestServer(t, withAPIKey, withPush(plainMode))
	for server, requests := range map[*httptest.Server][]string{
		srv.public: {"DELETE /users/1", "POST /wechatEvent", "GET /users/1", "POST /introspect", "GET /verify", "GET /metrics",
			"POST /sign", "POST /decrypt"},
		srv.internal: {"POST /deleteAccount", "POST /unbindPhone", "GET /myData", "GET /wechatPush/" + appID, "POST /wechatPush/" + appID,
			"POST /onLogin", "GET /userInfo"},
	} {
		for _, request := range requests {
			method, path, _ := strings.Cut(request, " ")
			req, err := http.NewRequest(method, server.URL+path, nil)
			srv.must(err)
			req.Header.Set("X-Api-Key", apiKey)
			r := srv.send(req)
			if r.status != http.StatusNotFound || r.body.Code != "not_found" {
				t.Errorf("%s: %d %s", request, r.status, r.body.Code)
			}
		}
	}
}

// What an administrator wrote about a block may name the person: it does not survive an erase.
func TestDeleteUser_Reasons(t *testing.T) {
	srv := newTestServer(t, withAPIKey)
	p := srv.device("alice")
	srv.login(p)
	id := srv.identityUser(p)
	db, err := store.Open(srv.dsn, store.Options{Now: srv.clock.Now})
	srv.must(err)
	defer db.Close()
	_, _, err = db.Users().SetStatus(t.Context(), 1, store.StatusDisabled, store.Cause{Reason: "alice has called", Actor: "li"})
	srv.must(err)
	srv.deleteUser(id, "a court's order")
	var rows []string
	result, err := srv.db.Query("SELECT CONCAT_WS('|', kind, reason, actor, note) FROM user_changes ORDER BY seq")
	srv.must(err)
	defer result.Close()
	for result.Next() {
		var row string
		srv.must(result.Scan(&row))
		rows = append(rows, row)
	}
	if got, _ := json.Marshal(rows); string(got) != `["disabled|li","erased|admin|crm|a court's order"]` {
		t.Errorf("recorded: %s", got)
	}
}
