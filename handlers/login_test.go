package handlers_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"testing"

	"wxlogin/wechat/wechattest"
)

// decode decodes a response.
func decode(t testing.TB, res *http.Response) (b body) {
	t.Helper()
	if err := json.NewDecoder(res.Body).Decode(&b); err != nil {
		t.Error(err)
	}
	return b
}

func TestOnLogin(t *testing.T) {
	t.Run("returns a token and the user", func(t *testing.T) {
		srv := newTestServer(t)
		p := srv.device("alice")

		first := srv.postForm("/onLogin", "code", p.Login())
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
		srv.must(json.Unmarshal([]byte(first.raw), &top))
		want := []string{"expiresIn", "isNewUser", "phoneNumber", "profileComplete", "status", "token", "userInfo"}
		if got := keys(top); !slices.Equal(got, want) {
			t.Errorf("the response has %v, want %v", got, want)
		}

		srv.mustUpdate(first.body.Token, p.GetUserInfo())
		again := srv.login(p)
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
			if got := srv.metric(series); got != want {
				t.Errorf("%s is %q, want %s", series, got, want)
			}
		}
	})

	t.Run("accepts JSON", func(t *testing.T) {
		srv := newTestServer(t)
		content := fmt.Sprintf(`{"code":%q,"appid":null,"extra":{"a":[1]}}`, srv.device("alice").Login())
		if r := srv.do(srv.request("/onLogin", "application/json; charset=utf-8", content)); r.status != http.StatusOK {
			t.Errorf("%d %s", r.status, r.raw)
		}
	})

	t.Run("serves several apps", func(t *testing.T) {
		srv := newTestServer(t, withTwoApps)
		other := srv.sim.Device(otherAppID, wechattest.User{Name: "alice"})
		srv.login(other)
		if got := srv.queryText("SELECT appid FROM wechat_identities"); got != otherAppID {
			t.Errorf("the identity is of %s", got)
		}
		if r := srv.postForm("/onLogin", "code", srv.device("bob").Login()); r.status != http.StatusOK {
			t.Errorf("without an appid: %d, want the first app", r.status)
		}
		srv.wantProblem(srv.postForm("/onLogin", "code", srv.device("bob").Login(), "appid", "wxunknown"), 400, "invalid_request", "none")
		srv.wantProblem(srv.postForm("/onLogin", "code", other.Login(), "appid", appID), 400, "invalid_code", "relogin")
	})
}

func keys(m map[string]any) []string {
	var names []string
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func TestOnLogin_WeChatErrors(t *testing.T) {
	tests := map[string]struct {
		fault  wechattest.Fault
		status int
		code   string
		action string
	}{
		"busy":            {wechattest.Busy, 503, "wechat_unavailable", "retry"},
		"html 502":        {wechattest.BadGateway, 503, "wechat_unavailable", "retry"},
		"broken json":     {wechattest.BrokenJSON, 503, "wechat_unavailable", "retry"},
		"dropped":         {wechattest.Dropped, 503, "wechat_unavailable", "retry"},
		"rate limited":    {wechattest.RateLimited, 429, "rate_limited", "retry"},
		"blocked":         {wechattest.Blocked, 403, "user_blocked", "none"},
		"invalid code":    {wechattest.ErrCode(40029), 400, "invalid_code", "relogin"},
		"used code":       {wechattest.ErrCode(40163), 400, "invalid_code", "relogin"},
		"invalid appid":   {wechattest.ErrCode(40013), 503, "misconfigured", "none"},
		"invalid secret":  {wechattest.ErrCode(40125), 503, "misconfigured", "none"},
		"ip not listed":   {wechattest.ErrCode(40164), 503, "misconfigured", "none"},
		"frozen":          {wechattest.ErrCode(40243), 503, "misconfigured", "none"},
		"malformed call":  {wechattest.ErrCode(41002), 503, "misconfigured", "none"},
		"unauthorized":    {wechattest.ErrCode(48001), 503, "misconfigured", "none"},
		"unknown errcode": {wechattest.ErrCode(99999), 503, "misconfigured", "none"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			srv := newTestServer(t)
			srv.sim.Fail(slices.Repeat([]wechattest.Fault{tt.fault}, 9)...)
			srv.wantProblem(srv.postForm("/onLogin", "code", srv.device("alice").Login()), tt.status, tt.code, tt.action)
			srv.wantUsers("0", "0")
			srv.wantNoKeys()
			if got := srv.metric(`wxlogin_logins_total{outcome="` + tt.code + `"}`); got != "1" {
				t.Errorf("%q logins of this outcome, want 1", got)
			}
		})
	}
}
