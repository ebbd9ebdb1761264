package handlers_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"wxlogin/handlers"
	"wxlogin/wechat/push"
	"wxlogin/wechat/wechattest"
)

const phoneNumber = "13800138000"

// leakTest drives a testServer and records every secret that went in or came out.
type leakTest struct {
	*testServer
	alice, bob *wechattest.Device
	unionID    string
	codes      []string
	tokens     []string
	keys       []string // session_keys

	accessTokens []string
}

// code returns a new code of Alice's.
func (h *leakTest) code() string {
	code := h.alice.Login()
	h.codes = append(h.codes, code)
	h.keys = append(h.keys, h.alice.SessionKey())
	return code
}

// token returns a valid token or, if logins fail in this state of the server, one of the same form.
func (h *leakTest) token() string {
	r := h.postForm("/onLogin", "code", h.code())
	token := r.body.Token
	if r.status != http.StatusOK {
		token = strings.Repeat(fmt.Sprint(len(h.tokens)%10), 42) + "A"
	}
	h.tokens = append(h.tokens, token)
	return token
}

// logins provokes every response of /onLogin.
func (h *leakTest) logins() {
	spent := h.code()
	for range 2 {
		h.postForm("/onLogin", "code", spent)
	}
	for _, fault := range []wechattest.Fault{
		wechattest.Dropped, wechattest.DroppedAfter, wechattest.BadGateway, wechattest.BrokenJSON, wechattest.Blocked,
		wechattest.RateLimited, wechattest.ErrCode(40013), wechattest.ErrCode(40125), wechattest.ErrCode(40164), wechattest.ErrCode(99999),
	} {
		h.sim.Fail(fault)
		h.postForm("/onLogin", "code", h.code())
	}
	h.sim.Fail(wechattest.Busy, wechattest.Busy, wechattest.Busy)
	h.postForm("/onLogin", "code", h.code())
	h.postForm("/onLogin", "code", h.code()+"&appid="+otherAppID)
	h.postForm("/onLogin", "code", h.code(), "appid", h.token())
}

// updates provokes every response of /updateUserInfo.
func (h *leakTest) updates() {
	token := h.token()
	h.update(token, h.alice.GetUserInfo())
	for _, data := range undecryptable(h.alice, h.bob) {
		h.update(token, data)
	}
	phoneData, iv := wechattest.Seal(h.alice.SessionKey(), []byte(`{"phoneNumber":"`+phoneNumber+`","purePhoneNumber":"`+phoneNumber+
		`","countryCode":"86","watermark":{"timestamp":1,"appid":"`+appID+`"}}`))
	h.update(token, wechattest.OpenData{EncryptedData: phoneData, IV: iv})
	h.alice.NewSessionKey()
	h.keys = append(h.keys, h.alice.SessionKey())
	h.update(token, h.alice.GetUserInfo())
	h.postForm("/updateUserInfo", "token", token, "encryptedData", token)
	h.postForm("/updateUserInfo", "token", token+"x", "encryptedData", "x", "iv", "x")
}

// phoneNumbers provokes the responses of /bindPhone, with a code and with encrypted data.
func (h *leakTest) phoneNumbers() {
	phoneCode := func() string {
		code := h.alice.PhoneCode()
		h.codes = append(h.codes, code)
		return code
	}
	token, spent := h.token(), phoneCode()
	for range 2 {
		h.postForm("/bindPhone", "token", token, "code", spent)
	}
	h.postForm("/bindPhone", "token", h.token(), "code", h.bob.PhoneCode())
	for _, fault := range []wechattest.Fault{wechattest.DroppedAfter, wechattest.BrokenJSON, wechattest.ErrCode(40001), wechattest.ErrCode(99999)} {
		h.sim.FailAPI(wechattest.PhoneNumbers, fault)
		h.postForm("/bindPhone", "token", h.token(), "code", phoneCode())
	}
	h.sim.FailAPI(wechattest.Tokens, wechattest.ErrCode(40125), wechattest.Dropped)
	for range 2 {
		h.postForm("/bindPhone", "token", h.token(), "code", phoneCode())
	}
	token = h.token()
	h.bindPhone(token, h.alice.GetPhoneNumber())
	h.bindPhone(token, h.bob.GetPhoneNumber())
}

// personal provokes the responses of the routes for a person's data, on both listeners, and those to WeChat's pushes.
func (h *leakTest) personal() {
	token := h.token()
	h.bindPhone(token, h.alice.GetPhoneNumber())
	h.myData(token)
	h.myData(token + "x")
	h.postForm("/unbindPhone", "token", token)
	h.bindPhone(token, h.alice.GetPhoneNumber())
	h.postForm("/deleteAccount", "token", token, "confirm", token)
	h.getPush(appID, pushedQuery(h.clock.Now(), "e"))
	h.getPush(appID+token, pushedQuery(h.clock.Now(), token))
	another := push.Options{Token: "another", EncodingAESKey: pushKey}
	for _, tt := range personalEvents {
		for _, p := range []*wechattest.Device{h.alice, h.bob} {
			h.pushEvent(safeMode, p, tt.event)
			h.pushEvent(plainMode, p, tt.event)
			h.pushEvent(another, p, tt.event)
			h.wechatEvent(string(p.Message(tt.event)))
		}
	}
	h.pushEvent(safeMode, h.alice, wechattest.Event{Name: "user_enter_tempsession"})
	h.callInternal(http.MethodPost, "/wechatEvent", string(h.alice.Message(personalEvents[0].event)))
	h.deleteUser("1", "r")
	h.deleteUser(token, "r")
	h.callInternal(http.MethodDelete, "/users/1", "reason=r", header{"X-Api-Key", apiKey + "x"})
	token = h.token()
	h.deleteAccount(token)
	h.deleteAccount(token)
}

// directory provokes the responses of the internal routes about users.
func (h *leakTest) directory() {
	token := h.token()
	h.bindPhone(token, h.alice.GetPhoneNumber())
	for _, path := range []string{
		"/users/1", "/users/" + token, "/users?id=1", "/users?id=" + token, "/users?phone=86" + h.alice.PhoneNumber(), "/users?phone=" + token,
		"/users?externalId=" + token, "/users?token=" + token, "/changes", "/changes?after=" + token, "/changes?limit=1&token=" + token,
	} {
		h.get(path)
		h.callInternal(http.MethodGet, path, "", header{"X-Api-Key", token})
	}
	for _, path := range []string{"/users/1/status", "/users/1/externalId", "/users/" + token + "/status", "/users/" + token + "/externalId"} {
		h.put(path, url.Values{"status": {token}, "externalId": {token + " "}, "reason": {token}})
		h.putJSON(path, `{"status":["`+token+`"],"externalId":["`+token+`"]}`)
		h.put(path+"?token="+token, url.Values{"status": {"disabled"}, "externalId": {"crm-1"}})
		h.put(path, url.Values{"status": {"active"}, "externalId": {"crm-2"}})
		h.callInternal(http.MethodDelete, path, "", header{"X-Api-Key", token})
		h.callInternal(http.MethodDelete, path, "", withKey)
	}
}

// sessionKeys provokes the responses of the internal routes that need a session_key.
func (h *leakTest) sessionKeys() {
	token := h.token()
	for _, data := range []string{token, strings.Repeat(token, 400), ""} {
		h.sign(token, data)
		h.sign(token+"x", data)
	}
	for _, d := range []wechattest.SealedData{
		h.alice.GetWeRunData(), h.alice.GetGroupEnterInfo(), h.bob.GetWeRunData(), h.bob.GetPhoneNumber(), withoutRawData(h.alice.GetUserProfile()),
		{EncryptedData: token, IV: token}, {EncryptedData: garbage, IV: garbage},
	} {
		h.decrypt(token, d)
		h.decrypt(token+"x", d)
	}
	for path, form := range sessionKeyForms(h.alice) {
		form.Set("token", token)
		h.callInternal(http.MethodPost, path, form.Encode(), header{"X-Api-Key", apiKey + "x"})
		h.callInternal(http.MethodPost, path+"?token="+token, form.Encode(), withKey, header{"Authorization", "Bearer " + h.token()})
	}
}

// accessToken returns the current access_token or, if there is none in this state of the server, one of the same form.
func (h *leakTest) accessToken() string {
	token := h.getAccessToken("").token
	if token == "" {
		token = strings.Repeat(fmt.Sprint(len(h.accessTokens)%10), 136)
	}
	h.accessTokens = append(h.accessTokens, token)
	return token
}

// refusals provokes every response of /accessToken, with access_tokens also in places where they do not belong.
func (h *leakTest) refusals() {
	for _, fault := range []wechattest.Fault{
		"", wechattest.DroppedAfter, wechattest.BrokenJSON, wechattest.RateLimited, wechattest.ErrCode(40125), wechattest.ErrCode(45009),
	} {
		refused := h.accessToken()
		if fault != "" {
			h.sim.FailAPI(wechattest.Tokens, fault)
		}
		h.postAccessToken("refused", refused)
		h.advance(time.Minute)
	}
	token := h.accessToken()
	for _, query := range []string{"?refused=" + token, "?appid=" + token, "?appid=" + token + "&appid=x", "?%zz" + token, "/" + token} {
		h.getAccessToken(query)
	}
	h.postAccessToken("refused", token, "appid", token)
	for _, form := range []string{"refused=" + token + "&refused=x", token + "=x", "refused=%zz" + token, `{"refused":"` + token + `"}`} {
		h.callInternal(http.MethodPost, "/accessToken", form, withKey)
	}
	h.callInternal(http.MethodPost, "/accessToken", "refused="+token, header{"X-Api-Key", token})
	h.callInternal(http.MethodDelete, "/accessToken?refused="+token, "", withKey)
	h.accessToken()
}

// misuse sends secrets to every route in places where they do not belong.
func (h *leakTest) misuse() {
	for _, path := range []string{
		"/onLogin", "/updateUserInfo", "/bindPhone", "/userInfo", "/logout", "/deleteAccount", "/unbindPhone", "/myData",
		"/wechatPush/" + appID, "/nowhere",
	} {
		code, token := h.code(), h.token()
		form := url.Values{"code": {code}, "token": {token}, "encryptedData": {token}, "iv": {code}, "appid": {appID}}.Encode()
		for contentType, body := range map[string]string{
			"text/plain": form, formType: form + "&code=" + code, formType + ";": "%zz" + token, "application/json": `{"code":"` + code + `","token":["` + token + `"]`,
			"application/json; x=y": `{"code":{"a":"` + code + `"},"token":7}`, "multipart/form-data; boundary=x": token,
			"application/x-www-form-urlencoded; charset=utf-8": form + "&filler=" + strings.Repeat("x", 70_000),
		} {
			h.do(h.request(path, contentType, body))
		}
		req := h.request(path+"?code="+code+"&token="+token, formType, form)
		req.Header.Set("Authorization", "Bearer "+token)
		req.Header.Set("Referer", "https://example.com/?token="+token)
		h.do(req)
		req, err := http.NewRequest(http.MethodPut, h.public.URL+path+"/"+token+"/"+code, nil)
		h.must(err)
		h.do(req)
	}
	h.getUserInfo("?token="+h.token(), "Bearer "+h.token())
	h.updateManually(h.token(), "nickName", h.token(), "avatarUrl", "http://tmp/"+h.token())
	h.postForm("/logout", "token", h.token())
	h.postForm("/logout", "token", h.token(), "everywhere", "true")
}

// wantNo checks that a text contains none of these secrets, neither plain nor URL-encoded. It does not print them.
func wantNo(t *testing.T, where, text, kind string, secrets ...string) {
	t.Helper()
	for _, s := range secrets {
		if strings.Contains(text, s) || strings.Contains(text, url.QueryEscape(s)) {
			t.Errorf("%s contains a secret: %s", where, kind)
			return
		}
	}
}

// report searches everything that left the server. A token may be in the response of the login that created it, a phone
// number in those of /myData and /users, an openid and a unionid in that of /users, an access_token in that of /accessToken.
func (h *leakTest) report(t *testing.T) {
	t.Helper()
	answers := h.responses.String()
	for _, token := range h.tokens {
		answers = strings.Replace(answers, `"token":"`+token+`"`, "", 1)
	}
	for _, token := range h.accessTokens {
		answers = strings.ReplaceAll(answers, `{"access_token":"`+token+`"`, "")
	}
	for _, number := range []string{phoneNumber, h.alice.PhoneNumber()} {
		answers = strings.ReplaceAll(answers, `"phoneNumber":"+86`+number+`"`, "")
	}
	for _, id := range []string{h.alice.OpenID(), h.bob.OpenID(), h.unionID} {
		for _, field := range []string{"openid", "unionid"} {
			answers = strings.ReplaceAll(answers, `"`+field+`":"`+id+`"`, "")
		}
	}
	places := map[string]string{
		"answers": answers, "log": h.logs.String(), "metrics": h.getInternal("/metrics"), "readiness": h.getInternal("/readyz"),
		"Redis": fmt.Sprint(h.redis.Dump(t)),
	}
	for where, text := range places {
		wantNo(t, where, text, "an AppSecret", secret, otherSecret)
		wantNo(t, where, text, "a code", h.codes...)
		wantNo(t, where, text, "a token", h.tokens...)
		wantNo(t, where, text, "a session_key", h.keys...)
		wantNo(t, where, text, "a phone number", phoneNumber, h.alice.PhoneNumber(), h.bob.PhoneNumber())
		wantNo(t, where, text, "an access_token", append(h.sim.AccessTokens(appID), h.accessTokens...)...)
		wantNo(t, where, text, "a key of pushes or of the internal listener", pushToken, pushKey, apiKey)
	}
	wantNo(t, "log", places["log"], "an openid or unionid", h.alice.OpenID(), h.bob.OpenID(), h.unionID)
	wantNo(t, "answers", answers, "an openid or unionid", h.alice.OpenID(), h.bob.OpenID(), h.unionID)
	if len(answers) < 10_000 || len(places["log"]) < 10_000 {
		t.Errorf("only %d bytes of responses and %d of log", len(answers), len(places["log"]))
	}
}

// TestLeaks provokes every route and every failure in each state of the server, and then finds no secret anywhere.
func TestLeaks(t *testing.T) {
	for name, change := range map[string]func(*serverConfig){
		"healthy": func(*serverConfig) {},
		"redis down": func(cfg *serverConfig) {
			cfg.session.Redis = redis.NewClient(&redis.Options{Addr: "127.0.0.1:1", MaxRetries: -1, DialerRetries: 1})
		},
		"mysql down": func(cfg *serverConfig) { cfg.dsn = "root:" + secret + "@tcp(127.0.0.1:1)/wxlogin" },
		"wechat down": func(cfg *serverConfig) {
			cfg.wechat.BaseURL, cfg.wechat.Timeout = "http://127.0.0.1:1", 50*time.Millisecond // no time for a second attempt
		},
		"panic": func(cfg *serverConfig) {
			cfg.wrapApp = func(e handlers.CodeExchanger) handlers.CodeExchanger { return panickingWeChat{e} }
		},
		"limits": func(cfg *serverConfig) {
			cfg.limits = handlers.Limits{LoginsInFlight: 1, Logins: 12, Updates: 3, FailedUpdates: 2}
		},
	} {
		t.Run(name, func(t *testing.T) {
			down := func(cfg *serverConfig) { cfg.pushForward = "http://127.0.0.1:1/" }
			h := &leakTest{testServer: newTestServer(t, withTwoApps, withAPIKey, withAccessTokens, withPush(safeMode), down, change)}
			h.alice, h.bob, h.unionID = h.device("alice"), h.device("bob"), "ocMvos6NjeKLIBqg5Mr9QjxrP1FA"
			h.alice.SetUnionID(h.unionID)
			h.logins()
			h.updates()
			h.phoneNumbers()
			h.directory()
			h.personal()
			h.sessionKeys()
			h.refusals()
			h.misuse()
			h.report(t)
		})
	}
}
