package wechat_test

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"wxlogin/wechat"
	"wxlogin/wechat/wechattest"
)

func TestClient_Code2Session(t *testing.T) {
	t.Run("exchanges a code", func(t *testing.T) {
		sim, client := startSimulator(t, wechat.Options{})
		phone := sim.Device(testAppID, wechattest.User{Name: "alice", UnionID: "ocMvos6NjeKLIBqg5Mr9QjxrP1FA"})
		got, err := client.Code2Session(t.Context(), phone.Login())
		if err != nil {
			t.Fatal(err)
		}
		want := wechat.Session{OpenID: phone.OpenID(), UnionID: "ocMvos6NjeKLIBqg5Mr9QjxrP1FA", SessionKey: wechat.Secret(phone.SessionKey())}
		if got != want {
			t.Errorf("got %v, want %v, or the keys differ", got, want)
		}
	})

	// A login must not depend on the access_token's quota: Code2Session is one request to one path.
	t.Run("makes one call and fetches no access token", func(t *testing.T) {
		sim, client := startSimulator(t, wechat.Options{})
		phone := sim.Device(testAppID, wechattest.User{Name: "alice"})
		if _, err := client.Code2Session(t.Context(), phone.Login()); err != nil {
			t.Fatal(err)
		}
		if s := sim.Stats(); s.Calls != 1 || s.Exchanged != 1 || s.Others+s.TokenCalls+s.PhoneCalls != 0 {
			t.Errorf("stats %+v, want one exchange and nothing else", s)
		}
	})

	t.Run("sends a GET with a query", func(t *testing.T) {
		codes := map[string]string{
			"an ordinary code":               testCode,
			"a code that injects parameters": "x&appid=wxevil&secret=evil#?%00",
			"a code with plus and space":     "a+b c%2B",
			"a code in another script":       "码",
		}
		for name, code := range codes {
			t.Run(name, func(t *testing.T) {
				var got *http.Request
				var body []byte
				server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					got = r.Clone(r.Context())
					body, _ = io.ReadAll(r.Body)
					io.WriteString(w, goodResponse)
				}))
				defer server.Close()
				client := newClient(t, wechat.Options{BaseURL: server.URL + "/"})
				if _, err := client.Code2Session(t.Context(), code); err != nil {
					t.Fatal(err)
				}
				want := url.Values{"appid": {testAppID}, "secret": {testSecret}, "js_code": {code}, "grant_type": {"authorization_code"}}
				if got.Method != http.MethodGet || got.URL.Path != "/sns/jscode2session" || got.URL.RawQuery != want.Encode() {
					t.Error("WeChat got another request")
				}
				if len(body) != 0 || got.ContentLength != 0 || len(got.TransferEncoding) != 0 {
					t.Error("the request had a body")
				}
			})
		}
	})

	t.Run("refuses an invalid code without a call", func(t *testing.T) {
		codes := map[string]string{
			"an empty code":      "",
			"a blank code":       " \t\n",
			"the mock code":      wechat.MockCode,
			"a code of any size": strings.Repeat("x", 513),
		}
		for name, code := range codes {
			t.Run(name, func(t *testing.T) {
				var calls int
				client := newClient(t, wechat.Options{Transport: cannedResponses(&calls, goodResponse)})
				_, err := client.Code2Session(t.Context(), code)
				if wechat.KindOf(err) != wechat.KindInvalidCode || calls != 0 {
					t.Errorf("%v after %d calls", err, calls)
				}
			})
		}
	})

	t.Run("is safe for concurrent use", func(t *testing.T) {
		var mu sync.Mutex
		var reported int
		sim, client := startSimulator(t, wechat.Options{OnCall: func(wechat.Call) { mu.Lock(); reported++; mu.Unlock() }})
		var group sync.WaitGroup
		for _, name := range []string{"a", "b", "c", "d", "e", "f", "g", "h"} {
			group.Go(func() {
				phone := sim.Device(testAppID, wechattest.User{Name: name})
				for range 20 {
					s, err := client.Code2Session(t.Context(), phone.Login())
					if err != nil || s.OpenID != phone.OpenID() {
						t.Errorf("got %v, %v", s, err)
					}
				}
			})
		}
		group.Wait()
		if s := sim.Stats(); s.Exchanged != 160 || s.Calls != 160 || reported != 160 {
			t.Errorf("stats %+v, %d calls reported, want 160", s, reported)
		}
	})
}

func TestClient_Code2SessionResponses(t *testing.T) {
	tests := map[string]struct {
		body string
		want wechat.Session
	}{
		"as documented": {goodResponse, wechat.Session{OpenID: "oGZUI0egBJY1zhBYw2KhdUfwVJJE", SessionKey: testKey}},
		"with errcode 0 and expires in": {
			`{"errcode":0,"errmsg":"ok","expires_in":7200,"session_key":"tiihtNczf5v6AKRyjwEUhQ==","openid":"o-_1"}`,
			wechat.Session{OpenID: "o-_1", SessionKey: testKey},
		},
		"with escaped slashes": {
			`{"session_key":"\/\/ihtNczf5v6AKRyjwEUhQ==","openid":"o1","unionid":"o2"}`,
			wechat.Session{OpenID: "o1", UnionID: "o2", SessionKey: "//ihtNczf5v6AKRyjwEUhQ=="},
		},
		"with errcode 0 as a text": {
			`{"errcode":"0","errmsg":{},"session_key":"tiihtNczf5v6AKRyjwEUhQ==","openid":"o1"}`,
			wechat.Session{OpenID: "o1", SessionKey: testKey},
		},
		"with other fields that are odd": {
			"\ufeff\n{\"errcode\":null,\"errmsg\":\"o\nk\xff\",\"expires_in\":{},\"unionid\":[1],\"session_key\":\"tiihtNczf5v6AKRyjwEUhQ==\",\"openid\":\"o1\"}\n",
			wechat.Session{OpenID: "o1", SessionKey: testKey},
		},
		"with a unionid that is none": {
			`{"session_key":"tiihtNczf5v6AKRyjwEUhQ==","openid":"o1","unionid":"\u0000"}`, wechat.Session{OpenID: "o1", SessionKey: testKey},
		},
		"with a unionid with a broken end": {
			"{\"session_key\":\"tiihtNczf5v6AKRyjwEUhQ==\",\"openid\":\"o1\",\"unionid\":\"o2\xff\"}", wechat.Session{OpenID: "o1", SessionKey: testKey},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var calls int
			got, err := newClient(t, wechat.Options{Transport: cannedResponses(&calls, test.body)}).Code2Session(t.Context(), testCode)
			if err != nil || got != test.want {
				t.Errorf("got %v, %v; want %v", got, err, test.want)
			}
		})
	}
}

// A call with an unreadable response may have spent the code, so it is not repeated. A response without a required
// field has spent it.
func TestClient_Code2SessionInvalidResponses(t *testing.T) {
	tests := map[string]struct {
		status int
		body   string
		kind   wechat.Kind
	}{
		"nothing":                     {200, "", wechat.KindUnavailable},
		"html":                        {200, "<html></html>", wechat.KindUnavailable},
		"half a response":             {200, goodResponse[:40], wechat.KindUnavailable},
		"data after the response":     {200, goodResponse + "x", wechat.KindUnavailable},
		"null":                        {200, "null", wechat.KindUnavailable},
		"a list":                      {200, "[]", wechat.KindUnavailable},
		"an empty object":             {200, "{}", wechat.KindUnusable},
		"no openid":                   {200, `{"session_key":"tiihtNczf5v6AKRyjwEUhQ=="}`, wechat.KindUnusable},
		"an openid of other letters":  {200, `{"session_key":"tiihtNczf5v6AKRyjwEUhQ==","openid":"o'; --"}`, wechat.KindUnusable},
		"an openid without end":       {200, `{"session_key":"tiihtNczf5v6AKRyjwEUhQ==","openid":"` + strings.Repeat("o", 65) + `"}`, wechat.KindUnusable},
		"an openid with a line end":   {200, "{\"session_key\":\"tiihtNczf5v6AKRyjwEUhQ==\",\"openid\":\"o1\n\"}", wechat.KindUnusable},
		"an openid with a broken end": {200, "{\"session_key\":\"tiihtNczf5v6AKRyjwEUhQ==\",\"openid\":\"o1\xff\"}", wechat.KindUnusable},
		"an openid as a number":       {200, `{"session_key":"tiihtNczf5v6AKRyjwEUhQ==","openid":1}`, wechat.KindUnusable},
		"two openids":                 {200, `{"session_key":"tiihtNczf5v6AKRyjwEUhQ==","openid":"o1","openid":"o2"}`, wechat.KindUnusable},
		"two openids in other cases":  {200, `{"session_key":"tiihtNczf5v6AKRyjwEUhQ==","openid":"o1","OpenId":"o2"}`, wechat.KindUnusable},
		"no session key":              {200, `{"openid":"o1"}`, wechat.KindUnusable},
		"a session key that is null":  {200, `{"session_key":null,"openid":"o1"}`, wechat.KindUnusable},
		"a session key in an object":  {200, `{"session_key":{"a":"tiihtNczf5v6AKRyjwEUhQ=="},"openid":"o1"}`, wechat.KindUnusable},
		"a session key that is short": {200, `{"session_key":"AAAA","openid":"o1"}`, wechat.KindUnusable},
		"a session key of 17 bytes":   {200, `{"session_key":"AAAAAAAAAAAAAAAAAAAAAAA=","openid":"o1"}`, wechat.KindUnusable},
		"a session key not base64":    {200, `{"session_key":"!!!!!!!!!!!!!!!!!!!!!!==","openid":"o1"}`, wechat.KindUnusable},
		"an errcode that is a word":   {200, `{"errcode":"x"}`, wechat.KindUnusable},
		"too much":                    {200, `{"openid":"` + strings.Repeat("o", 64<<10) + `"}`, wechat.KindUnavailable},
		"blanks without end":          {200, goodResponse + strings.Repeat(" ", 64<<10), wechat.KindUnavailable},
		"bad gateway":                 {502, "<html>502</html>", wechat.KindUnavailable},
		"bad gateway with a response": {502, goodResponse, wechat.KindUnavailable},
		"a redirect":                  {302, "", wechat.KindUnavailable},
		"no content":                  {204, "", wechat.KindUnavailable},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var calls int
			client := newClient(t, wechat.Options{Transport: roundTrip(func(*http.Request) (*http.Response, error) {
				calls++
				resp := response(test.status, test.body)
				resp.Header.Set("Location", "https://elsewhere.example/")
				return resp, nil
			})})
			_, err := client.Code2Session(t.Context(), testCode)
			if wechat.KindOf(err) != test.kind || calls != 1 {
				t.Errorf("%v (%s) after %d calls, want %s", err, wechat.KindOf(err), calls, test.kind)
			}
		})
	}
}

func TestOptions_OnCall(t *testing.T) {
	t.Run("is called for every attempt", func(t *testing.T) {
		var got []wechat.Call
		sim, client := startSimulator(t, wechat.Options{OnCall: func(c wechat.Call) { got = append(got, c) }})
		phone := sim.Device(testAppID, wechattest.User{Name: "alice"})
		sim.Fail(wechattest.Busy)
		if _, err := client.Code2Session(t.Context(), phone.Login()); err != nil {
			t.Fatal(err)
		}
		if len(got) != 2 || got[0].ErrCode != -1 || wechat.KindOf(got[0].Err) != wechat.KindUnavailable ||
			got[1].ErrCode != 0 || got[1].Err != nil {
			t.Errorf("reported %+v", got)
		}
		for _, c := range got {
			if c.API != "jscode2session" || c.Duration <= 0 {
				t.Errorf("reported %+v", c)
			}
		}
	})

	t.Run("is called for StableToken", func(t *testing.T) {
		var calls []wechat.Call
		sim, client := startSimulator(t, wechat.Options{OnCall: func(c wechat.Call) { calls = append(calls, c) }})
		sim.FailAPI(wechattest.Tokens, wechattest.ErrCode(40125))
		client.StableToken(t.Context(), false)
		newToken(t, client)
		if len(calls) != 2 || calls[0].API != "stable_token" || calls[0].ErrCode != 40125 || calls[1].Err != nil {
			t.Errorf("calls %v", calls)
		}
		if e, ok := errors.AsType[*wechat.Error](calls[0].Err); !ok || e.RID == "" {
			t.Errorf("the call's error is %v", calls[0].Err)
		}
	})
}

func TestClient_StableToken(t *testing.T) {
	t.Run("returns the same token until it is forced", func(t *testing.T) {
		sim, client := startSimulator(t, wechat.Options{})
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
	})

	// The secret is in the body of a POST, not in a URL.
	t.Run("sends a POST", func(t *testing.T) {
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
	})

	t.Run("reads responses", func(t *testing.T) {
		for name, test := range map[string]struct {
			body string
			kind wechat.Kind
		}{
			"a token":             {`{"access_token":"` + strings.Repeat("a", 512) + `","expires_in":7200}`, wechat.KindUnknown},
			"no token":            {`{"expires_in":7200}`, wechat.KindUnavailable},
			"an endless token":    {`{"access_token":"` + strings.Repeat("a", 1025) + `","expires_in":7200}`, wechat.KindUnavailable},
			"a token in two rows": {`{"access_token":"a\nb","expires_in":7200}`, wechat.KindUnavailable},
			"no expiry":           {`{"access_token":"a"}`, wechat.KindUnavailable},
			"a negative expiry":   {`{"access_token":"a","expires_in":-1}`, wechat.KindUnavailable},
			"a year":              {`{"access_token":"a","expires_in":31536000}`, wechat.KindUnavailable},
			"bad secret":          {`{"errcode":40125,"errmsg":"invalid appsecret"}`, wechat.KindMisconfigured},
			"daily quota":         {`{"errcode":45009,"errmsg":"reach max api daily quota limit"}`, wechat.KindMisconfigured},
			"no JSON":             {`<html>`, wechat.KindUnavailable},
		} {
			t.Run(name, func(t *testing.T) {
				var calls int
				client := newClient(t, wechat.Options{Transport: cannedResponses(&calls, test.body)})
				token, _, err := client.StableToken(t.Context(), false)
				if wechat.KindOf(err) != test.kind || (token == "") != (err != nil) || calls != 1 {
					t.Errorf("%v after %d calls", err, calls)
				}
				if err != nil {
					assertClean(t, err, testSecret)
				}
			})
		}
	})
}
