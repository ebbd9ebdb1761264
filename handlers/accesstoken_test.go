package handlers_test

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"wxlogin/handlers"
	"wxlogin/wechat"
	"wxlogin/wechat/accesstoken"
	"wxlogin/wechat/wechattest"
)

func withAccessTokens(cfg *serverConfig) { cfg.accessTokens = true }

// accessTokens returns the caches of all apps' access_tokens, nil without withAccessTokens.
func (srv *testServer) accessTokens(cfg serverConfig, clients handlers.PhoneNumbers) map[string]handlers.AccessTokens {
	srv.t.Helper()
	if !cfg.accessTokens {
		return nil
	}
	caches := make(map[string]handlers.AccessTokens)
	for id, client := range clients.(phoneNumbers) {
		cache, err := accesstoken.New(accesstoken.Options{
			Redis: cfg.session.Redis, KeyPrefix: cfg.session.KeyPrefix, AppID: id, Secret: wechat.Secret(cfg.apps[id]), Fetch: client.StableToken,
			MaxWait: time.Minute, // the machine may be busy
		})
		srv.must(err)
		caches[id] = cache
	}
	return caches
}

// accessTokenResponse is a response of /accessToken.
type accessTokenResponse struct {
	response
	token string // "" if it is an error
}

// callAccessToken sends a request and checks what holds for each response.
func (srv *testServer) callAccessToken(method, query, form string, headers ...header) accessTokenResponse {
	srv.t.Helper()
	a := srv.callInternal(method, "/accessToken"+query, form, headers...)
	if a.status != http.StatusOK {
		return accessTokenResponse{response: a.response}
	}
	token, _ := a.active["access_token"].(string)
	seconds, _ := a.active["expires_in"].(float64)
	if token == "" || seconds <= 0 || seconds > 7200 || a.raw != fmt.Sprintf(`{"access_token":"%s","expires_in":%d}`+"\n", token, int(seconds)) {
		srv.t.Errorf("a token of %d bytes for %v s, %d fields", len(token), seconds, len(a.active))
	}
	return accessTokenResponse{a.response, token}
}

// getAccessToken sends GET /accessToken with the key.
func (srv *testServer) getAccessToken(query string) accessTokenResponse {
	srv.t.Helper()
	return srv.callAccessToken(http.MethodGet, query, "", withKey)
}

// postAccessToken sends POST /accessToken with the key and fields, names and values in turn.
func (srv *testServer) postAccessToken(fields ...string) accessTokenResponse {
	srv.t.Helper()
	values := url.Values{}
	for i := 0; i < len(fields); i += 2 {
		values.Set(fields[i], fields[i+1])
	}
	return srv.callAccessToken(http.MethodPost, "", values.Encode(), withKey)
}

// wantTokenCalls checks the numbers of calls of stable_token and of tokens it made.
func (srv *testServer) wantTokenCalls(calls, made int) {
	srv.t.Helper()
	if s := srv.sim.Stats(); s.TokenCalls != calls || s.TokensMade != made {
		srv.t.Errorf("%d calls of stable_token made %d tokens, want %d and %d", s.TokenCalls, s.TokensMade, calls, made)
	}
}

func TestAccessToken_Get(t *testing.T) {
	srv := newTestServer(t, withTwoApps, withAPIKey, withAccessTokens)
	first := srv.getAccessToken("").token
	for _, query := range []string{"", "?appid=", "?appid=" + appID} {
		if got := srv.getAccessToken(query).token; got != first || got != srv.sim.AccessTokens(appID)[0] {
			t.Errorf("%q: another token", query)
		}
	}
	srv.wantTokenCalls(1, 1)
	r := srv.getAccessToken("?appid=" + otherAppID)
	if r.token != srv.sim.AccessTokens(otherAppID)[0] {
		t.Error("not the other app's token")
	}
	srv.wantLogLine(r.response, map[string]any{"appid": otherAppID, "route": "/accessToken"})
	srv.wantTokenCalls(2, 2)

	srv.advance(2 * time.Hour)
	if srv.getAccessToken("").token == first {
		t.Error("a token that has ended")
	}
	srv.wantTokenCalls(3, 3)
}

func TestAccessToken_Post(t *testing.T) {
	t.Run("replaces the current token once a minute", func(t *testing.T) {
		srv := newTestServer(t, withAPIKey, withAccessTokens)
		old := srv.getAccessToken("").token
		next := srv.postAccessToken("refused", old).token
		if next == old || next != srv.sim.AccessTokens(appID)[0] {
			t.Error("the old token, or not WeChat's")
		}
		srv.wantTokenCalls(3, 2)
		for _, refused := range []string{old, next, "x"} { // replaced before, replaced a moment ago, and never known
			if got := srv.postAccessToken("refused", refused, "appid", appID).token; got != next {
				t.Error("not the current token")
			}
		}
		srv.wantTokenCalls(4, 2) // WeChat confirmed the current token
		srv.advance(time.Minute)
		if got := srv.postAccessToken("refused", old).token; got != next {
			t.Error("not the current token")
		}
		srv.wantTokenCalls(4, 2)
		if got := srv.postAccessToken("refused", next).token; got == next {
			t.Error("the current token is not replaced after a minute")
		}
		srv.wantTokenCalls(6, 3)
	})

	t.Run("takes JSON", func(t *testing.T) {
		srv := newTestServer(t, withTwoApps, withAPIKey, withAccessTokens)
		old := srv.getAccessToken("?appid=" + otherAppID).token
		body := fmt.Sprintf(`{"appid":%q,"refused":%q}`, otherAppID, old)
		next := srv.callAccessToken(http.MethodPost, "", body, withKey, header{"Content-Type", "application/json"}).token
		if next == old || next != srv.sim.AccessTokens(otherAppID)[0] || len(srv.sim.AccessTokens(appID)) != 0 {
			t.Error("the old token, or not the other app's")
		}
	})

	// After the 18 refreshes of the day, the current token is returned, and WeChat keeps it.
	t.Run("returns the current token once the limit of the day is reached", func(t *testing.T) {
		srv := newTestServer(t, withAPIKey, withAccessTokens)
		token := srv.getAccessToken("").token
		for n := range 20 {
			next := srv.postAccessToken("refused", token).token
			if replaced := next != token; replaced != (n < 18) {
				t.Fatalf("request %d: replaced %v", n, replaced)
			}
			token = next
			srv.advance(time.Minute)
		}
		srv.wantTokenCalls(1+2*18+2, 19)
	})

	t.Run("many at the same time replace it once", func(t *testing.T) {
		srv := newTestServer(t, withAPIKey, withAccessTokens)
		old := srv.getAccessToken("").token
		for range 2 { // the second time within the same minute, with the new token
			tokens := make([]string, 50)
			var group sync.WaitGroup
			for i := range tokens {
				group.Go(func() { tokens[i] = srv.postAccessToken("refused", old).token })
			}
			group.Wait()
			old = tokens[0]
			if len(slices.Compact(tokens)) != 1 || old == "" {
				t.Error("different tokens, or none")
			}
		}
		srv.wantTokenCalls(4, 2)
	})
}

func TestAccessToken_Invalid(t *testing.T) {
	srv := newTestServer(t, withAPIKey, withAccessTokens)
	post := func(contentType, body string) accessTokenResponse {
		return srv.callAccessToken(http.MethodPost, "", body, withKey, header{"Content-Type", contentType})
	}
	for name, test := range map[string]struct {
		got    accessTokenResponse
		detail string
	}{
		"unknown app":           {srv.getAccessToken("?appid=" + otherAppID), "appid"},
		"appid twice":           {srv.getAccessToken("?appid=" + appID + "&appid=" + appID), "appid"},
		"malformed query":       {srv.getAccessToken("?appid=%zz"), "query"},
		"post, unknown app":     {srv.postAccessToken("refused", "x", "appid", otherAppID), "appid"},
		"post, no token":        {srv.postAccessToken("appid", appID), "refused is required"},
		"post, empty token":     {post(formType, "refused="), "refused is required"},
		"post, not a string":    {post("application/json", `{"refused":7}`), "refused must be a string"},
		"post, token twice":     {post(formType, "refused=a&refused=b"), "twice"},
		"post, token in query":  {srv.callAccessToken(http.MethodPost, "?refused=x", "appid="+appID, withKey), "refused is required"},
		"post, unreadable JSON": {post("application/json", `["refused"]`), "not a JSON object"},
	} {
		srv.wantProblem(test.got.response, 400, "invalid_request", "none")
		if !strings.Contains(test.got.body.Detail, test.detail) {
			t.Errorf("%s: detail is %q", name, test.got.body.Detail)
		}
	}
	srv.wantProblem(post("text/plain", "refused=x").response, 415, "unsupported_media_type", "none")
	r := srv.callAccessToken(http.MethodDelete, "", "", withKey)
	srv.wantProblem(r.response, 405, "method_not_allowed", "none")
	if allow := r.header["Allow"]; !slices.Equal(allow, []string{"GET", "POST"}) {
		t.Errorf("Allow is %q", allow)
	}
	srv.wantTokenCalls(0, 0)
}

func TestAccessToken_Errors(t *testing.T) {
	t.Run("WeChat", func(t *testing.T) {
		srv := newTestServer(t, withAPIKey, withAccessTokens)
		for _, test := range []struct {
			fault  wechattest.Fault
			status int
			code   string
			action string
		}{
			{wechattest.Dropped, 503, "wechat_unavailable", "retry"},
			{wechattest.BrokenJSON, 503, "wechat_unavailable", "retry"},
			{wechattest.ErrCode(40164), 503, "misconfigured", "none"},
			{wechattest.RateLimited, 429, "rate_limited", "retry"},
		} {
			srv.sim.FailAPI(wechattest.Tokens, test.fault, test.fault)
			srv.wantProblem(srv.getAccessToken("").response, test.status, test.code, test.action)
			srv.wantProblem(srv.postAccessToken("refused", "x").response, test.status, test.code, test.action)
		}
		srv.wantNoKeys()
		token := srv.getAccessToken("").token
		srv.sim.FailAPI(wechattest.Tokens, wechattest.Dropped)
		srv.wantProblem(srv.postAccessToken("refused", token).response, 503, "wechat_unavailable", "retry")
		if srv.postAccessToken("refused", token).token == token {
			t.Error("the error before counts as a refresh")
		}
	})

	t.Run("Redis", func(t *testing.T) {
		srv := newTestServer(t, withAPIKey, withAccessTokens, func(cfg *serverConfig) {
			cfg.session.Redis = redis.NewClient(&redis.Options{Addr: "127.0.0.1:1", MaxRetries: -1, DialerRetries: 1})
		})
		srv.wantProblem(srv.getAccessToken("").response, 503, "storage_unavailable", "retry")
		srv.wantProblem(srv.postAccessToken("refused", "x").response, 503, "storage_unavailable", "retry")
		srv.wantTokenCalls(0, 0)
	})
}

func TestAccessToken_APIKey(t *testing.T) {
	for name, changes := range map[string][]func(*serverConfig){"a key": {withAPIKey}, "no key": nil} {
		t.Run(name+" is configured", func(t *testing.T) {
			srv := newTestServer(t, append(changes, withAccessTokens)...)
			for _, h := range []header{{"X-Other", ""}, {"X-Api-Key", ""}, {"X-Api-Key", apiKey + "x"}, {"Authorization", "Bearer x"}} {
				srv.wantProblem(srv.callAccessToken(http.MethodGet, "", "", h).response, 401, "invalid_api_key", "none")
				srv.wantProblem(srv.callAccessToken(http.MethodPost, "", "refused=x", h).response, 401, "invalid_api_key", "none")
			}
			if name == "no key" {
				srv.wantProblem(srv.getAccessToken("").response, 401, "invalid_api_key", "none")
			}
			srv.wantTokenCalls(0, 0)
		})
	}
}

func TestAccessToken_Off(t *testing.T) {
	srv := newTestServer(t, withAPIKey)
	srv.wantProblem(srv.getAccessToken("").response, 404, "not_found", "none")
	srv.wantProblem(srv.postAccessToken("refused", "x").response, 404, "not_found", "none")

	srv = newTestServer(t, withAPIKey, withAccessTokens)
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		req, err := http.NewRequest(method, srv.public.URL+"/accessToken", nil)
		srv.must(err)
		req.Header.Set("X-Api-Key", apiKey)
		srv.wantProblem(srv.do(req), 404, "not_found", "none")
	}
	srv.wantTokenCalls(0, 0)
}
