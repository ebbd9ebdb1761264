package handlers_test

import (
	"database/sql"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"wxlogin/wechat/push"
	"wxlogin/wechat/wechattest"
)

// stored returns everything that the server has stored or logged: all tables, Redis, the pictures and the log.
func (srv *testServer) stored() map[string]string {
	srv.t.Helper()
	tables, err := srv.db.Query("SHOW TABLES")
	srv.must(err)
	defer tables.Close()
	places := map[string]string{"Redis": fmt.Sprint(srv.redis.Dump(srv.t)), "pictures": fmt.Sprint(srv.pictures()), "log": srv.logs.String()}
	for tables.Next() {
		var name string
		srv.must(tables.Scan(&name))
		places["table "+name] = srv.tableText(name)
	}
	srv.must(tables.Err())
	return places
}

// tableText returns all values of a table or view.
func (srv *testServer) tableText(name string) string {
	srv.t.Helper()
	rows, err := srv.db.Query("SELECT * FROM `" + name + "`")
	srv.must(err)
	defer rows.Close()
	columns, err := rows.Columns()
	srv.must(err)
	var text strings.Builder
	values, into := make([]sql.NullString, len(columns)), make([]any, len(columns))
	for i := range values {
		into[i] = &values[i]
	}
	for rows.Next() {
		srv.must(rows.Scan(into...))
		fmt.Fprintln(&text, values)
	}
	srv.must(rows.Err())
	return text.String()
}

// used uses every route as a person who is in two mini-programs, and returns a token and what the person leaves behind.
func (srv *testServer) used() (here *wechattest.Device, token string, traces map[string]string) {
	srv.t.Helper()
	user := wechattest.User{Name: "falcon", PhoneNumber: "13912345678", Info: wechattest.Info{
		NickName: "Wanderfalke 🦅", Gender: 2, City: "Falkenstein",
	}}
	here = srv.sim.Device(appID, user)
	there := srv.sim.Device(otherAppID, user)
	for _, p := range []*wechattest.Device{here, there} {
		token = srv.login(p).Token
		srv.mustUpdate(token, p.GetUserInfo())
		srv.wantProblem(srv.update(token, wechattest.OpenData{EncryptedData: garbage, IV: garbage}), 422, "undecryptable", "relogin")
		for _, file := range pictureFiles(srv.t) { // each replaces the one before
			srv.upload(token, file)
		}
		srv.postForm("/bindPhone", "token", token, "code", p.PhoneCode())
	}
	here.SetUnionID(unionID)
	srv.login(there)
	token = srv.login(here).Token
	srv.getUserInfo("", "Bearer "+token)
	srv.put("/users/"+srv.identityUser(here)+"/externalId", url.Values{"externalId": {"crm-4711"}})
	srv.get("/users?phone=8613912345678")
	srv.introspect(token, withKey)
	srv.verify(token, withKey)
	srv.pushEvent(safeMode, here, wechattest.Event{Name: "user_enter_tempsession"})
	traces = map[string]string{
		"openid": here.OpenID(), "openid elsewhere": there.OpenID(), "unionid": unionID, "nickname": "Wanderfalke", "city": "Falkenstein",
		"phone number": "13912345678", "external id": "crm-4711", "session_key": here.SessionKey(), "token": token,
	}
	for name, content := range srv.pictures() {
		traces["picture's name "+name], traces["picture "+name] = name, content
	}
	return here, token, traces
}

// After an erase, nothing that was stored or logged says who the person was.
func TestErase_LeavesNothing(t *testing.T) {
	for by, erase := range map[string]func(srv *testServer, p *wechattest.Device, token string){
		"the person": func(srv *testServer, _ *wechattest.Device, token string) {
			if r := srv.deleteAccount(token); r.status != http.StatusOK {
				t.Errorf("%d %s", r.status, r.body.Code)
			}
		},
		"an administrator": func(srv *testServer, p *wechattest.Device, _ string) {
			if a := srv.deleteUser(srv.identityUser(p), "asked by mail"); a.status != http.StatusOK {
				t.Errorf("%d %s", a.status, a.raw)
			}
		},
		"WeChat": func(srv *testServer, p *wechattest.Device, _ string) {
			srv.wantSuccess(srv.pushEvent(safeMode, p, wechattest.Event{Name: push.AuthorizationCancelled}))
		},
	} {
		t.Run(by, func(t *testing.T) {
			srv := newTestServer(t, withTwoApps, withAPIKey, withPush(safeMode))
			p, token, traces := srv.used()
			before := fmt.Sprint(srv.stored())
			for what, trace := range traces {
				// Redis has tokens hashed and session_keys encrypted; the log has nothing.
				if stored := strings.Contains(before, trace); stored == (what == "token" || what == "session_key") {
					t.Errorf("before the erase, the %s is stored: %v", what, stored)
				}
			}
			srv.advance(time.Minute)
			erase(srv, p, token)
			for where, text := range srv.stored() {
				for what, trace := range traces {
					if strings.Contains(text, trace) {
						t.Errorf("%s has the %s", where, what)
					}
				}
			}
			srv.wantKeys(0)
			if left := slices.Collect(maps.Keys(srv.pictures())); len(left) != 0 {
				t.Errorf("pictures are left: %v", left)
			}
			if len(srv.logs.String()) < 2000 {
				t.Error("the log is short")
			}
		})
	}
}
