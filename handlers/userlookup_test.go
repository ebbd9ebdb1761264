package handlers_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"wxlogin/wechat/wechattest"
)

// get sends a GET to the internal listener with the key.
func (srv *testServer) get(path string) internalResponse {
	srv.t.Helper()
	return srv.callInternal(http.MethodGet, path, "", withKey)
}

// put sends a PUT with the key.
func (srv *testServer) put(path string, fields url.Values) internalResponse {
	srv.t.Helper()
	return srv.callInternal(http.MethodPut, path, fields.Encode(), withKey)
}

// putJSON sends a PUT with the key.
func (srv *testServer) putJSON(path, content string) internalResponse {
	srv.t.Helper()
	return srv.callInternal(http.MethodPut, path, content, withKey, header{"Content-Type", "application/json"})
}

// wantOK fails unless a response is a 200 with this body.
func (srv *testServer) wantOK(a internalResponse, body string) {
	srv.t.Helper()
	if a.status != http.StatusOK || a.raw != body+"\n" {
		srv.t.Errorf("got %d %s, want %s", a.status, a.raw, body)
	}
}

// wantUserIDs fails unless a response lists these users.
func (srv *testServer) wantUserIDs(a internalResponse, ids ...string) {
	srv.t.Helper()
	var list struct{ Users []struct{ ID uint64 } }
	if err := json.Unmarshal([]byte(a.raw), &list); err != nil || a.status != http.StatusOK || list.Users == nil {
		srv.t.Errorf("got %d %s and %v", a.status, a.raw, err)
	}
	got := []string{}
	for _, user := range list.Users {
		got = append(got, fmt.Sprint(user.ID))
	}
	if !slices.Equal(got, ids) && len(got)+len(ids) > 0 {
		srv.t.Errorf("got %v, want %v", got, ids)
	}
}

func TestGetUser(t *testing.T) {
	srv := newTestServer(t, withTwoApps, withAPIKey)
	here, there, _ := srv.mergedUser("alice")
	id, merged := srv.identityUser(here), srv.queryText("SELECT id FROM users WHERE status = 3")
	srv.put("/users/"+id+"/externalId", url.Values{"externalId": {"crm-7"}})

	a := srv.get("/users/" + id)
	var user map[string]any
	srv.must(json.Unmarshal([]byte(a.raw), &user))
	if a.status != http.StatusOK || fmt.Sprint(user["id"]) != id || user["status"] != "active" || user["profileComplete"] != true ||
		user["phoneNumber"] != "+86"+here.PhoneNumber() || user["unionid"] != unionID || user["externalId"] != "crm-7" || user["mergedFrom"] != nil {
		t.Errorf("got %d %s", a.status, a.raw)
	}
	info := user["userInfo"].(map[string]any)
	if info["nickName"] != srv.nickname(appID, here.OpenID()) || !strings.HasPrefix(info["avatarUrl"].(string), "http") || len(info) != 7 {
		t.Errorf("userInfo is %v", info)
	}
	identities := user["identities"].([]any)
	if len(identities) != 2 || !strings.Contains(a.raw, here.OpenID()) || !strings.Contains(a.raw, there.OpenID()) {
		t.Errorf("identities are %v", identities)
	}
	for _, name := range []string{"createdAt", "updatedAt", "lastLoginAt", "lastSeenAt", "profileUpdatedAt", "phoneBoundAt"} {
		if _, err := time.Parse(time.RFC3339, user[name].(string)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if here.SessionKey() == "" || strings.Contains(a.raw, here.SessionKey()) {
		t.Error("the response has a session_key")
	}
	// The id of a merged user answers its survivor, and says so.
	if got := srv.get("/users/" + merged); got.status != http.StatusOK || got.raw != strings.Replace(a.raw, "}\n", `,"mergedFrom":[`+merged+"]}\n", 1) {
		t.Errorf("the merged user: %d %s", got.status, got.raw)
	}
	if got := srv.get("/users?externalId=crm-7"); got.raw != a.raw {
		t.Errorf("by external id: %d %s", got.status, got.raw)
	}

	srv.put("/users/"+id+"/status", url.Values{"status": {"disabled"}})
	if got := srv.get("/users/" + id); got.active["status"] != "disabled" {
		t.Errorf("a disabled user: %s", got.raw)
	}
	srv.deleteUser(id, "r")
	srv.wantOK(srv.get("/users/"+id), `{"id":`+id+`,"status":"erased"}`)
	srv.wantOK(srv.get("/users?id="+id), `{"users":[{"id":`+id+`,"status":"erased"}]}`)
	for _, gone := range []string{"/users?phone=86" + here.PhoneNumber(), "/users?id=999"} {
		srv.wantUserIDs(srv.get(gone))
	}
	for _, path := range []string{"/users/999", "/users/0", "/users/-1", "/users/x", "/users/18446744073709551616", "/users?externalId=crm-7"} {
		srv.wantProblem(srv.get(path).response, 404, "not_found", "none")
	}
}

// Who asks about a user is not that user.
func TestGetUser_Activity(t *testing.T) {
	srv := newTestServer(t, withAPIKey)
	alice := srv.device("alice")
	srv.fill(alice)
	srv.advance(48 * time.Hour)
	id := srv.identityUser(alice)
	seen := func() string { return srv.queryText("SELECT last_seen_at FROM users WHERE id = ?", id) }
	before := seen()
	srv.get("/users/" + id)
	srv.get("/users?id=" + id)
	srv.get("/users?phone=86" + alice.PhoneNumber())
	if seen() != before {
		t.Errorf("last_seen_at was %s, is %s", before, seen())
	}
}

func TestFindUsers(t *testing.T) {
	srv := newTestServer(t, withAPIKey)
	var ids []string
	number := wechattest.User{Name: "a", PhoneNumber: "13900139000"}
	for _, name := range []string{"alice", "bob", "carol"} {
		number.Name = name
		p := srv.sim.Device(appID, number)
		srv.bindPhone(srv.login(p).Token, p.GetPhoneNumber())
		ids = append(ids, srv.identityUser(p))
	}
	a, b, c := ids[0], ids[1], ids[2]
	srv.wantUserIDs(srv.get("/users?id="+c+"&id=999&id="+a+"&id="+c), c, a)
	for _, phone := range []string{"8613900139000", "%2B8613900139000", "+8613900139000"} {
		srv.wantUserIDs(srv.get("/users?phone="+phone), a, b, c)
	}
	srv.wantUserIDs(srv.get("/users?phone=13900139000"))
	srv.wantUserIDs(srv.get("/users?id="+strings.Repeat("999&id=", 99)+a), a)

	for _, query := range []string{
		"", "?", "?name=alice", "?id=", "?id=x", "?id=-1", "?id=" + strings.Repeat("1&id=", 100) + "1", "?id=1&phone=8613900139000",
		"?phone=", "?phone=86x", "?phone=86&phone=86", "?externalId=", "?externalId=a%20b", "?externalId=%E4%BD%A0",
		"?externalId=" + strings.Repeat("x", 129), "?externalId=a&externalId=b", "?id=1&other=2", "?id=%zz", "?id=1;id=2",
	} {
		srv.wantProblem(srv.get("/users"+query).response, 400, "invalid_request", "none")
	}
}

func TestPutStatus(t *testing.T) {
	srv := newTestServer(t, withTwoApps, withAPIKey)
	here, _, tokens := srv.mergedUser("alice")
	id, merged := srv.identityUser(here), srv.queryText("SELECT id FROM users WHERE status = 3")
	for _, status := range []string{"disabled", "disabled", "active"} {
		a := srv.put("/users/"+id+"/status", url.Values{"status": {status}, "reason": {"fraud, case 9"}})
		if a.status != http.StatusOK || a.active["status"] != status || a.raw != srv.get("/users/"+id).raw {
			t.Errorf("%s: %d %s", status, a.status, a.raw)
		}
		want := 200
		if status == "disabled" {
			want = 403
		}
		if r := srv.getUserInfo("", "Bearer "+tokens[0]); r.status != want {
			t.Errorf("%s: /userInfo is %d", status, r.status)
		}
	}
	const recorded = "SELECT GROUP_CONCAT(CONCAT_WS('|', kind, user_id, reason, actor)) FROM user_changes WHERE kind <> 'merged'"
	want := "disabled|" + id + "|fraud, case 9|crm,enabled|" + id + "|fraud, case 9|crm"
	if got := srv.queryText(recorded); got != want {
		t.Errorf("recorded %s, want %s", got, want)
	}
	for _, content := range []string{`{"status":1}`, `{"status":null}`, `{"status":"disabled","status":"active"}`, `[]`, `{`} {
		srv.wantProblem(srv.putJSON("/users/"+id+"/status", content).response, 400, "invalid_request", "none")
	}
	for _, status := range []string{"", "erased", "Active", "1"} {
		srv.wantProblem(srv.put("/users/"+id+"/status", url.Values{"status": {status}}).response, 400, "invalid_request", "none")
	}
	for _, unknown := range []string{merged, "999", "x"} {
		srv.wantProblem(srv.put("/users/"+unknown+"/status", url.Values{"status": {"disabled"}}).response, 404, "not_found", "none")
	}
	srv.deleteUser(id, "r")
	srv.wantProblem(srv.put("/users/"+id+"/status", url.Values{"status": {"active"}}).response, 404, "not_found", "none")
	if got := srv.queryText("SELECT COUNT(*) FROM user_changes WHERE kind IN ('disabled', 'enabled')"); got != "2" {
		t.Errorf("%s changes of the status are on record", got)
	}
}

func TestExternalID(t *testing.T) {
	srv := newTestServer(t, withAPIKey)
	token := srv.login(srv.device("alice")).Token
	srv.login(srv.device("bob"))
	alice, bob := srv.identityUser(srv.device("alice")), srv.identityUser(srv.device("bob"))
	set := func(id, externalID string) internalResponse {
		return srv.put("/users/"+id+"/externalId", url.Values{"externalId": {externalID}})
	}
	for range 2 {
		if a := set(alice, "crm-1"); a.status != http.StatusOK || a.active["externalId"] != "crm-1" || a.raw != srv.get("/users/"+alice).raw {
			t.Errorf("got %d %s", a.status, a.raw)
		}
	}
	if a := srv.introspect(token, withKey); a.active["external_id"] != "crm-1" {
		t.Errorf("/introspect: %s", a.raw)
	}
	if a := srv.verify(token, withKey); a.header.Get("X-User-External-Id") != "crm-1" {
		t.Errorf("/verify: %v", a.header)
	}
	srv.wantProblem(set(bob, "crm-1").response, 409, "conflict", "none")
	for _, bad := range []string{"", "a b", "a\tb", "ä", strings.Repeat("x", 129)} {
		srv.wantProblem(set(alice, bad).response, 400, "invalid_request", "none")
	}
	srv.wantProblem(set("999", "crm-2").response, 404, "not_found", "none")
	for range 2 {
		a := srv.callInternal(http.MethodDelete, "/users/"+alice+"/externalId", "", withKey)
		if a.status != http.StatusOK || a.active["externalId"] != "" {
			t.Errorf("got %d %s", a.status, a.raw)
		}
	}
	if a := srv.verify(token, withKey); a.header.Values("X-User-External-Id") != nil {
		t.Errorf("/verify: %v", a.header)
	}
	if a := srv.putJSON("/users/"+bob+"/externalId", `{"externalId":"crm-1"}`); a.status != http.StatusOK || a.active["externalId"] != "crm-1" {
		t.Errorf("as JSON: %d %s", a.status, a.raw)
	}
	if got := srv.queryText("SELECT GROUP_CONCAT(CONCAT_WS('|', kind, user_id, actor)) FROM user_changes"); got !=
		fmt.Sprintf("external_id|%[1]s|crm,external_id|%[1]s|crm,external_id|%[2]s|crm", alice, bob) {
		t.Errorf("recorded %s", got)
	}
}

func TestGetChanges(t *testing.T) {
	srv := newTestServer(t, withTwoApps, withAPIKey)
	srv.wantOK(srv.get("/changes"), `{"changes":[]}`)
	here, _, tokens := srv.mergedUser("alice")
	id, merged := srv.identityUser(here), srv.queryText("SELECT id FROM users WHERE status = 3")
	srv.put("/users/"+id+"/externalId", url.Values{"externalId": {"crm-1"}})
	srv.postForm("/unbindPhone", "token", tokens[0])
	srv.put("/users/"+id+"/status", url.Values{"status": {"disabled"}, "reason": {"fraud"}})
	srv.put("/users/"+id+"/status", url.Values{"status": {"active"}})
	srv.deleteUser(id, "asked by mail")
	at, err := time.Parse(time.DateTime, srv.queryText("SELECT DATE_FORMAT(MAX(changed_at), '%Y-%m-%d %H:%i:%s') FROM user_changes"))
	srv.must(err)
	want := []string{
		`{"seq":1,"kind":"merged","userId":` + merged + `,"survivorId":` + id,
		`{"seq":2,"kind":"external_id","userId":` + id + `,"actor":"crm"`,
		`{"seq":3,"kind":"phone_removed","userId":` + id + `,"reason":"person"`,
		`{"seq":4,"kind":"disabled","userId":` + id + `,"actor":"crm"`, // why goes with the erase
		`{"seq":5,"kind":"enabled","userId":` + id + `,"actor":"crm"`,
		`{"seq":6,"kind":"erased","userId":` + id + `,"reason":"admin","actor":"crm"`,
	}
	all := srv.get("/changes?after=0&limit=1000").raw
	for _, each := range want {
		if !strings.Contains(all, each+`,"at":"`+at.Format("2006-01-02T15:")) {
			t.Errorf("%s is not in %s", each, all)
		}
	}
	var read []string
	for after := "0"; ; {
		var page struct{ Changes []json.RawMessage }
		srv.must(json.Unmarshal([]byte(srv.get("/changes?limit=4&after="+after).raw), &page))
		if len(page.Changes) == 0 {
			break
		}
		for _, c := range page.Changes {
			read = append(read, string(c))
		}
		after = fmt.Sprint(len(read))
	}
	if got := `{"changes":[` + strings.Join(read, ",") + "]}\n"; got != all {
		t.Errorf("in pages: %s, at once: %s", got, all)
	}
	for _, query := range []string{"after=-1", "after=x", "limit=0", "limit=1001", "limit=", "after=1&after=2", "limit=1&limit=2", "after=%zz"} {
		srv.wantProblem(srv.get("/changes?"+query).response, 400, "invalid_request", "none")
	}
}

// The routes about users need the key where there is one, those that write need one in any case, and the public listener has none
// of them.
func TestUserRoutes_Access(t *testing.T) {
	reads := []string{"GET /users/1", "GET /users?id=1", "GET /users?phone=86138", "GET /users?externalId=x", "GET /changes"}
	writes := []string{"DELETE /users/1", "PUT /users/1/status", "PUT /users/1/externalId", "DELETE /users/1/externalId"}
	fields := url.Values{"status": {"disabled"}, "externalId": {"crm-1"}}.Encode()
	call := func(srv *testServer, route, key string) internalResponse {
		method, path, _ := strings.Cut(route, " ")
		body := fields
		if method == http.MethodGet {
			body = ""
		}
		return srv.callInternal(method, path, body, header{"X-Api-Key", key})
	}
	srv := newTestServer(t, withAPIKey)
	srv.login(srv.device("alice"))
	before := srv.rowOf("1")
	for _, route := range slices.Concat(reads, writes) {
		for _, key := range []string{"", "x", apiKey + "x"} {
			srv.wantProblem(call(srv, route, key).response, 401, "invalid_api_key", "none")
		}
		method, path, _ := strings.Cut(route, " ")
		req, err := http.NewRequest(method, srv.public.URL+path, nil)
		srv.must(err)
		req.Header.Set("X-Api-Key", apiKey)
		srv.wantProblem(srv.send(req), 404, "not_found", "none")
	}
	if srv.rowOf("1") != before {
		t.Error("a request without the key has changed a user")
	}
	open := newTestServer(t)
	open.login(open.device("alice"))
	for _, route := range writes {
		open.wantProblem(call(open, route, "").response, 401, "invalid_api_key", "none")
	}
	if a := open.callInternal(http.MethodGet, "/users/1", ""); a.status != http.StatusOK {
		t.Errorf("without a configured key: %d %s", a.status, a.raw)
	}
}

// Both keys are accepted, and the log says which one it was; it has neither a key nor what was asked for.
func TestAPIKey_Names(t *testing.T) {
	srv := newTestServer(t, withAPIKey)
	alice := srv.device("alice")
	srv.fill(alice)
	srv.put("/users/1/externalId", url.Values{"externalId": {"crm-secret"}})
	for name, key := range map[string]string{"crm": apiKey, "previous": previousKey} {
		for _, path := range []string{"/users/1", "/users?phone=86" + alice.PhoneNumber(), "/users?externalId=crm-secret"} {
			r := srv.callInternal(http.MethodGet, path, "", header{"X-Api-Key", key})
			if line := srv.logLine(r.header.Get("X-Request-Id")); r.status != http.StatusOK || line["apiKey"] != name {
				t.Errorf("%s: %d, logged as %v", path, r.status, line["apiKey"])
			}
		}
	}
	for _, secret := range []string{apiKey, previousKey, alice.PhoneNumber(), "crm-secret", alice.OpenID()} {
		if strings.Contains(srv.logs.String(), secret) {
			t.Errorf("the log has %s", secret)
		}
	}
}

func TestUserRoutes_Unavailable(t *testing.T) {
	srv := newTestServer(t, withAPIKey, func(cfg *serverConfig) { cfg.dsn = "root@tcp(127.0.0.1:1)/wxlogin" })
	for _, path := range []string{"/users/1", "/users?id=1", "/users?phone=86138", "/users?externalId=x", "/changes"} {
		srv.wantProblem(srv.get(path).response, 503, "storage_unavailable", "retry")
	}
	srv.wantProblem(srv.put("/users/1/status", url.Values{"status": {"disabled"}}).response, 503, "storage_unavailable", "retry")
	srv.wantProblem(srv.put("/users/1/externalId", url.Values{"externalId": {"x"}}).response, 503, "storage_unavailable", "retry")
}
