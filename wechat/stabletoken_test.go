package wechat_test

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"wxlogin/wechat"
	"wxlogin/wechat/wechattest"
)

func TestStableToken_gives_the_same_until_it_is_forced(t *testing.T) {
	sim, client := simulated(t, wechat.Options{})
	first, left, err := client.StableToken(t.Context(), false)
	if err != nil || left > 2*time.Hour || left < 2*time.Hour-time.Minute {
		t.Fatalf("a token for %s: %v", left, err)
	}
	again, _, err := client.StableToken(t.Context(), false)
	if err != nil || again != first {
		t.Errorf("another token: %v", err)
	}
	forced, _, err := client.StableToken(t.Context(), true)
	if err != nil || forced == first {
		t.Errorf("the same token: %v", err)
	}
	if s := sim.Stats(); s.TokenCalls != 3 || s.TokensMade != 2 {
		t.Errorf("stats %+v", s)
	}
}

// The secret is in the body of a POST, not in a URL.
func TestStableToken_request(t *testing.T) {
	for _, force := range []bool{false, true} {
		var url, method string
		var sent map[string]any
		client := newClient(t, wechat.Options{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
			url, method = r.URL.String(), r.Method
			body, _ := io.ReadAll(r.Body)
			if err := json.Unmarshal(body, &sent); err != nil {
				t.Error("the body is not JSON")
			}
			return response(http.StatusOK, `{"access_token":"a","expires_in":7200}`), nil
		})})
		if _, _, err := client.StableToken(t.Context(), force); err != nil {
			t.Fatal(err)
		}
		if sent["grant_type"] != "client_credential" || sent["appid"] != testAppID || sent["secret"] != testSecret ||
			sent["force_refresh"] != force {
			t.Error("the body is not what WeChat asks for")
		}
		if method != http.MethodPost || url != "https://api.weixin.qq.com/cgi-bin/stable_token" {
			t.Errorf("%s of another URL, or of one with parameters", method)
		}
	}
}

func TestStableToken_answers(t *testing.T) {
	for name, test := range map[string]struct {
		body string
		kind wechat.Kind
	}{
		"a_token":             {`{"access_token":"` + strings.Repeat("a", 512) + `","expires_in":7200}`, wechat.KindUnknown},
		"no_token":            {`{"expires_in":7200}`, wechat.KindUnavailable},
		"an_endless_token":    {`{"access_token":"` + strings.Repeat("a", 1025) + `","expires_in":7200}`, wechat.KindUnavailable},
		"a_token_in_two_rows": {`{"access_token":"a\nb","expires_in":7200}`, wechat.KindUnavailable},
		"no_expiry":           {`{"access_token":"a"}`, wechat.KindUnavailable},
		"a_negative_expiry":   {`{"access_token":"a","expires_in":-1}`, wechat.KindUnavailable},
		"a_year":              {`{"access_token":"a","expires_in":31536000}`, wechat.KindUnavailable},
		"bad_secret":          {`{"errcode":40125,"errmsg":"invalid appsecret"}`, wechat.KindMisconfigured},
		"daily_quota":         {`{"errcode":45009,"errmsg":"reach max api daily quota limit"}`, wechat.KindMisconfigured},
		"no_JSON":             {`<html>`, wechat.KindUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			var calls int
			client := newClient(t, wechat.Options{Transport: answering(&calls, test.body)})
			token, _, err := client.StableToken(t.Context(), false)
			if wechat.KindOf(err) != test.kind || (token == "") != (err != nil) || calls != 1 {
				t.Errorf("%v after %d calls", err, calls)
			}
			if err != nil {
				assertClean(t, err, testSecret)
			}
		})
	}
}

func TestStableToken_tells_OnCall(t *testing.T) {
	var calls []wechat.Call
	sim, client := simulated(t, wechat.Options{OnCall: func(c wechat.Call) { calls = append(calls, c) }})
	sim.FailAPI(wechattest.Tokens, wechattest.ErrCode(40125))
	client.StableToken(t.Context(), false)
	newToken(t, client)
	if len(calls) != 2 || calls[0].API != "stable_token" || calls[0].ErrCode != 40125 || calls[1].Err != nil {
		t.Errorf("calls %v", calls)
	}
	if e, ok := errors.AsType[*wechat.Error](calls[0].Err); !ok || e.RID == "" {
		t.Errorf("the call's error is %v", calls[0].Err)
	}
}
