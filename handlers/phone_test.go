package handlers_test

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"wxlogin/handlers"
	"wxlogin/wechat"
	"wxlogin/wechat/wechattest"
)

// phoneNumbers gets phone numbers by appid. Each call gets a new access_token.
type phoneNumbers map[string]*wechat.Client

func (p phoneNumbers) PhoneNumber(ctx context.Context, appID, openID, code string) (wechat.PhoneNumber, error) {
	token, _, err := p[appID].StableToken(ctx, false)
	if err != nil {
		return wechat.PhoneNumber{}, err
	}
	return p[appID].PhoneNumber(ctx, token, openID, code)
}

// bindPhone sends what the phone button returned before it returned codes.
func (srv *testServer) bindPhone(token string, d wechattest.SealedData) response {
	srv.t.Helper()
	return srv.postForm("/bindPhone", "token", token, "encryptedData", d.EncryptedData, "iv", d.IV)
}

// storedPhone reads the phone number of an identity from the database, or "" if there is none.
func (srv *testServer) storedPhone(p *wechattest.Device) string {
	srv.t.Helper()
	return srv.queryText("SELECT CONCAT('+', u.phone_country_code, u.phone_number) "+
		"FROM users u JOIN wechat_identities i ON i.user_id = u.id WHERE i.appid = ? AND i.openid = ?", p.AppID(), p.OpenID())
}

// wantBound checks that the response has the masked number and the database the whole number.
func (srv *testServer) wantBound(r response, p *wechattest.Device, countryCode, masked string) {
	srv.t.Helper()
	if r.status != http.StatusOK || r.body.PhoneNumber != masked || r.body.CountryCode != countryCode {
		srv.t.Errorf("got %d %s", r.status, r.body.Code)
	}
	if srv.storedPhone(p) != "+"+countryCode+p.PhoneNumber() {
		srv.t.Error("the database has another number, or none")
	}
	for _, text := range []string{r.raw, srv.logs.String()} {
		if strings.Contains(text, p.PhoneNumber()) {
			srv.t.Error("the whole number is in the response or in the log")
		}
	}
}

func TestBindPhone(t *testing.T) {
	t.Run("stores the number of a code and of encrypted data", func(t *testing.T) {
		srv := newTestServer(t)
		for _, test := range []struct {
			user                wechattest.User
			countryCode, masked string
		}{
			{wechattest.User{Name: "alice", PhoneNumber: "13812345678"}, "86", "138****5678"},
			{wechattest.User{Name: "mei", PhoneNumber: "51234567", CountryCode: "852"}, "852", "******67"},
		} {
			p := srv.sim.Device(appID, test.user)
			token := srv.login(p).Token
			srv.wantBound(srv.postForm("/bindPhone", "token", token, "code", p.PhoneCode()), p, test.countryCode, test.masked)
		}
		for _, test := range []struct {
			user                wechattest.User
			countryCode, masked string
		}{
			{wechattest.User{Name: "bob", PhoneNumber: "13987654321"}, "86", "139****4321"},
			{wechattest.User{Name: "mei", PhoneNumber: "59876543"}, "852", "******43"}, // replaces the number above
		} {
			p := srv.sim.Device(appID, test.user)
			token := srv.login(p).Token
			srv.wantBound(srv.bindPhone(token, p.GetPhoneNumber()), p, test.countryCode, test.masked)
		}
	})

	// The phone button returns both a code and encrypted data. The code is used.
	t.Run("prefers the code to encrypted data", func(t *testing.T) {
		srv := newTestServer(t)
		p := srv.device("alice")
		token := srv.login(p).Token
		code, data := p.PhoneCode(), p.GetPhoneNumber()
		r := srv.postForm("/bindPhone", "token", token, "code", code, "encryptedData", data.EncryptedData, "iv", data.IV)
		if s := srv.sim.Stats(); r.status != http.StatusOK || s.PhoneCalls != 1 {
			t.Errorf("%d, with %d calls", r.status, s.PhoneCalls)
		}
		r = srv.postForm("/bindPhone", "token", token, "code", code, "encryptedData", data.EncryptedData, "iv", data.IV)
		srv.wantProblem(r, 400, "invalid_code", "relogin")
	})

	t.Run("decrypts with the key of another session", func(t *testing.T) {
		srv := newTestServer(t)
		p := srv.device("alice")
		old := srv.login(p).Token
		p.NewSessionKey()
		srv.login(p)
		if r := srv.bindPhone(old, p.GetPhoneNumber()); r.status != http.StatusOK || srv.storedPhone(p) == "" {
			t.Errorf("got %d %s", r.status, r.body.Code)
		}
		if n := srv.metric(`wxlogin_decryptions_total{outcome="other_key"}`); n != "1" {
			t.Errorf("%s decryptions by another key, want 1", n)
		}
	})

	t.Run("counts towards the limit of updates", func(t *testing.T) {
		srv := newTestServer(t, func(cfg *serverConfig) { cfg.limits = handlers.Limits{Updates: 2} })
		p := srv.device("alice")
		token := srv.login(p).Token
		srv.mustUpdate(token, p.GetUserInfo())
		if r := srv.postForm("/bindPhone", "token", token, "code", p.PhoneCode()); r.status != http.StatusOK {
			t.Fatalf("got %d", r.status)
		}
		srv.wantProblem(srv.postForm("/bindPhone", "token", token, "code", p.PhoneCode()), 429, "rate_limited", "retry")
		if n := srv.sim.Stats().PhoneCalls; n != 1 {
			t.Errorf("%d calls of WeChat, want 1", n)
		}
	})

	t.Run("rejects a disabled user before the code is spent", func(t *testing.T) {
		srv := newTestServer(t)
		p := srv.device("alice")
		token := srv.login(p).Token
		if _, err := srv.db.Exec("UPDATE users SET status = 2"); err != nil {
			t.Fatal(err)
		}
		code := p.PhoneCode()
		for range 2 {
			srv.wantProblem(srv.postForm("/bindPhone", "token", token, "code", code), 403, "user_blocked", "none")
		}
		srv.wantProblem(srv.bindPhone(token, p.GetPhoneNumber()), 403, "user_blocked", "none")
		if n := srv.sim.Stats().PhoneCalls; srv.storedPhone(p) != "" || n != 0 {
			t.Errorf("the number was stored, or WeChat called: %d calls", n)
		}
		if n := srv.metric(`wxlogin_decryptions_total{outcome="own_key"}`); n != "" {
			t.Errorf("%s decryptions", n)
		}
	})

	t.Run("does not exist without PhoneNumbers", func(t *testing.T) {
		srv := newTestServer(t, func(cfg *serverConfig) { cfg.noPhoneNumbers = true })
		srv.wantProblem(srv.postForm("/bindPhone", "token", "x", "code", "c"), 404, "not_found", "none")
	})
}

func TestBindPhone_Undecryptable(t *testing.T) {
	srv := newTestServer(t, func(cfg *serverConfig) { cfg.limits = handlers.Limits{FailedUpdates: 8} })
	p, stranger := srv.device("alice"), srv.device("bob")
	token := srv.login(p).Token
	good := p.GetPhoneNumber()
	sealed := func(plain string) wechattest.SealedData {
		data, iv := wechattest.Seal(p.SessionKey(), []byte(plain))
		return wechattest.SealedData{EncryptedData: data, IV: iv}
	}
	const one = `{"phoneNumber":"1","purePhoneNumber":"1","countryCode":"1"`
	profile := p.GetUserInfo()
	var detail string
	for name, data := range map[string]wechattest.SealedData{
		"other iv":       {EncryptedData: good.EncryptedData, IV: garbage},
		"bad padding":    {EncryptedData: good.EncryptedData[:64], IV: good.IV},
		"no json":        sealed("13800138000"),
		"a profile":      {EncryptedData: profile.EncryptedData, IV: profile.IV},
		"no watermark":   sealed(one + `}`),
		"other app":      sealed(one + `,"watermark":{"timestamp":1,"appid":"` + otherAppID + `"}}`),
		"no number":      sealed(`{"phoneNumber":"","watermark":{"timestamp":1,"appid":"` + appID + `"}}`),
		"strangers data": stranger.GetPhoneNumber(),
	} {
		r := srv.bindPhone(token, data)
		srv.wantProblem(r, 422, "undecryptable", "relogin")
		if detail != "" && r.body.Detail != detail {
			t.Errorf("%s has a different response", name)
		}
		detail = r.body.Detail
	}
	srv.wantProblem(srv.bindPhone(token, good), 429, "rate_limited", "retry")
	srv.wantProblem(srv.update(token, profile), 429, "rate_limited", "retry") // profiles share the limit
	if srv.storedPhone(p) != "" || srv.sim.Stats().PhoneCalls != 0 {
		t.Error("a number was stored, or WeChat called")
	}
}

func TestBindPhone_Errors(t *testing.T) {
	srv := newTestServer(t, withTwoApps)
	p, bob, elsewhere := srv.device("alice"), srv.device("bob"), srv.sim.Device(otherAppID, wechattest.User{Name: "alice"})
	token := srv.login(p).Token
	spent := p.PhoneCode()
	srv.postForm("/bindPhone", "token", srv.login(p).Token, "code", spent)
	fail := func(f wechattest.Fault) []wechattest.Fault { return []wechattest.Fault{f} }
	with := func(code string) []string { return []string{"token", token, "code", code} }
	for name, test := range map[string]struct {
		fields []string
		faults []wechattest.Fault
		status int
		code   string
		action string
	}{
		"no token":           {[]string{"code", "c"}, nil, 401, "invalid_token", "relogin"},
		"unknown token":      {[]string{"token", strings.Repeat("A", 43), "code", "c"}, nil, 401, "invalid_token", "relogin"},
		"nothing":            {[]string{"token", token}, nil, 400, "invalid_request", "none"},
		"only an iv":         {[]string{"token", token, "iv", "x"}, nil, 400, "invalid_request", "none"},
		"long code":          {with(strings.Repeat("c", 129)), nil, 400, "invalid_request", "none"},
		"spent code":         {with(spent), nil, 400, "invalid_code", "relogin"},
		"another users code": {with(bob.PhoneCode()), nil, 400, "invalid_code", "relogin"},
		"another apps code":  {with(elsewhere.PhoneCode()), nil, 400, "invalid_code", "relogin"},
		"code of wx.login":   {with(p.Login()), nil, 400, "invalid_code", "relogin"},
		"lost":               {with(p.PhoneCode()), fail(wechattest.Dropped), 503, "wechat_unavailable", "retry"},
		"unreadable":         {with(p.PhoneCode()), fail(wechattest.BrokenJSON), 503, "wechat_unavailable", "retry"},
		"token refused":      {with(p.PhoneCode()), fail(wechattest.ErrCode(40001)), 503, "misconfigured", "none"},
		"not allowed":        {with(p.PhoneCode()), fail(wechattest.ErrCode(48001)), 503, "misconfigured", "none"},
		"quota":              {with(p.PhoneCode()), fail(wechattest.RateLimited), 429, "rate_limited", "retry"},
	} {
		t.Run(name, func(t *testing.T) {
			srv.t = t
			srv.sim.FailAPI(wechattest.PhoneNumbers, test.faults...)
			srv.wantProblem(srv.postForm("/bindPhone", test.fields...), test.status, test.code, test.action)
		})
	}
}

// Every response about a user has the masked phone number, so that clients do not ask for it again.
func TestPhoneNumber_InResponses(t *testing.T) {
	srv := newTestServer(t, withTwoApps)
	const number = "13812345678"
	alice := wechattest.User{Name: "alice", UnionID: "o6_bmasdasdsad6_2sgVt7hMZOPfL", PhoneNumber: number}
	phone, other := srv.sim.Device(appID, alice), srv.sim.Device(otherAppID, alice)
	check := func(t *testing.T, phone *wechattest.Device, want string) {
		t.Helper()
		token := srv.login(phone).Token
		for route, r := range map[string]response{
			"/onLogin":        srv.postForm("/onLogin", "code", phone.Login(), "appid", phone.AppID()),
			"/updateUserInfo": srv.update(token, phone.GetUserInfo()),
			"typed":           srv.updateManually(token, "nickName", "Alice"),
			"/uploadAvatar":   srv.upload(token, pictureFiles(t)["png"]),
			"/userInfo":       srv.getUserInfo("", "Bearer "+token),
		} {
			if r.status != http.StatusOK || !strings.Contains(r.raw, `"phoneNumber":"`+want+`"`) {
				t.Errorf("%s: %d %s without phoneNumber %q", route, r.status, r.body.Code, want)
			}
			if strings.Contains(r.raw, number) {
				t.Errorf("%s shows the whole number", route)
			}
		}
	}
	t.Run("none is bound", func(t *testing.T) { check(t, phone, "") })
	srv.wantBound(srv.postForm("/bindPhone", "token", srv.login(phone).Token, "code", phone.PhoneCode()), phone, "86", "138****5678")
	t.Run("one is bound", func(t *testing.T) { check(t, phone, "138****5678") })
	t.Run("in another mini-program of the same person", func(t *testing.T) { check(t, other, "138****5678") })
}
