package handlers_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"wxlogin/handlers"
	"wxlogin/session"
	"wxlogin/wechat"
	"wxlogin/wechat/wechattest"
)

// sign sends POST /sign with the key.
func (srv *testServer) sign(token, data string) internalResponse {
	srv.t.Helper()
	return srv.callInternal(http.MethodPost, "/sign", url.Values{"token": {token}, "data": {data}}.Encode(), withKey)
}

// mustSign is sign with a response that must be 200. It returns the signature.
func (srv *testServer) mustSign(token, data string) string {
	srv.t.Helper()
	var signed struct {
		Status    int
		Signature string
	}
	a := srv.sign(token, data)
	if err := json.Unmarshal([]byte(a.raw), &signed); err != nil || a.status != http.StatusOK || signed.Status != http.StatusOK {
		srv.t.Fatalf("sign: %d %s", a.status, a.body.Code)
	}
	return signed.Signature
}

// decrypt sends POST /decrypt with the key.
func (srv *testServer) decrypt(token string, d wechattest.SealedData) internalResponse {
	srv.t.Helper()
	form := url.Values{"token": {token}, "encryptedData": {d.EncryptedData}, "iv": {d.IV}}
	return srv.callInternal(http.MethodPost, "/decrypt", form.Encode(), withKey)
}

// mustDecrypt is decrypt with a response that must be 200. It returns WeChat's object.
func (srv *testServer) mustDecrypt(token string, d wechattest.SealedData) string {
	srv.t.Helper()
	var decrypted struct {
		Status int
		Data   json.RawMessage
	}
	a := srv.decrypt(token, d)
	if err := json.Unmarshal([]byte(a.raw), &decrypted); err != nil || a.status != http.StatusOK || decrypted.Status != http.StatusOK {
		srv.t.Fatalf("decrypt: %d %s", a.status, a.body.Code)
	}
	return string(decrypted.Data)
}

// sealed encrypts data under a device's current session_key.
func sealed(p *wechattest.Device, plain string) (d wechattest.SealedData) {
	d.EncryptedData, d.IV = wechattest.Seal(p.SessionKey(), []byte(plain))
	return d
}

// withoutRawData returns what POST /decrypt takes of a profile.
func withoutRawData(d wechattest.OpenData) wechattest.SealedData {
	return wechattest.SealedData{EncryptedData: d.EncryptedData, IV: d.IV}
}

const (
	signData = `{"openid": "xxx", "user_ip": "127.0.0.1", "env": 0}`
	mark     = `"watermark":{"timestamp":1637744274,"appid":"` + appID + `"}`
)

func TestSign(t *testing.T) {
	t.Run("returns WeChat's documented signature, by the key as text", func(t *testing.T) {
		srv := newTestServer(t, withAPIKey)
		alice := srv.device("alice")
		srv.login(alice)
		srv.advance(time.Second) // the next session is newer
		token, err := srv.sessions.Create(t.Context(), session.Session{AppID: appID, OpenID: alice.OpenID(), SessionKey: "9hAb/NEYUlkaMBEsmFgzig=="})
		srv.must(err)
		const want = `{"status":200,"signature":"089d9e8dc5d308977360c4b79ec600a93d736802802a807d634192328032f6c7"}` + "\n"
		if a := srv.sign(token, signData); a.status != http.StatusOK || a.raw != want {
			t.Errorf("%d %s", a.status, a.raw)
		}
	})

	t.Run("uses the newest key, whichever token is sent", func(t *testing.T) {
		srv := newTestServer(t, withTwoApps, withAPIKey)
		alice := srv.device("alice")
		pays := func(token string) bool { return alice.Pay(signData, srv.mustSign(token, signData)) }
		phone := srv.login(alice).Token
		if !pays(phone) {
			t.Error("WeChat refuses the signature after the first login")
		}
		srv.advance(time.Second)
		alice.NewSessionKey() // by wx.login on a second device
		if pays(phone) {
			t.Error("WeChat takes a signature by a key that it has replaced")
		}
		tablet := srv.login(alice).Token
		srv.advance(time.Second)
		srv.login(srv.device("bob"))
		srv.login(srv.sim.Device(otherAppID, wechattest.User{Name: "alice"}))
		for _, token := range []string{phone, tablet} {
			if !pays(token) {
				t.Error("WeChat refuses the signature after a login on a second device")
			}
		}
		srv.postForm("/logout", "token", tablet) // its key goes with it; a new login brings it back
		srv.login(alice)
		if !pays(phone) {
			t.Error("WeChat refuses the signature after another login")
		}
	})

	t.Run("takes form and JSON, of every length up to 16 KiB", func(t *testing.T) {
		srv := newTestServer(t, withAPIKey)
		alice := srv.device("alice")
		token := srv.login(alice).Token
		for _, data := range []string{"x", "a=1&b=微信+%41 😀\r\n", strings.Repeat("%", 16<<10), strings.Repeat("微", (16<<10)/3)} {
			if !alice.Pay(data, srv.mustSign(token, data)) {
				t.Errorf("WeChat refuses the signature of %d bytes", len(data))
			}
		}
		content, err := json.Marshal(map[string]string{"token": token, "data": signData})
		srv.must(err)
		req, err := http.NewRequest(http.MethodPost, srv.internal.URL+"/sign", strings.NewReader(string(content)))
		srv.must(err)
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("X-Api-Key", apiKey)
		if r := srv.do(req); !strings.Contains(r.raw, srv.mustSign(token, signData)) {
			t.Errorf("JSON: %d %s", r.status, r.raw)
		}
		for name, data := range map[string]string{"empty": "", "too long": strings.Repeat("x", 16<<10+1)} {
			a := srv.sign(token, data)
			srv.wantProblem(a.response, 400, "invalid_request", "none")
			srv.wantLogLine(a.response, map[string]any{"field": "data"})
			if !strings.HasPrefix(a.body.Detail, "data ") {
				t.Errorf("%s: %s", name, a.body.Detail)
			}
		}
	})

	t.Run("counts for no limit", func(t *testing.T) {
		srv := newTestServer(t, withAPIKey, withLimits(handlers.Limits{Updates: 1, FailedUpdates: 1}))
		alice := srv.device("alice")
		token := srv.login(alice).Token
		for range 5 {
			srv.mustSign(token, signData)
		}
		srv.mustUpdate(token, alice.GetUserInfo())
		srv.wantProblem(srv.decrypt(token, wechattest.SealedData{EncryptedData: garbage, IV: garbage}).response, 422, "undecryptable", "relogin")
		srv.mustSign(token, signData)
	})
}

func TestDecrypt(t *testing.T) {
	t.Run("returns any data of the user as WeChat sealed it", func(t *testing.T) {
		srv := newTestServer(t, withAPIKey)
		alice := srv.device("alice")
		token := srv.login(alice).Token
		before := srv.rowOf(srv.identityUser(alice))
		for _, plain := range []string{
			`{"id":18446744073709551615,"x":1.10,"e":1E400,"html":"<&>` + "\u2028" + `","cut":"\ud83d",` + mark + `}`,
			`{"openId":"` + alice.OpenID() + `",` + mark + `}`,
			`{` + mark + `}`,
		} {
			if got := srv.mustDecrypt(token, sealed(alice, plain)); got != plain {
				t.Errorf("got %s, want %s", got, plain)
			}
		}
		for want, data := range map[string]wechattest.SealedData{
			`"stepInfoList":[{`: alice.GetWeRunData(), `"openGId":"G`: alice.GetGroupEnterInfo(),
			`"openId":"` + alice.OpenID() + `","nickName":"alice"`: withoutRawData(alice.GetUserInfo()),
			`{"nickName":"alice",`:                                 withoutRawData(alice.GetUserProfile()),
			`"purePhoneNumber":"` + alice.PhoneNumber():            alice.GetPhoneNumber(),
		} {
			if got := srv.mustDecrypt(token, data); !strings.Contains(got, want) {
				t.Errorf("got %s, want %s", got, want)
			}
		}
		if after := srv.rowOf(srv.identityUser(alice)); after != before {
			t.Errorf("the user's row was %s, is %s", before, after)
		}
		if n := srv.metric(`wxlogin_decryptions_total{outcome="own_key"}`); n != "8" {
			t.Errorf("%s decryptions, want 8", n)
		}
	})

	t.Run("tries the keys of the user's other sessions", func(t *testing.T) {
		srv := newTestServer(t, withAPIKey)
		alice := srv.device("alice")
		token := srv.login(alice).Token
		data := alice.GetWeRunData()
		srv.advance(time.Second)
		alice.NewSessionKey()
		newer := srv.login(alice).Token
		srv.mustDecrypt(newer, data)
		srv.mustDecrypt(token, alice.GetWeRunData())
		if n := srv.metric(`wxlogin_decryptions_total{outcome="other_key"}`); n != "2" {
			t.Errorf("%s decryptions by another key, want 2", n)
		}
	})

	t.Run("has one response for all data that is not the user's", func(t *testing.T) {
		srv := newTestServer(t, withAPIKey, withTwoApps)
		alice, bob := srv.device("alice"), srv.device("bob")
		elsewhere := srv.sim.Device(otherAppID, wechattest.User{Name: "alice"})
		token := srv.login(alice).Token
		srv.login(bob)
		srv.login(elsewhere)
		good := alice.GetWeRunData()
		responses := make(map[string]bool)
		for name, data := range map[string]wechattest.SealedData{
			"bad padding":     {EncryptedData: good.EncryptedData[:64], IV: good.IV},
			"another iv":      {EncryptedData: good.EncryptedData, IV: garbage},
			"no JSON":         sealed(alice, "hello"),
			"two objects":     sealed(alice, `{`+mark+`}{}`),
			"no UTF-8":        sealed(alice, "{\"a\":\"\xff\","+mark+"}"),
			"no watermark":    sealed(alice, `{"a":1}`),
			"another app":     sealed(alice, strings.Replace(`{`+mark+`}`, appID, otherAppID, 1)),
			"another user":    sealed(alice, `{"openId":"`+bob.OpenID()+`",`+mark+`}`),
			"bob's data":      bob.GetWeRunData(),
			"elsewhere":       elsewhere.GetWeRunData(),
			"a cut profile":   sealed(alice, `{"openGId":"G1","avatarUrl":"",`+mark+`}`),
			"an unknown key":  {EncryptedData: garbage, IV: garbage},
			"a forged number": sealed(alice, `{"phoneNumber":"13900139000",`+mark+`}`),
		} {
			a := srv.decrypt(token, data)
			srv.wantProblem(a.response, 422, "undecryptable", "relogin")
			responses[strings.ReplaceAll(a.raw, a.body.RequestID, "")] = true
			if len(responses) != 1 {
				t.Fatalf("%s has another response than others", name)
			}
		}
	})

	t.Run("rejects malformed data, which counts as no failure", func(t *testing.T) {
		srv := newTestServer(t, withAPIKey, withLimits(handlers.Limits{FailedUpdates: 1}))
		alice := srv.device("alice")
		token := srv.login(alice).Token
		good := alice.GetWeRunData()
		for field, data := range map[string]wechattest.SealedData{
			"encryptedData": {EncryptedData: "%%", IV: good.IV}, "iv": {EncryptedData: good.EncryptedData, IV: "AAAA"},
		} {
			for _, d := range []wechattest.SealedData{data, {EncryptedData: good.EncryptedData}, {IV: good.IV}} {
				a := srv.decrypt(token, d)
				srv.wantProblem(a.response, 400, "invalid_request", "none")
				if d == data {
					srv.wantLogLine(a.response, map[string]any{"field": field})
				}
			}
		}
		srv.mustDecrypt(token, good)
	})
}

// Failed decryptions of both listeners count together, so that a service that passes data on opens no second way to try.
func TestDecryptLimit_BothListeners(t *testing.T) {
	bad := wechattest.OpenData{EncryptedData: garbage, IV: garbage}
	srv := newTestServer(t, withAPIKey, withLimits(handlers.Limits{FailedUpdates: 4}))
	p := srv.device("mallory")
	token := srv.login(p).Token
	for range 2 {
		srv.mustDecrypt(token, p.GetWeRunData()) // not counted
		srv.wantProblem(srv.decrypt(token, withoutRawData(bad)).response, 422, "undecryptable", "relogin")
		srv.wantProblem(srv.update(token, bad), 422, "undecryptable", "relogin")
	}
	for _, token := range []string{token, srv.login(p).Token} {
		srv.wantLimited(srv.decrypt(token, p.GetWeRunData()).response)
		srv.wantLimited(srv.update(token, p.GetUserInfo()))
	}
	srv.wantRefusals("failed_update_rate", "4")
	if tried := srv.metric(`wxlogin_decryptions_total{outcome="failed"}`); tried != "4" {
		t.Errorf("%s attempts were tried, want 4", tried)
	}
	bob := srv.device("bob")
	srv.mustDecrypt(srv.login(bob).Token, bob.GetWeRunData())
}

// sessionKeyForms returns a valid form of each route that needs a session_key, without the token.
func sessionKeyForms(p *wechattest.Device) map[string]url.Values {
	steps := p.GetWeRunData()
	return map[string]url.Values{
		"/sign":    {"data": {signData}},
		"/decrypt": {"encryptedData": {steps.EncryptedData}, "iv": {steps.IV}},
	}
}

func TestSessionKeyRoutes_Token(t *testing.T) {
	srv := newTestServer(t, withAPIKey)
	alice := srv.device("alice")
	token, other := srv.login(alice).Token, srv.login(alice).Token
	bearer := func(token string) header { return header{"Authorization", "Bearer " + token} }
	for path, form := range sessionKeyForms(alice) {
		call := func(field string, headers ...header) response {
			t.Helper()
			form.Set("token", field)
			return srv.callInternal(http.MethodPost, path, form.Encode(), headers...).response
		}
		for name, r := range map[string]response{
			"a field":                            call(token, withKey),
			"the header":                         call("", withKey, bearer(token)),
			"both":                               call(token, withKey, bearer(token)),
			"a field, and the key as the bearer": call(token, bearer(apiKey)),
		} {
			if r.status != http.StatusOK || r.body.Status != http.StatusOK {
				t.Errorf("%s, the token as %s: %d %s", path, name, r.status, r.body.Code)
			}
			srv.wantLogLine(r, map[string]any{"userId": srv.userID(), "appid": appID, "route": path})
		}
		srv.wantProblem(call(token, withKey, bearer(other)), 400, "invalid_request", "none")
		for _, unknown := range []string{"", "x", strings.Repeat("A", 43)} {
			srv.wantProblem(call(unknown, withKey), 401, "invalid_token", "relogin")
		}
		srv.wantProblem(call("", bearer(apiKey)), 401, "invalid_token", "relogin")
		for _, bad := range []header{{"X-Other", ""}, {"X-Api-Key", apiKey + "x"}, bearer(token)} {
			srv.wantProblem(call(token, bad), 401, "invalid_api_key", "none")
		}
		srv.wantProblem(srv.callInternal(http.MethodGet, path, "", withKey).response, 405, "method_not_allowed", "none")
	}
	srv.postForm("/logout", "token", token)
	_, err := srv.db.Exec("UPDATE users SET status = 2")
	srv.must(err)
	for path, form := range sessionKeyForms(alice) {
		for token, want := range map[string]string{token: "invalid_token", other: "user_blocked"} {
			form.Set("token", token)
			if a := srv.callInternal(http.MethodPost, path, form.Encode(), withKey); a.body.Code != want {
				t.Errorf("%s: %d %s, want %s", path, a.status, a.body.Code, want)
			}
		}
	}
	if n := srv.metric(`wxlogin_token_checks_total{outcome="blocked"}`); n != "2" {
		t.Errorf("%s checks were blocked, want 2", n)
	}
}

func TestSessionKeyRoutes_StorageUnavailable(t *testing.T) {
	for name, change := range map[string]func(*serverConfig){
		"redis": func(cfg *serverConfig) {
			cfg.session.Redis = redis.NewClient(&redis.Options{Addr: "127.0.0.1:1", MaxRetries: -1})
		},
		"mysql": func(cfg *serverConfig) { cfg.dsn = "root@tcp(127.0.0.1:1)/wxlogin" },
	} {
		t.Run(name, func(t *testing.T) {
			srv := newTestServer(t, change)
			token := strings.Repeat("A", 43)
			if name == "mysql" {
				var err error
				token, err = srv.sessions.Create(t.Context(), session.Session{AppID: appID, OpenID: "o", SessionKey: "k"})
				srv.must(err)
			}
			for path, form := range sessionKeyForms(srv.device("alice")) {
				form.Set("token", token)
				srv.wantProblem(srv.callInternal(http.MethodPost, path, form.Encode()).response, 503, "storage_unavailable", "retry")
			}
		})
	}
}

// Responses have what was asked for and no key; the log has neither what was sent nor what was returned.
func TestSessionKeyRoutes_Leaks(t *testing.T) {
	srv := newTestServer(t, withAPIKey)
	alice := srv.device("alice")
	token := srv.login(alice).Token
	signature := srv.mustSign(token, signData)
	srv.sign(token, strings.Repeat(signData, 400))
	steps, profile := alice.GetWeRunData(), withoutRawData(alice.GetUserInfo())
	opened := srv.mustDecrypt(token, steps)
	srv.mustDecrypt(token, profile)
	bad := sealed(alice, `{"stepInfoList":[]}`)
	srv.decrypt(token, bad)
	srv.decrypt(token, wechattest.SealedData{EncryptedData: bad.EncryptedData[1:], IV: bad.IV})

	for _, text := range []string{srv.responses.String(), srv.logs.String(), srv.getInternal("/metrics"), fmt.Sprint(srv.redis.Dump(t))} {
		wantNo(t, "what leaves the server", text, "a session_key", alice.SessionKey())
	}
	wantNo(t, "the log", srv.logs.String(), "a token or key", token, apiKey)
	wantNo(t, "the log", srv.logs.String(), "what was sent", signData, "user_ip", steps.EncryptedData, steps.IV, bad.EncryptedData[1:], bad.IV)
	wantNo(t, "the log", srv.logs.String(), "what was returned", signature, opened, "stepInfoList", "alice", alice.OpenID())
	if signature == wechat.SignData("", signData) {
		t.Error("it is signed with an empty key")
	}
}
