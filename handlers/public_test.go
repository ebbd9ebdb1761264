package handlers_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"wxlogin/handlers"
	"wxlogin/wechat"
	"wxlogin/wechat/wechattest"
)

// decode reads the fields of an answer.
func decode(t testing.TB, res *http.Response) (b body) {
	t.Helper()
	if err := json.NewDecoder(res.Body).Decode(&b); err != nil {
		t.Error(err)
	}
	return b
}

func TestOnLogin_answers(t *testing.T) {
	w := newWorld(t)
	p := w.phone("alice")

	first := w.form("/onLogin", "code", p.Login())
	if first.status != http.StatusOK || !first.body.IsNewUser || first.body.ProfileComplete || len(first.body.Token) != 43 {
		t.Fatalf("first login: %d %+v", first.status, first.body.UserInfo)
	}
	fields := []string{"avatarUrl", "city", "country", "gender", "language", "nickName", "province"}
	if got := keys(first.body.UserInfo); !slices.Equal(got, fields) {
		t.Errorf("userInfo has %v, want %v", got, fields)
	}
	if ct := first.header.Get("Content-Type"); ct != "application/json; charset=utf-8" {
		t.Errorf("Content-Type is %s", ct)
	}
	var top map[string]any
	w.must(json.Unmarshal([]byte(first.raw), &top))
	want := []string{"expiresIn", "isNewUser", "phoneNumber", "profileComplete", "status", "token", "userInfo"}
	if got := keys(top); !slices.Equal(got, want) {
		t.Errorf("the answer has %v, want %v", got, want)
	}

	w.mustUpdate(first.body.Token, p.GetUserInfo())
	again := w.login(p)
	if again.IsNewUser || !again.ProfileComplete || again.UserInfo["nickName"] != "alice" || again.Token == first.body.Token {
		t.Errorf("second login: %+v", again.UserInfo)
	}
	for series, want := range map[string]string{
		`wxlogin_logins_total{outcome="new"}`:                                         "1",
		`wxlogin_logins_total{outcome="returning"}`:                                   "1",
		`wxlogin_wechat_calls_total{api="jscode2session",errcode="0"}`:                "2",
		`wxlogin_decryptions_total{outcome="own_key"}`:                                "1",
		`wxlogin_http_requests_total{route="/onLogin",status="200"}`:                  "2",
		`wxlogin_http_request_duration_seconds_count{route="/updateUserInfo"}`:        "1",
		`wxlogin_wechat_call_duration_seconds_count{api="jscode2session"}`:            "2",
		`wxlogin_http_requests_total{route="/updateUserInfo",status="200"}`:           "1",
		`wxlogin_http_request_duration_seconds_bucket{route="/onLogin",le="+Inf"}`:    "2",
		`wxlogin_wechat_call_duration_seconds_bucket{api="jscode2session",le="+Inf"}`: "2",
	} {
		if got := w.metric(series); got != want {
			t.Errorf("%s is %q, want %s", series, got, want)
		}
	}
}

func keys(m map[string]any) []string {
	var names []string
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func TestOnLogin_takes_json_too(t *testing.T) {
	w := newWorld(t)
	content := fmt.Sprintf(`{"code":%q,"appid":null,"extra":{"a":[1]}}`, w.phone("alice").Login())
	if r := w.do(w.request("/onLogin", "application/json; charset=utf-8", content)); r.status != http.StatusOK {
		t.Errorf("%d %s", r.status, r.raw)
	}
}

func TestOnLogin_several_apps(t *testing.T) {
	w := newWorld(t, twoApps)
	other := w.sim.Device(otherAppID, wechattest.User{Name: "alice"})
	w.login(other)
	if got := w.one("SELECT appid FROM wechat_identities"); got != otherAppID {
		t.Errorf("the identity is of %s", got)
	}
	if r := w.form("/onLogin", "code", w.phone("bob").Login()); r.status != http.StatusOK {
		t.Errorf("without an appid: %d, want the first app", r.status)
	}
	w.wantProblem(w.form("/onLogin", "code", w.phone("bob").Login(), "appid", "wxunknown"), 400, "invalid_request", "none")
	w.wantProblem(w.form("/onLogin", "code", other.Login(), "appid", appID), 400, "invalid_code", "relogin")
}

func TestOnLogin_refusals_of_wechat(t *testing.T) {
	tests := map[string]struct {
		fault  wechattest.Fault
		status int
		code   string
		action string
	}{
		"busy":            {wechattest.Busy, 503, "wechat_unavailable", "retry"},
		"html_502":        {wechattest.BadGateway, 503, "wechat_unavailable", "retry"},
		"broken_json":     {wechattest.BrokenJSON, 503, "wechat_unavailable", "retry"},
		"dropped":         {wechattest.Dropped, 503, "wechat_unavailable", "retry"},
		"rate_limited":    {wechattest.RateLimited, 429, "rate_limited", "retry"},
		"blocked":         {wechattest.Blocked, 403, "user_blocked", "none"},
		"invalid_code":    {wechattest.ErrCode(40029), 400, "invalid_code", "relogin"},
		"used_code":       {wechattest.ErrCode(40163), 400, "invalid_code", "relogin"},
		"invalid_appid":   {wechattest.ErrCode(40013), 503, "misconfigured", "none"},
		"invalid_secret":  {wechattest.ErrCode(40125), 503, "misconfigured", "none"},
		"ip_not_listed":   {wechattest.ErrCode(40164), 503, "misconfigured", "none"},
		"frozen":          {wechattest.ErrCode(40243), 503, "misconfigured", "none"},
		"malformed_call":  {wechattest.ErrCode(41002), 503, "misconfigured", "none"},
		"unauthorized":    {wechattest.ErrCode(48001), 503, "misconfigured", "none"},
		"unheard_of_code": {wechattest.ErrCode(99999), 503, "misconfigured", "none"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.sim.Fail(slices.Repeat([]wechattest.Fault{tt.fault}, 9)...)
			w.wantProblem(w.form("/onLogin", "code", w.phone("alice").Login()), tt.status, tt.code, tt.action)
			w.wantUsers("0", "0")
			w.wantNoKeys()
			if got := w.metric(`wxlogin_logins_total{outcome="` + tt.code + `"}`); got != "1" {
				t.Errorf("%q logins of this outcome, want 1", got)
			}
		})
	}
}

func TestOnLogin_logs_errcode_and_rid(t *testing.T) {
	w := newWorld(t)
	w.sim.Fail(wechattest.ErrCode(40164))
	r := w.form("/onLogin", "code", w.phone("alice").Login())
	line := w.logLine(r.body.RequestID)
	if line["errcode"] != 40164.0 || line["rid"] == "" || line["level"] != "ERROR" || line["code"] != "misconfigured" {
		t.Errorf("the log says %v", line)
	}
	if strings.Contains(r.raw, "40164") || strings.Contains(r.raw, fmt.Sprint(line["rid"])) {
		t.Error("the answer tells the client what is the operator's")
	}
}

// logLine finds the one access line of a request.
func (w *world) logLine(requestID string) map[string]any {
	w.t.Helper()
	var found map[string]any
	for line := range strings.Lines(w.logs.String()) {
		var fields map[string]any
		w.must(json.Unmarshal([]byte(line), &fields))
		if fields["requestId"] != requestID {
			continue
		}
		if found != nil {
			w.t.Error("a request has two lines")
		}
		found = fields
	}
	if found == nil {
		w.t.Fatal("a request has no line")
	}
	return found
}

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

func TestUpdateUserInfo_tokens(t *testing.T) {
	w := newWorld(t)
	p := w.phone("alice")
	token := w.login(p).Token
	data := p.GetUserInfo()
	post := func(authorization, field string) response {
		content := fmt.Sprintf(`{"token":%q,"encryptedData":%q,"iv":%q}`, field, data.EncryptedData, data.IV)
		req := w.request("/updateUserInfo", "application/json", content)
		if authorization != "" {
			req.Header.Set("Authorization", authorization)
		}
		return w.do(req)
	}
	for name, r := range map[string]response{
		"bearer": post("Bearer "+token, ""), "any_case": post("bearer "+token, ""), "field": post("", token), "both": post("Bearer "+token, token),
	} {
		if r.status != http.StatusOK {
			t.Errorf("%s: %d %s", name, r.status, r.body.Code)
		}
	}
	w.wantProblem(post("Bearer "+token, "x"), 400, "invalid_request", "none")

	unknown := strings.Repeat("A", 43)
	var first string
	for name, r := range map[string]response{
		"missing": post("", ""), "malformed": post("", "x"), "unknown": post("", unknown), "basic": post("Basic "+token, ""),
		"empty_bearer": post("Bearer ", ""), "bearer_unknown": post("Bearer "+unknown, ""),
	} {
		t.Run(name, func(t *testing.T) {
			w.wantProblem(r, 401, "invalid_token", "relogin")
			if got := r.header.Get("WWW-Authenticate"); got != "Bearer" {
				t.Errorf("WWW-Authenticate is %q", got)
			}
			answer := strings.ReplaceAll(r.raw, r.body.RequestID, "")
			if first == "" {
				first = answer
			}
			if answer != first {
				t.Error("refused tokens get different answers")
			}
		})
	}
}

func TestUpdateUserInfo_of_a_user_whose_row_is_gone(t *testing.T) {
	w := newWorld(t)
	p := w.phone("alice")
	token := w.login(p).Token
	if _, err := w.db.Exec("DELETE FROM wechat_identities"); err != nil {
		t.Fatal(err)
	}
	w.wantProblem(w.update(token, p.GetUserInfo()), 401, "invalid_token", "relogin")
}

func TestUpdateUserInfo_newer_data_is_kept(t *testing.T) {
	w := newWorld(t)
	p := w.phone("alice")
	token := w.login(p).Token
	old := p.GetUserInfo()
	w.pass(time.Minute)
	renamed := w.sim.Device(appID, wechattest.User{Name: "alice", Info: wechattest.Info{NickName: "Alice II"}})
	w.mustUpdate(token, renamed.GetUserInfo())
	if got := w.mustUpdate(token, old).UserInfo["nickName"]; got != "Alice II" {
		t.Errorf("older data overwrote newer: %v", got)
	}
}

func TestRequests_that_cannot_be_read(t *testing.T) {
	w := newWorld(t)
	token := w.login(w.phone("alice")).Token
	calls := w.sim.Calls()
	tests := map[string]struct {
		path, contentType, content string
		status                     int
		code, detail               string
	}{
		"no_code":          {"/onLogin", formType, "", 400, "invalid_request", "code"},
		"empty_code":       {"/onLogin", formType, "code=", 400, "invalid_request", "code"},
		"code_twice":       {"/onLogin", formType, "code=a&code=b", 400, "invalid_request", "twice"},
		"bad_escape":       {"/onLogin", formType, "code=%zz", 400, "invalid_request", "form-encoded"},
		"long_code":        {"/onLogin", formType, "code=" + strings.Repeat("a", 129), 400, "invalid_request", "code"},
		"code_with_space":  {"/onLogin", formType, "code=a+b", 400, "invalid_request", "code"},
		"code_with_nul":    {"/onLogin", formType, "code=a%00b", 400, "invalid_request", "code"},
		"mock_code":        {"/onLogin", formType, "code=the+code+is+a+mock+one", 400, "invalid_code", "DevTools"},
		"json_array":       {"/onLogin", "application/json", `["code"]`, 400, "invalid_request", "object"},
		"json_broken":      {"/onLogin", "application/json", `{"code":"a"`, 400, "invalid_request", "object"},
		"json_trailing":    {"/onLogin", "application/json", `{"code":"a"}{}`, 400, "invalid_request", "follows"},
		"json_number":      {"/onLogin", "application/json", `{"code":1}`, 400, "invalid_request", "code"},
		"json_twice":       {"/onLogin", "application/json", `{"code":"a","code":"b"}`, 400, "invalid_request", "twice"},
		"json_empty":       {"/onLogin", "application/json", ``, 400, "invalid_request", "object"},
		"xml":              {"/onLogin", "text/xml", "<code/>", 415, "unsupported_media_type", ""},
		"no_content_type":  {"/onLogin", "", "code=a", 415, "unsupported_media_type", ""},
		"multipart":        {"/onLogin", "multipart/form-data; boundary=x", "--x--", 415, "unsupported_media_type", ""},
		"too_large":        {"/onLogin", formType, "code=a&x=" + strings.Repeat("a", 64<<10), 413, "request_too_large", ""},
		"no_data":          {"/updateUserInfo", formType, "iv=x&token=" + token, 400, "invalid_request", "encryptedData"},
		"no_iv":            {"/updateUserInfo", formType, "encryptedData=x&token=" + token, 400, "invalid_request", "iv"},
		"half_a_signature": {"/updateUserInfo", formType, "encryptedData=x&iv=x&rawData=x&token=" + token, 400, "invalid_request", "signature"},
		"unknown_path":     {"/onlogin", formType, "code=a", 404, "not_found", ""},
		"root":             {"/", formType, "", 404, "not_found", ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			r := w.do(w.request(tt.path, tt.contentType, tt.content))
			action := "none"
			if tt.code == "invalid_code" {
				action = "relogin"
			}
			w.wantProblem(r, tt.status, tt.code, action)
			if !strings.Contains(r.body.Detail, tt.detail) {
				t.Errorf("detail %q does not name %s", r.body.Detail, tt.detail)
			}
		})
	}
	t.Run("compressed", func(t *testing.T) {
		req := w.request("/onLogin", formType, "code=a")
		req.Header.Set("Content-Encoding", "gzip")
		w.wantProblem(w.do(req), 415, "unsupported_media_type", "none")
	})
	t.Run("too_large_in_chunks", func(t *testing.T) {
		req := w.request("/onLogin", formType, "")
		req.Body = io.NopCloser(bytes.NewReader(bytes.Repeat([]byte("a"), 65<<10)))
		req.ContentLength = -1
		w.wantProblem(w.do(req), 413, "request_too_large", "none")
	})
	t.Run("get", func(t *testing.T) {
		req := w.request("/onLogin", formType, "")
		req.Method = http.MethodGet
		r := w.do(req)
		w.wantProblem(r, 405, "method_not_allowed", "none")
		if got := r.header.Get("Allow"); got != "POST" {
			t.Errorf("Allow is %q", got)
		}
	})
	if got := w.sim.Calls(); got != calls {
		t.Errorf("WeChat was asked %d times", got-calls)
	}
}

func TestStorage_that_cannot_be_reached(t *testing.T) {
	t.Run("redis", func(t *testing.T) {
		w := newWorld(t, func(su *setup) {
			su.session.Redis = redis.NewClient(&redis.Options{Addr: "127.0.0.1:1", MaxRetries: -1})
		})
		p := w.phone("alice")
		w.wantProblem(w.form("/onLogin", "code", p.Login()), 503, "storage_unavailable", "retry")
		r := w.update(strings.Repeat("A", 43), p.GetUserInfo())
		w.wantProblem(r, 503, "storage_unavailable", "retry") // never 401: the token may well be valid
		if w.logLine(r.body.RequestID)["cause"] == nil {
			t.Error("the log does not say why")
		}
	})
	t.Run("mysql", func(t *testing.T) {
		w := newWorld(t, func(su *setup) { su.dsn = "root@tcp(127.0.0.1:1)/wxlogin" })
		w.wantProblem(w.form("/onLogin", "code", w.phone("alice").Login()), 503, "storage_unavailable", "retry")
		w.wantNoKeys()
	})
	t.Run("tables_are_missing", func(t *testing.T) {
		w := newWorld(t)
		if _, err := w.db.Exec("DROP TABLE wechat_identities"); err != nil {
			t.Fatal(err)
		}
		r := w.form("/onLogin", "code", w.phone("alice").Login())
		w.wantProblem(r, 503, "storage_unavailable", "retry") // wxlogin migrate helps
		if strings.Contains(r.raw, "wechat_identities") {
			t.Error("the answer tells an inner error")
		}
		if cause := fmt.Sprint(w.logLine(r.body.RequestID)["cause"]); !strings.Contains(cause, "no such table") {
			t.Errorf("the log's cause is %s", cause)
		}
	})
}

// panicker is an app whose exchange fails in a way that nobody foresaw.
type panicker struct{ handlers.CodeExchanger }

func (panicker) Code2Session(_ context.Context, code string) (wechat.Session, error) {
	panic("lost " + code)
}

func TestPanic_is_one_logged_500(t *testing.T) {
	w := newWorld(t, func(su *setup) {
		su.exchange = func(e handlers.CodeExchanger) handlers.CodeExchanger { return panicker{e} }
	})
	code := w.phone("alice").Login()
	r := w.form("/onLogin", "code", code)
	w.wantProblem(r, 500, "internal", "none")
	line := w.logLine(r.body.RequestID)
	if !strings.Contains(fmt.Sprint(line["cause"]), "Code2Session") || line["level"] != "ERROR" {
		t.Errorf("the log does not say where: %v", line)
	}
	w.wantNoSecrets(r.raw, code)
}

func TestRequestID(t *testing.T) {
	w := newWorld(t)
	send := func(id string) string {
		req := w.request("/onLogin", formType, "")
		if id != "" {
			req.Header.Set("X-Request-Id", id)
		}
		return w.do(req).body.RequestID
	}
	if got := send("trace-42.a_B"); got != "trace-42.a_B" {
		t.Errorf("the caller's id became %s", got)
	}
	for _, bad := range []string{"", strings.Repeat("a", 65), "a b", `a"b`, "é"} {
		if got := send(bad); len(got) != 32 || got == bad {
			t.Errorf("%q became %q", bad, got)
		}
	}
}

func TestAccessLog_has_the_pattern_and_nothing_of_the_request(t *testing.T) {
	w := newWorld(t)
	r := w.do(w.request("/onLogin?token=sesame", formType, "code=opensesame"))
	line := w.logLine(r.body.RequestID)
	if line["route"] != "/onLogin" || line["method"] != "POST" || line["status"] != 400.0 || line["duration"] == nil {
		t.Errorf("the log says %v", line)
	}
	r = w.do(w.request("/sesame", formType, ""))
	if got := w.logLine(r.body.RequestID)["route"]; got != "unmatched" {
		t.Errorf("route is %v", got)
	}
	if strings.Contains(w.logs.String(), "sesame") {
		t.Error("the log holds what a client sent")
	}
}

func TestInternal(t *testing.T) {
	w := newWorld(t)
	if got := w.get("/healthz"); got != "{\"status\":200}\n" {
		t.Errorf("healthz: %s", got)
	}
	if got := w.get("/readyz"); got != `{"status":200,"checks":{"mysql":"ok","redis":"ok"}}`+"\n" {
		t.Errorf("readyz: %s", got)
	}
	for _, want := range []string{"go_goroutines", "process_cpu_seconds_total", "wxlogin_http_requests_total"} {
		if !strings.Contains(w.get("/metrics"), "\n"+want) {
			t.Errorf("/metrics lacks %s", want)
		}
	}
	t.Run("not_ready_says_what_is_missing", func(t *testing.T) {
		w := newWorld(t, func(su *setup) { su.dsn = "root@tcp(127.0.0.1:1)/wxlogin" })
		if got := w.get("/readyz"); got != `{"status":503,"checks":{"mysql":"failed","redis":"ok"}}`+"\n" {
			t.Errorf("readyz: %s", got)
		}
	})
	t.Run("public_listener_has_none_of_it", func(t *testing.T) {
		for _, path := range []string{"/healthz", "/readyz", "/metrics"} {
			res, err := http.Get(w.public.URL + path)
			w.must(err)
			res.Body.Close()
			if res.StatusCode != http.StatusNotFound {
				t.Errorf("%s: %d", path, res.StatusCode)
			}
		}
	})
}
