package handlers_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"mime/multipart"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"wxlogin/handlers"
	"wxlogin/wechat"
	"wxlogin/wechat/wechattest"
)

// slowWeChat is an app that never gets a response from WeChat.
type slowWeChat struct {
	handlers.CodeExchanger
	called chan struct{}
}

func (p slowWeChat) Code2Session(ctx context.Context, _ string) (wechat.Session, error) {
	p.called <- struct{}{}
	<-ctx.Done()
	return wechat.Session{}, fmt.Errorf("given up: %w", ctx.Err())
}

func TestAccessLog_ClientClosedRequest(t *testing.T) {
	asked := make(chan struct{})
	srv := newTestServer(t, func(cfg *serverConfig) {
		cfg.wrapApp = func(e handlers.CodeExchanger) handlers.CodeExchanger { return slowWeChat{e, asked} }
	})
	ctx, cancel := context.WithCancel(t.Context())
	req := srv.request("/onLogin", formType, url.Values{"code": {srv.device("alice").Login()}}.Encode()).WithContext(ctx)
	req.Header.Set("X-Request-Id", "impatient")
	go func() {
		<-asked
		cancel()
	}()
	if _, err := http.DefaultClient.Do(req); err == nil {
		t.Fatal("the request got a response")
	}
	srv.public.Close() // waits for the handler
	if line := srv.logLine("impatient"); line["status"] != 499.0 || line["level"] != "INFO" {
		t.Errorf("the log line is %v", line)
	}
	srv.wantUsers("0", "0")
	srv.wantNoKeys()
}

func TestNewPublic_RequiredOptions(t *testing.T) {
	whole := handlers.PublicOptions{
		Apps: []handlers.CodeExchanger{okWeChat{}}, Sessions: blockedStore{}, Users: blockedStore{}, Eraser: blockedStore{},
		Logger: slog.New(slog.DiscardHandler), Metrics: handlers.NewMetrics(),
	}
	if _, err := handlers.NewPublic(whole); err != nil {
		t.Fatal(err)
	}
	for name, remove := range map[string]func(*handlers.PublicOptions){
		"apps":     func(o *handlers.PublicOptions) { o.Apps = nil },
		"sessions": func(o *handlers.PublicOptions) { o.Sessions = nil },
		"users":    func(o *handlers.PublicOptions) { o.Users = nil },
		"eraser":   func(o *handlers.PublicOptions) { o.Eraser = nil },
		"logger":   func(o *handlers.PublicOptions) { o.Logger = nil },
		"metrics":  func(o *handlers.PublicOptions) { o.Metrics = nil },
	} {
		o := whole
		remove(&o)
		if _, err := handlers.NewPublic(o); err == nil {
			t.Errorf("no error without %s", name)
		}
	}
	if _, err := handlers.NewInternal(handlers.InternalOptions{}); err == nil {
		t.Error("NewInternal without options returns no error")
	}
}

func TestAccessLog(t *testing.T) {
	t.Run("has errcode and rid of a WeChat error", func(t *testing.T) {
		srv := newTestServer(t)
		srv.sim.Fail(wechattest.ErrCode(40164))
		r := srv.postForm("/onLogin", "code", srv.device("alice").Login())
		line := srv.logLine(r.body.RequestID)
		if line["errcode"] != 40164.0 || line["rid"] == "" || line["level"] != "ERROR" || line["code"] != "misconfigured" {
			t.Errorf("the log line is %v", line)
		}
		if strings.Contains(r.raw, "40164") || strings.Contains(r.raw, fmt.Sprint(line["rid"])) {
			t.Error("the response reveals the errcode or rid")
		}
	})

	t.Run("has the route pattern and nothing from the request", func(t *testing.T) {
		srv := newTestServer(t)
		r := srv.do(srv.request("/onLogin?token=sesame", formType, "code=opensesame"))
		line := srv.logLine(r.body.RequestID)
		if line["route"] != "/onLogin" || line["method"] != "POST" || line["status"] != 400.0 || line["duration"] == nil {
			t.Errorf("the log line is %v", line)
		}
		r = srv.do(srv.request("/sesame", formType, ""))
		if got := srv.logLine(r.body.RequestID)["route"]; got != "unmatched" {
			t.Errorf("route is %v", got)
		}
		if strings.Contains(srv.logs.String(), "sesame") {
			t.Error("the log contains what a client sent")
		}
	})

	// The log line identifies the user only by the user id.
	t.Run("identifies the user, only by the user id", func(t *testing.T) {
		srv := newTestServer(t)
		alice := srv.device("alice")
		loggedIn := func(wantLogin string) string {
			t.Helper()
			r := srv.postForm("/onLogin", "code", alice.Login())
			srv.wantLogLine(r, map[string]any{"login": wantLogin, "appid": appID, "userId": srv.userID(), "field": nil, "code": nil})
			return r.body.Token
		}
		loggedIn("new")
		token := loggedIn("returning")
		known := map[string]any{"login": nil, "appid": appID, "userId": srv.userID()}
		srv.wantLogLine(srv.update(token, alice.GetUserInfo()), known)
		srv.wantLogLine(srv.postForm("/updateUserInfo", "token", token, "nickName", "Alice"), known)
		srv.wantLogLine(srv.bindPhone(token, alice.GetPhoneNumber()), known)
		srv.wantLogLine(srv.getUserInfo("", "Bearer "+token), known)
		srv.wantLogLine(srv.introspect(token).response, known)
		srv.wantLogLine(srv.verify(token).response, known)
		srv.wantLogLine(srv.postForm("/updateUserInfo", "token", strings.Repeat("A", 43), "nickName", "x"), map[string]any{"appid": nil, "userId": nil})
		_, err := srv.db.Exec("UPDATE users SET status = 2")
		srv.must(err)
		known["code"] = "user_blocked"
		srv.wantLogLine(srv.postForm("/onLogin", "code", alice.Login()), map[string]any{"login": "returning", "userId": srv.userID(), "code": "user_blocked"})
		srv.wantLogLine(srv.getUserInfo("", "Bearer "+token), known)
		srv.wantLogLine(srv.verify(token).response, known)
		for _, secret := range []string{token, alice.OpenID(), alice.SessionKey(), secret, "Alice"} {
			if strings.Contains(srv.logs.String(), secret) {
				t.Error("the log contains a token, an openid, a session_key, an AppSecret or a name")
			}
		}
	})

	t.Run("names the invalid field of a 400", func(t *testing.T) {
		srv := newTestServer(t)
		token := srv.login(srv.device("alice")).Token
		for field, r := range map[string]response{
			"code":          srv.postForm("/onLogin"),
			"appid":         srv.postForm("/onLogin", "code", "x", "appid", "wx0"),
			"encryptedData": srv.postForm("/updateUserInfo", "token", token),
			"iv":            srv.postForm("/updateUserInfo", "token", token, "encryptedData", "x"),
			"signature":     srv.postForm("/updateUserInfo", "token", token, "encryptedData", "x", "iv", "x", "rawData", "x"),
			"nickName":      srv.postForm("/updateUserInfo", "token", token, "nickName", strings.Repeat("x", 33)),
			"avatarUrl":     srv.postForm("/updateUserInfo", "token", token, "avatarUrl", "http://tmp/x.png"),
			"everywhere":    srv.postForm("/logout", "token", token, "everywhere", "yes"),
			"confirm":       srv.postForm("/deleteAccount", "token", token),
			"token":         srv.do(srv.request("/logout", "application/json", `{"token":7}`)),
		} {
			if r.status != http.StatusBadRequest {
				t.Errorf("%s: status %d", field, r.status)
			}
			srv.wantLogLine(r, map[string]any{"field": field, "code": "invalid_request"})
		}
		srv.wantLogLine(srv.do(srv.request("/onLogin", formType, "code=a&code=b")), map[string]any{"field": "code"})
		srv.wantLogLine(srv.do(srv.request("/onLogin", formType, "sesame=a&sesame=b&code=c")), map[string]any{"field": nil})
		if strings.Contains(srv.logs.String(), "sesame") {
			t.Error("the log contains a name that a client made up")
		}
	})

	// Milliseconds, not the nanoseconds of time.Duration.
	t.Run("has the duration in milliseconds", func(t *testing.T) {
		srv := newTestServer(t)
		srv.sim.Fail(wechattest.Busy) // the client retries after about 100 ms
		r := srv.postForm("/onLogin", "code", srv.device("alice").Login())
		if ms, _ := srv.logLine(r.header.Get("X-Request-Id"))["duration"].(float64); ms < 1 || ms > 60_000 {
			t.Errorf("a login took %v", ms)
		}
	})
}

// logLine returns the only log line of a request.
func (srv *testServer) logLine(requestID string) map[string]any {
	srv.t.Helper()
	var found map[string]any
	for line := range strings.Lines(srv.logs.String()) {
		var fields map[string]any
		srv.must(json.Unmarshal([]byte(line), &fields))
		if fields["requestId"] != requestID {
			continue
		}
		if found != nil {
			srv.t.Error("a request has two lines")
		}
		found = fields
	}
	if found == nil {
		srv.t.Fatal("a request has no line")
	}
	return found
}

// panickingWeChat is an app whose exchange panics.
type panickingWeChat struct{ handlers.CodeExchanger }

func (panickingWeChat) Code2Session(_ context.Context, code string) (wechat.Session, error) {
	panic("lost " + code)
}

func TestRecoverPanics(t *testing.T) {
	srv := newTestServer(t, func(cfg *serverConfig) {
		cfg.wrapApp = func(e handlers.CodeExchanger) handlers.CodeExchanger { return panickingWeChat{e} }
	})
	code := srv.device("alice").Login()
	r := srv.postForm("/onLogin", "code", code)
	srv.wantProblem(r, 500, "internal", "none")
	line := srv.logLine(r.body.RequestID)
	if !strings.Contains(fmt.Sprint(line["cause"]), "Code2Session") || line["level"] != "ERROR" {
		t.Errorf("the log does not say where: %v", line)
	}
	srv.wantNoSecrets(r.raw, code)
}

func TestRequestID(t *testing.T) {
	srv := newTestServer(t)
	send := func(id string) string {
		req := srv.request("/onLogin", formType, "")
		if id != "" {
			req.Header.Set("X-Request-Id", id)
		}
		return srv.do(req).body.RequestID
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

// wantLogLine checks attributes of the log line of a request. nil means that there is no such attribute.
func (srv *testServer) wantLogLine(r response, want map[string]any) {
	srv.t.Helper()
	line := srv.logLine(r.header.Get("X-Request-Id"))
	for name, value := range want {
		if line[name] != value {
			srv.t.Errorf("%s %v: %s is %v, want %v", line["method"], line["route"], name, line[name], value)
		}
	}
}

// userID returns the id of the only user, as JSON decodes it.
func (srv *testServer) userID() float64 {
	srv.t.Helper()
	id, err := strconv.ParseFloat(srv.queryText("SELECT id FROM users"), 64)
	srv.must(err)
	return id
}

// A header that is given twice is not used, because a proxy may read the other value.
func TestHeaders_GivenTwice(t *testing.T) {
	const detail = "Content-Type is given twice."
	srv := newTestServer(t, withAPIKey)
	token := srv.login(srv.device("alice")).Token
	twice := func(req *http.Request, name, second string) *http.Request {
		req.Header.Add(name, second)
		return req
	}

	for _, path := range []string{"/onLogin", "/updateUserInfo", "/bindPhone", "/logout"} {
		t.Run("Content-Type of "+path, func(t *testing.T) {
			exchanges := srv.sim.Calls()
			for _, second := range []string{formType, "application/json", "text/plain", ""} {
				r := srv.do(twice(srv.request(path, formType, "code="+srv.device("alice").Login()+"&token="+token), "Content-Type", second))
				srv.wantProblem(r, 400, "invalid_request", "none")
				if r.body.Detail != detail {
					t.Errorf("%q: %s", second, r.body.Detail)
				}
			}
			if got := srv.sim.Calls(); got != exchanges {
				t.Errorf("%d calls of WeChat", got-exchanges)
			}
		})
	}

	t.Run("Content-Type of /uploadAvatar", func(t *testing.T) {
		var body bytes.Buffer
		m := multipart.NewWriter(&body)
		part, err := m.CreateFormFile("file", "a.jpg")
		srv.must(err)
		_, err = part.Write(pictureFiles(t)["jpeg"])
		srv.must(err)
		srv.must(m.Close())
		for _, second := range []string{m.FormDataContentType(), "multipart/form-data; boundary=other", "image/jpeg"} {
			req := srv.request("/uploadAvatar", m.FormDataContentType(), body.String())
			req.Header.Set("Authorization", "Bearer "+token)
			r := srv.do(twice(req, "Content-Type", second))
			srv.wantProblem(r, 400, "invalid_request", "none")
			if r.body.Detail != detail {
				t.Errorf("%q: %s", second, r.body.Detail)
			}
		}
		srv.wantPictures(0)
	})

	t.Run("Authorization", func(t *testing.T) {
		req, err := http.NewRequest(http.MethodGet, srv.public.URL+"/userInfo", nil)
		srv.must(err)
		req.Header.Set("Authorization", "Bearer "+token)
		srv.wantProblem(srv.do(twice(req, "Authorization", "Bearer "+token)), 401, "invalid_token", "relogin")
	})

	t.Run("X-Request-Id is a new one", func(t *testing.T) {
		req := srv.request("/logout", formType, "")
		req.Header.Set("X-Request-Id", "first")
		if got := srv.do(twice(req, "X-Request-Id", "second")).header.Get("X-Request-Id"); got == "first" || got == "second" {
			t.Errorf("it is %q", got)
		}
	})

	t.Run("the API key", func(t *testing.T) {
		for path, code := range map[string]int{"/introspect": http.StatusUnauthorized, "/verify": http.StatusForbidden} {
			for _, second := range []string{apiKey, "another"} {
				req, err := http.NewRequest(http.MethodPost, srv.internal.URL+path, nil)
				srv.must(err)
				req.Header.Set("X-Api-Key", apiKey)
				req.Header.Set("Authorization", "Bearer "+token)
				if got := srv.send(twice(req, "X-Api-Key", second)).status; got != code {
					t.Errorf("%s: %d, want %d", path, got, code)
				}
			}
		}
		req, err := http.NewRequest(http.MethodPost, srv.internal.URL+"/introspect", nil)
		srv.must(err)
		req.SetBasicAuth("orders", apiKey)
		if got := srv.send(twice(req, "Authorization", "Bearer x")).status; got != http.StatusUnauthorized {
			t.Errorf("/introspect with two Authorization headers: %d", got)
		}
	})
}

func TestRequests_Invalid(t *testing.T) {
	srv := newTestServer(t)
	token := srv.login(srv.device("alice")).Token
	calls := srv.sim.Calls()
	tests := map[string]struct {
		path, contentType, content string
		status                     int
		code, detail               string
	}{
		"no code":          {"/onLogin", formType, "", 400, "invalid_request", "code"},
		"empty code":       {"/onLogin", formType, "code=", 400, "invalid_request", "code"},
		"code twice":       {"/onLogin", formType, "code=a&code=b", 400, "invalid_request", "twice"},
		"bad escape":       {"/onLogin", formType, "code=%zz", 400, "invalid_request", "form-encoded"},
		"long code":        {"/onLogin", formType, "code=" + strings.Repeat("a", 129), 400, "invalid_request", "code"},
		"code with space":  {"/onLogin", formType, "code=a+b", 400, "invalid_request", "code"},
		"code with nul":    {"/onLogin", formType, "code=a%00b", 400, "invalid_request", "code"},
		"mock code":        {"/onLogin", formType, "code=the+code+is+a+mock+one", 400, "invalid_code", "DevTools"},
		"json array":       {"/onLogin", "application/json", `["code"]`, 400, "invalid_request", "object"},
		"json broken":      {"/onLogin", "application/json", `{"code":"a"`, 400, "invalid_request", "object"},
		"json trailing":    {"/onLogin", "application/json", `{"code":"a"}{}`, 400, "invalid_request", "after the JSON object"},
		"json number":      {"/onLogin", "application/json", `{"code":1}`, 400, "invalid_request", "code"},
		"json twice":       {"/onLogin", "application/json", `{"code":"a","code":"b"}`, 400, "invalid_request", "twice"},
		"json empty":       {"/onLogin", "application/json", ``, 400, "invalid_request", "object"},
		"xml":              {"/onLogin", "text/xml", "<code/>", 415, "unsupported_media_type", ""},
		"no content type":  {"/onLogin", "", "code=a", 415, "unsupported_media_type", ""},
		"multipart":        {"/onLogin", "multipart/form-data; boundary=x", "--x--", 415, "unsupported_media_type", ""},
		"too large":        {"/onLogin", formType, "code=a&x=" + strings.Repeat("a", 64<<10), 413, "request_too_large", ""},
		"no data":          {"/updateUserInfo", formType, "iv=x&token=" + token, 400, "invalid_request", "encryptedData"},
		"no iv":            {"/updateUserInfo", formType, "encryptedData=x&token=" + token, 400, "invalid_request", "iv"},
		"half a signature": {"/updateUserInfo", formType, "encryptedData=x&iv=x&rawData=x&token=" + token, 400, "invalid_request", "signature"},
		"unknown path":     {"/onlogin", formType, "code=a", 404, "not_found", ""},
		"root":             {"/", formType, "", 404, "not_found", ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			r := srv.do(srv.request(tt.path, tt.contentType, tt.content))
			action := "none"
			if tt.code == "invalid_code" {
				action = "relogin"
			}
			srv.wantProblem(r, tt.status, tt.code, action)
			if !strings.Contains(r.body.Detail, tt.detail) {
				t.Errorf("detail %q does not name %s", r.body.Detail, tt.detail)
			}
		})
	}
	t.Run("compressed", func(t *testing.T) {
		req := srv.request("/onLogin", formType, "code=a")
		req.Header.Set("Content-Encoding", "gzip")
		srv.wantProblem(srv.do(req), 415, "unsupported_media_type", "none")
	})
	t.Run("too large in chunks", func(t *testing.T) {
		req := srv.request("/onLogin", formType, "")
		req.Body = io.NopCloser(bytes.NewReader(bytes.Repeat([]byte("a"), 65<<10)))
		req.ContentLength = -1
		srv.wantProblem(srv.do(req), 413, "request_too_large", "none")
	})
	t.Run("get", func(t *testing.T) {
		req := srv.request("/onLogin", formType, "")
		req.Method = http.MethodGet
		r := srv.do(req)
		srv.wantProblem(r, 405, "method_not_allowed", "none")
		if got := r.header.Get("Allow"); got != "POST" {
			t.Errorf("Allow is %q", got)
		}
	})
	if got := srv.sim.Calls(); got != calls {
		t.Errorf("%d calls to WeChat", got-calls)
	}
}
