package handlers_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// cannedWeChat is an http.RoundTripper that returns these bodies by path.
type cannedWeChat map[string]string

func (a cannedWeChat) RoundTrip(r *http.Request) (*http.Response, error) {
	res := httptest.NewRecorder()
	res.WriteString(a[r.URL.Path])
	return res.Result(), nil
}

const (
	loginPath = "/sns/jscode2session"
	phonePath = "/wxa/business/getuserphonenumber"

	cannedSessionKey = "tiihtNczf5v6AKRyjwEUhQ=="
	cannedOpenID     = "oGZUI0egBJY1zhBYw2KhdUfwVJJE"
	cannedLogin      = `{"openid":"` + cannedOpenID + `","session_key":"` + cannedSessionKey + `"}`
)

// withResponses replaces WeChat. For a phone number, an access_token is needed too.
func withResponses(a cannedWeChat) func(*serverConfig) {
	return func(cfg *serverConfig) { cfg.wechat.Transport = a }
}

// errorLines returns the log lines at level error.
func (srv *testServer) errorLines() (lines []map[string]any) {
	srv.t.Helper()
	for text := range strings.Lines(srv.logs.String()) {
		var line map[string]any
		if json.Unmarshal([]byte(text), &line) == nil && line["level"] == "ERROR" {
			lines = append(lines, line)
		}
	}
	return lines
}

// If WeChat's response to a code lacks a required field, the code is spent and cannot be used again.
func TestOnLogin_UnusableResponses(t *testing.T) {
	for name, test := range map[string]struct{ answer, missing string }{
		"nothing":               {`{}`, "openid, session_key"},
		"an errcode of 0 alone": {`{"errcode":0,"errmsg":"ok"}`, "openid, session_key"},
		"no openid":             {`{"session_key":"` + cannedSessionKey + `"}`, "openid"},
		"an openid as a number": {`{"openid":12,"session_key":"` + cannedSessionKey + `"}`, "openid"},
		"no session_key":        {`{"openid":"` + cannedOpenID + `"}`, "session_key"},
		"a short session_key":   {`{"openid":"` + cannedOpenID + `","session_key":"AAAA"}`, "session_key"},
		"a session_key as null": {`{"openid":"` + cannedOpenID + `","session_key":null}`, "session_key"},
	} {
		t.Run(name, func(t *testing.T) {
			srv := newTestServer(t, withResponses(cannedWeChat{loginPath: test.answer}))
			r := srv.postForm("/onLogin", "code", "0a1b2c3d4e5f")
			srv.wantProblem(r, 400, "invalid_code", "relogin")
			if r.header.Get("Retry-After") != "" {
				t.Error("Retry-After is set, but the code cannot be used again")
			}
			srv.wantUsers("0", "0")
			srv.wantKeys(0)
			lines := srv.errorLines()
			if len(lines) != 1 || lines[0]["cause"] != "wechat: jscode2session: unusable response: no usable "+test.missing {
				t.Errorf("error lines: %v", lines)
			}
			for _, value := range []string{cannedSessionKey, cannedOpenID, "0a1b2c3d4e5f"} {
				if strings.Contains(srv.logs.String()+r.raw, value) {
					t.Error("a value of WeChat's response, or the code, is in the log or the response")
				}
			}
			if n := srv.metric(`wxlogin_logins_total{outcome="unusable_answer"}`); n != "1" {
				t.Errorf("%s logins with an unusable response, want 1", n)
			}
			if n := srv.metric(`wxlogin_wechat_calls_total{api="jscode2session",errcode="unusable"}`); n != "1" {
				t.Errorf("%s calls with an unusable response, want 1", n)
			}
		})
	}
}

// An unreadable response may come from a gateway in between, so the code may still be valid.
func TestOnLogin_UnreadableResponses(t *testing.T) {
	for name, answer := range map[string]string{"a page": "<html>", "half an answer": cannedLogin[:40], "nothing": ""} {
		t.Run(name, func(t *testing.T) {
			srv := newTestServer(t, withResponses(cannedWeChat{loginPath: answer}))
			srv.wantProblem(srv.postForm("/onLogin", "code", "c"), 503, "wechat_unavailable", "retry")
			srv.wantUsers("0", "0")
		})
	}
}

func TestOnLogin_UnusualResponses(t *testing.T) {
	srv := newTestServer(t, withResponses(cannedWeChat{loginPath: "\ufeff{\"errcode\":\"0\",\"errmsg\":\"\n\xff\",\"unionid\":{}," + cannedLogin[1:]}))
	if r := srv.postForm("/onLogin", "code", "c"); r.status != http.StatusOK || r.body.Token == "" {
		t.Errorf("got %d %s", r.status, r.body.Code)
	}
	srv.wantUsers("1", "1")
}

func TestOnLogin_ErrCodes(t *testing.T) {
	for answer, want := range map[string][2]string{
		`{"errcode":"40029"}`: {"invalid_code", "relogin"},
		`{"errcode":40013}`:   {"misconfigured", "none"},
		`{"errcode":61024}`:   {"misconfigured", "none"},
		`{"errcode":89503}`:   {"misconfigured", "none"},
		`{"errcode":77777}`:   {"misconfigured", "none"},
		`{"errcode":-1000}`:   {"wechat_unavailable", "retry"},
	} {
		srv := newTestServer(t, withResponses(cannedWeChat{loginPath: answer}))
		status := 503
		if want[0] == "invalid_code" {
			status = 400
		}
		srv.wantProblem(srv.postForm("/onLogin", "code", "c"), status, want[0], want[1])
	}
}

func TestBindPhone_UnusableResponses(t *testing.T) {
	const number = "13800138000"
	for name, test := range map[string]struct{ answer, missing string }{
		"no phone_info":         {`{"errcode":0}`, "purePhoneNumber, countryCode"},
		"no country code":       {`{"phone_info":{"phoneNumber":"+86` + number + `","purePhoneNumber":"` + number + `"}}`, "countryCode"},
		"no number":             {`{"phone_info":{"countryCode":"86"}}`, "purePhoneNumber"},
		"a number of no digits": {`{"phone_info":{"countryCode":"86","purePhoneNumber":"` + number[:5] + `****"}}`, "purePhoneNumber"},
	} {
		t.Run(name, func(t *testing.T) {
			srv := newTestServer(t, withResponses(cannedWeChat{
				loginPath: cannedLogin, phonePath: test.answer, "/cgi-bin/stable_token": `{"access_token":"a","expires_in":"7200"}`,
			}))
			token := srv.postForm("/onLogin", "code", "c").body.Token
			r := srv.postForm("/bindPhone", "token", token, "code", "c")
			srv.wantProblem(r, 400, "invalid_code", "relogin")
			if got := srv.queryText("SELECT COUNT(*) FROM users WHERE phone_number <> ''"); got != "0" {
				t.Error("a number was stored")
			}
			lines := srv.errorLines()
			want := "wechat: getuserphonenumber: unusable response: no usable " + test.missing
			if len(lines) != 1 || lines[0]["cause"] != want || strings.Contains(srv.logs.String(), number[:5]) {
				t.Errorf("error lines: %v", lines)
			}
			if n := srv.metric(`wxlogin_wechat_calls_total{api="getuserphonenumber",errcode="unusable"}`); n != "1" {
				t.Errorf("%s calls with an unusable response, want 1", n)
			}
		})
	}
}
