package handlers_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"mime/multipart"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"wxlogin/handlers"
	"wxlogin/wechat"
	"wxlogin/wechat/wechattest"
)

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

// A request's line says whose it was, as far as that is known, and never more of a person than the user id.
func TestRequestLog_says_whose_request_it_was(t *testing.T) {
	w := newWorld(t)
	alice := w.phone("alice")
	loggedIn := func(wantLogin string) string {
		t.Helper()
		r := w.form("/onLogin", "code", alice.Login())
		w.wantLine(r, map[string]any{"login": wantLogin, "appid": appID, "userId": w.userID(), "field": nil, "code": nil})
		return r.body.Token
	}
	loggedIn("new")
	token := loggedIn("returning")
	known := map[string]any{"login": nil, "appid": appID, "userId": w.userID()}
	w.wantLine(w.update(token, alice.GetUserInfo()), known)
	w.wantLine(w.form("/updateUserInfo", "token", token, "nickName", "Alice"), known)
	w.wantLine(w.bindPhone(token, alice.GetPhoneNumber()), known)
	w.wantLine(w.readBack("", "Bearer "+token), known)
	w.wantLine(w.introspect(token).response, known)
	w.wantLine(w.verify(token).response, known)
	w.wantLine(w.form("/updateUserInfo", "token", strings.Repeat("A", 43), "nickName", "x"), map[string]any{"appid": nil, "userId": nil})
	_, err := w.db.Exec("UPDATE users SET status = 2")
	w.must(err)
	known["code"] = "user_blocked"
	w.wantLine(w.form("/onLogin", "code", alice.Login()), map[string]any{"login": "returning", "userId": w.userID(), "code": "user_blocked"})
	w.wantLine(w.readBack("", "Bearer "+token), known)
	w.wantLine(w.verify(token).response, known)
	for _, secret := range []string{token, alice.OpenID(), alice.SessionKey(), secret, "Alice"} {
		if strings.Contains(w.logs.String(), secret) {
			t.Error("the log holds a token, an openid, a session_key, an AppSecret or a name")
		}
	}
}

func TestRequestLog_says_which_field_a_400_is_about(t *testing.T) {
	w := newWorld(t)
	token := w.login(w.phone("alice")).Token
	for field, r := range map[string]response{
		"code":          w.form("/onLogin"),
		"appid":         w.form("/onLogin", "code", "x", "appid", "wx0"),
		"encryptedData": w.form("/updateUserInfo", "token", token),
		"iv":            w.form("/updateUserInfo", "token", token, "encryptedData", "x"),
		"signature":     w.form("/updateUserInfo", "token", token, "encryptedData", "x", "iv", "x", "rawData", "x"),
		"nickName":      w.form("/updateUserInfo", "token", token, "nickName", strings.Repeat("x", 33)),
		"avatarUrl":     w.form("/updateUserInfo", "token", token, "avatarUrl", "http://tmp/x.png"),
		"everywhere":    w.form("/logout", "token", token, "everywhere", "yes"),
		"token":         w.do(w.request("/logout", "application/json", `{"token":7}`)),
	} {
		if r.status != http.StatusBadRequest {
			t.Errorf("%s: it is answered %d", field, r.status)
		}
		w.wantLine(r, map[string]any{"field": field, "code": "invalid_request"})
	}
	w.wantLine(w.do(w.request("/onLogin", formType, "code=a&code=b")), map[string]any{"field": "code"})
	w.wantLine(w.do(w.request("/onLogin", formType, "sesame=a&sesame=b&code=c")), map[string]any{"field": nil})
	if strings.Contains(w.logs.String(), "sesame") {
		t.Error("the log holds a name that a client made up")
	}
}

// The duration is in milliseconds, not in Go's nanoseconds.
func TestRequestLog_duration_is_in_milliseconds(t *testing.T) {
	w := newWorld(t)
	w.sim.Fail(wechattest.Busy) // which the client repeats after some 100 ms
	r := w.form("/onLogin", "code", w.phone("alice").Login())
	if ms, _ := w.logLine(r.header.Get("X-Request-Id"))["duration"].(float64); ms < 1 || ms > 60_000 {
		t.Errorf("a login took %v", ms)
	}
}

// wantLine fails unless the line of an answered request has these attributes; nil: it has not.
func (w *world) wantLine(r response, want map[string]any) {
	w.t.Helper()
	line := w.logLine(r.header.Get("X-Request-Id"))
	for name, value := range want {
		if line[name] != value {
			w.t.Errorf("%s %v: %s is %v, want %v", line["method"], line["route"], name, line[name], value)
		}
	}
}

// userID is the id of the only user, as JSON has it.
func (w *world) userID() float64 {
	w.t.Helper()
	id, err := strconv.ParseFloat(w.one("SELECT id FROM users"), 64)
	w.must(err)
	return id
}

// A header that decides how a request is read is taken once or not at all: a proxy may read the other one.
func TestHeaders_GivenTwice(t *testing.T) {
	const detail = "Content-Type is given twice."
	w := newWorld(t, withAPIKey)
	token := w.login(w.phone("alice")).Token
	twice := func(req *http.Request, name, second string) *http.Request {
		req.Header.Add(name, second)
		return req
	}

	for _, path := range []string{"/onLogin", "/updateUserInfo", "/bindPhone", "/logout"} {
		t.Run("Content-Type of "+path, func(t *testing.T) {
			exchanges := w.sim.Calls()
			for _, second := range []string{formType, "application/json", "text/plain", ""} {
				r := w.do(twice(w.request(path, formType, "code="+w.phone("alice").Login()+"&token="+token), "Content-Type", second))
				w.wantProblem(r, 400, "invalid_request", "none")
				if r.body.Detail != detail {
					t.Errorf("%q: %s", second, r.body.Detail)
				}
			}
			if got := w.sim.Calls(); got != exchanges {
				t.Errorf("%d calls of WeChat", got-exchanges)
			}
		})
	}

	t.Run("Content-Type of /uploadAvatar", func(t *testing.T) {
		var body bytes.Buffer
		m := multipart.NewWriter(&body)
		part, err := m.CreateFormFile("file", "a.jpg")
		w.must(err)
		_, err = part.Write(pictureFiles(t)["jpeg"])
		w.must(err)
		w.must(m.Close())
		for _, second := range []string{m.FormDataContentType(), "multipart/form-data; boundary=other", "image/jpeg"} {
			req := w.request("/uploadAvatar", m.FormDataContentType(), body.String())
			req.Header.Set("Authorization", "Bearer "+token)
			r := w.do(twice(req, "Content-Type", second))
			w.wantProblem(r, 400, "invalid_request", "none")
			if r.body.Detail != detail {
				t.Errorf("%q: %s", second, r.body.Detail)
			}
		}
		w.wantPictures(0)
	})

	t.Run("Authorization", func(t *testing.T) {
		req, err := http.NewRequest(http.MethodGet, w.public.URL+"/userInfo", nil)
		w.must(err)
		req.Header.Set("Authorization", "Bearer "+token)
		w.wantProblem(w.do(twice(req, "Authorization", "Bearer "+token)), 401, "invalid_token", "relogin")
	})

	t.Run("X-Request-Id is a new one", func(t *testing.T) {
		req := w.request("/logout", formType, "")
		req.Header.Set("X-Request-Id", "first")
		if got := w.do(twice(req, "X-Request-Id", "second")).header.Get("X-Request-Id"); got == "first" || got == "second" {
			t.Errorf("it is %q", got)
		}
	})

	t.Run("the API key", func(t *testing.T) {
		for path, code := range map[string]int{"/introspect": http.StatusUnauthorized, "/verify": http.StatusForbidden} {
			for _, second := range []string{apiKey, "another"} {
				req, err := http.NewRequest(http.MethodPost, w.internal.URL+path, nil)
				w.must(err)
				req.Header.Set("X-Api-Key", apiKey)
				req.Header.Set("Authorization", "Bearer "+token)
				if got := w.send(twice(req, "X-Api-Key", second)).status; got != code {
					t.Errorf("%s: %d, want %d", path, got, code)
				}
			}
		}
		req, err := http.NewRequest(http.MethodPost, w.internal.URL+"/introspect", nil)
		w.must(err)
		req.SetBasicAuth("orders", apiKey)
		if got := w.send(twice(req, "Authorization", "Bearer x")).status; got != http.StatusUnauthorized {
			t.Errorf("/introspect with two Authorization headers: %d", got)
		}
	})
}
