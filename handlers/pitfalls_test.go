package handlers_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"wxlogin/handlers"
	"wxlogin/session"
	"wxlogin/wechat"
	"wxlogin/wechat/wechattest"
)

// TestPitfalls has the 16 known pitfalls of login servers for mini-programs, each tested through the whole server.
func TestPitfalls(t *testing.T) {
	for _, pitfall := range []struct {
		name string
		test func(*testing.T)
	}{
		{"session_key_race", testSessionKeyRace},
		{"base64_damaged_in_transit", testDamagedBase64},
		{"code_used_twice", testCodeUsedTwice},
		{"login_without_access_token", testNoAccessToken},
		{"one_user_in_two_mini_programs", testOneUserInTwoApps},
		{"profile_of_another_user", testProfileOfAnotherUser},
		{"emoji", testEmoji},
		{"placeholder_overwrites_profile", testPlaceholderOverwritesProfile},
		{"temporary_avatar_stored", testTemporaryAvatar},
		{"data_without_openid", testDataWithoutOpenID},
		{"sessions_on_two_devices", testConcurrentSessions},
		{"concurrent_first_logins", testConcurrentFirstLogins},
		{"secret_in_errors", testSecretInErrors},
		{"decryption_oracle", testDecryptionOracle},
		{"slow_wechat", testSlowWeChat},
		{"session_key_leak", testSessionKeyLeak},
	} {
		t.Run(pitfall.name, pitfall.test)
	}
}

func testSessionKeyRace(t *testing.T) {
	t.Run("older token newer key", func(t *testing.T) {
		srv := newTestServer(t)
		p := srv.device("alice")
		older := srv.login(p).Token
		p.NewSessionKey()
		srv.login(p)
		if got := srv.mustUpdate(older, p.GetUserProfile()).UserInfo["nickName"]; got != "alice" {
			t.Errorf("nickName is %v", got)
		}
		if got := srv.metric(`wxlogin_decryptions_total{outcome="other_key"}`); got != "1" {
			t.Errorf("%s decryptions by another session's key, want 1", got)
		}
	})
	t.Run("newer token older key", func(t *testing.T) {
		srv := newTestServer(t)
		p := srv.device("alice")
		srv.login(p)
		data := p.GetUserInfo()
		p.NewSessionKey()
		newer := srv.login(p).Token
		if got := srv.mustUpdate(newer, data).UserInfo["nickName"]; got != "alice" {
			t.Errorf("nickName is %v", got)
		}
	})
	t.Run("double tap gives two tokens that both work", func(t *testing.T) {
		srv := newTestServer(t)
		p := srv.device("alice")
		first, second := srv.login(p).Token, srv.login(p).Token
		data := p.GetUserInfo()
		srv.mustUpdate(first, data)
		srv.mustUpdate(second, data)
		if got := srv.metric(`wxlogin_decryptions_total{outcome="own_key"}`); got != "2" {
			t.Errorf("%s decryptions by the session's own key, want 2", got)
		}
	})
	t.Run("data overtakes the login of its key", func(t *testing.T) {
		ring := &hookedSessions{}
		srv := newTestServer(t, func(cfg *serverConfig) {
			cfg.wrapSessions = func(s handlers.Sessions) handlers.Sessions { ring.Sessions = s; return ring }
		})
		p := srv.device("alice")
		older := srv.login(p).Token
		p.NewSessionKey()
		ring.afterFirstCall = func() { srv.login(p) } // another page's login completes before the retry
		if got := srv.mustUpdate(older, p.GetUserProfile()).UserInfo["nickName"]; got != "alice" {
			t.Errorf("nickName is %v", got)
		}
	})
	t.Run("another users key is not tried", func(t *testing.T) {
		srv := newTestServer(t)
		alice, bob := srv.device("alice"), srv.device("bob")
		token := srv.login(alice).Token
		srv.login(bob)
		srv.wantProblem(srv.update(token, bob.GetUserProfile()), 422, "undecryptable", "relogin")
		if got := srv.nickname(appID, alice.OpenID()); got != "" {
			t.Errorf("Alice is called %s", got)
		}
	})
}

// hookedSessions calls a function after the first call of OtherSessionKeys.
type hookedSessions struct {
	handlers.Sessions
	once           sync.Once
	afterFirstCall func()
}

func (i *hookedSessions) OtherSessionKeys(ctx context.Context, sess session.Session) ([]string, error) {
	keys, err := i.Sessions.OtherSessionKeys(ctx, sess)
	i.once.Do(i.afterFirstCall)
	return keys, err
}

func testCodeUsedTwice(t *testing.T) {
	t.Run("second use is refused with relogin", func(t *testing.T) {
		srv := newTestServer(t)
		code := srv.device("alice").Login()
		if r := srv.postForm("/onLogin", "code", code); r.status != http.StatusOK {
			t.Fatal(r.status)
		}
		srv.wantProblem(srv.postForm("/onLogin", "code", code), 400, "invalid_code", "relogin")
		srv.wantUsers("1", "1")
	})
	t.Run("an exchange that may have arrived is not repeated", func(t *testing.T) {
		srv := newTestServer(t)
		p := srv.device("alice")
		srv.login(p) // a connection that is reused
		before := srv.sim.Calls()
		srv.sim.Fail(wechattest.DroppedAfter)
		srv.wantProblem(srv.postForm("/onLogin", "code", p.Login()), 503, "wechat_unavailable", "retry")
		if got := srv.sim.Calls() - before; got != 1 {
			t.Errorf("%d exchanges, want 1", got)
		}
	})
	t.Run("busy is tried again within the request", func(t *testing.T) {
		srv := newTestServer(t)
		srv.sim.Fail(wechattest.Busy)
		srv.login(srv.device("alice"))
	})
}

func testNoAccessToken(t *testing.T) {
	srv := newTestServer(t)
	p := srv.device("alice")
	srv.mustUpdate(srv.login(p).Token, p.GetUserInfo())
	if s := srv.sim.Stats(); s.Calls != 1 || s.Others != 0 {
		t.Errorf("%d exchanges and %d other calls of WeChat, want 1 and 0", s.Calls, s.Others)
	}
}

func testOneUserInTwoApps(t *testing.T) {
	srv := newTestServer(t, withTwoApps)
	here := srv.sim.Device(appID, wechattest.User{Name: "alice"})
	there := srv.sim.Device(otherAppID, wechattest.User{Name: "alice"})
	if !srv.login(here).IsNewUser || !srv.login(there).IsNewUser {
		t.Fatal("without a unionid the two identities are two users")
	}
	srv.wantUsers("2", "2")
	here.SetUnionID("ocMvos6NjeKLIBqg5Mr9QjxrP1FA")
	if srv.login(here).IsNewUser || srv.login(there).IsNewUser {
		t.Error("a returning user is called new")
	}
	srv.wantUsers("1", "2")
	srv.mustUpdate(srv.login(here).Token, here.GetUserInfo())
	if !srv.login(there).ProfileComplete {
		t.Error("the profile of one mini-program is not the profile of the other")
	}
}

func testConcurrentSessions(t *testing.T) {
	srv := newTestServer(t)
	p := srv.device("alice")
	phone, tablet := srv.login(p), srv.login(p)
	if phone.ExpiresIn != int64((7 * 24 * time.Hour).Seconds()) {
		t.Errorf("expiresIn is %d s", phone.ExpiresIn)
	}
	for range 3 { // five days at a time, for 15 days
		srv.advance(5 * 24 * time.Hour)
		srv.mustUpdate(phone.Token, p.GetUserInfo())
		srv.mustUpdate(tablet.Token, p.GetUserInfo())
	}
	srv.advance(7 * 24 * time.Hour)
	srv.wantProblem(srv.update(phone.Token, p.GetUserInfo()), 401, "invalid_token", "relogin")
}

func testConcurrentFirstLogins(t *testing.T) {
	srv := newTestServer(t)
	p := srv.device("alice")
	codes := make([]string, 64)
	for i := range codes {
		codes[i] = p.Login()
	}
	var mu sync.Mutex
	var wg sync.WaitGroup
	created, tokens := 0, map[string]bool{}
	for _, code := range codes {
		wg.Go(func() {
			res, err := http.PostForm(srv.public.URL+"/onLogin", url.Values{"code": {code}})
			if err != nil {
				t.Error(err)
				return
			}
			defer res.Body.Close()
			b := decode(t, res)
			mu.Lock()
			defer mu.Unlock()
			if b.Status != http.StatusOK {
				t.Errorf("%d %s", b.Status, b.Code)
			}
			if b.IsNewUser {
				created++
			}
			tokens[b.Token] = true
		})
	}
	wg.Wait()
	if created != 1 || len(tokens) != 64 {
		t.Errorf("%d new users and %d tokens, want 1 and 64", created, len(tokens))
	}
	srv.wantUsers("1", "1")
}

func testSlowWeChat(t *testing.T) {
	srv := newTestServer(t, func(cfg *serverConfig) { cfg.wechat.Timeout = time.Second })
	srv.sim.Fail(wechattest.Slow(time.Hour))
	srv.wantProblem(srv.postForm("/onLogin", "code", srv.device("alice").Login()), 503, "wechat_unavailable", "retry")
	srv.login(srv.device("bob"))

	t.Run("connections are reused under load", func(t *testing.T) {
		var connections sync.Map
		sim := wechattest.New(wechattest.Options{Apps: map[string]string{appID: secret}})
		weChat := httptest.NewUnstartedServer(sim)
		weChat.Config.ConnState = func(c net.Conn, s http.ConnState) {
			if s == http.StateNew {
				connections.Store(c, true)
			}
		}
		weChat.Start()
		defer weChat.Close()
		client, err := wechat.NewClient(wechat.Options{AppID: appID, Secret: secret, BaseURL: weChat.URL})
		if err != nil {
			t.Fatal(err)
		}
		for range 20 {
			burst(t, client, sim, 16)
		}
		opened := 0
		connections.Range(func(any, any) bool { opened++; return true })
		if opened > 64 {
			t.Errorf("%d connections for 20 bursts of 16", opened)
		}
	})
}

func burst(t *testing.T, client *wechat.Client, sim *wechattest.Simulator, n int) {
	t.Helper()
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			code := sim.Device(appID, wechattest.User{Name: fmt.Sprint("user", i)}).Login()
			if _, err := client.Code2Session(t.Context(), code); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

func testDamagedBase64(t *testing.T) {
	damage := map[string]func(string) string{
		"plus became space": func(s string) string { return strings.ReplaceAll(s, "+", " ") },
		"url safe":          func(s string) string { return strings.NewReplacer("+", "-", "/", "_").Replace(s) },
		"unpadded":          func(s string) string { return strings.TrimRight(s, "=") },
		"line breaks":       func(s string) string { return s[:10] + "\r\n" + s[10:] + "\n" },
	}
	srv := newTestServer(t)
	p := srv.device("alice")
	token := srv.login(p).Token
	for name, f := range damage {
		t.Run(name, func(t *testing.T) {
			d := p.GetUserInfo()
			for !strings.ContainsAny(d.EncryptedData, "+") || !strings.Contains(d.EncryptedData, "/") {
				d = p.GetUserInfo()
			}
			d.EncryptedData, d.IV = f(d.EncryptedData), f(d.IV)
			if r := srv.update(token, d); r.status != http.StatusOK {
				t.Errorf("%d %s", r.status, r.body.Code)
			}
		})
	}
	t.Run("plus unescaped in a form", func(t *testing.T) {
		d := p.GetUserInfo()
		r := srv.do(srv.request("/updateUserInfo", formType, "token="+token+"&encryptedData="+d.EncryptedData+"&iv="+d.IV))
		if r.status != http.StatusOK {
			t.Errorf("%d %s", r.status, r.body.Code)
		}
	})
}

func testProfileOfAnotherUser(t *testing.T) {
	srv := newTestServer(t, withTwoApps)
	const openID = "oGZUI0egBJY1zhBYw2KhdUfwVJJE"
	people := []*wechattest.Device{
		srv.sim.Device(appID, wechattest.User{Name: "upper", OpenID: openID}),
		srv.sim.Device(appID, wechattest.User{Name: "lower", OpenID: strings.ToLower(openID)}),
		srv.sim.Device(otherAppID, wechattest.User{Name: "elsewhere", OpenID: openID}),
	}
	for _, p := range people {
		b := srv.login(p)
		if !b.IsNewUser || b.UserInfo["nickName"] != "" {
			t.Error("a new user gets an existing profile")
		}
		srv.mustUpdate(b.Token, p.GetUserProfile())
	}
	srv.wantUsers("3", "3")
	for i, want := range []string{"upper", "lower", "elsewhere"} {
		if got := srv.login(people[i]).UserInfo["nickName"]; got != want {
			t.Errorf("%s logs in and is called %v", want, got)
		}
	}
	r := srv.update(srv.login(people[0]).Token, people[1].GetUserInfo())
	srv.wantProblem(r, 422, "undecryptable", "relogin")
}

func testEmoji(t *testing.T) {
	srv := newTestServer(t)
	const name = "李🐼 👨‍👩‍👧‍👦 é"
	p := srv.sim.Device(appID, wechattest.User{Name: "li", Info: wechattest.Info{NickName: name, AvatarURL: "https://thirdwx.qlogo.cn/li/132"}})
	if got := srv.mustUpdate(srv.login(p).Token, p.GetUserInfo()).UserInfo["nickName"]; got != name {
		t.Errorf("the response has %v", got)
	}
	if got := srv.nickname(appID, p.OpenID()); got != name {
		t.Errorf("stored %s", got)
	}
	if got := srv.login(p).UserInfo["nickName"]; got != name {
		t.Errorf("read back %v", got)
	}
}

func testPlaceholderOverwritesProfile(t *testing.T) {
	srv := newTestServer(t)
	p := srv.device("alice")
	token := srv.login(p).Token
	first := srv.mustUpdate(token, p.GetUserInfo())
	before := srv.queryText("SELECT updated_at FROM users")
	srv.advance(time.Minute)

	anonymous := srv.mustUpdate(token, p.GetPlaceholder())
	if !anonymous.Anonymous || !anonymous.ProfileComplete {
		t.Errorf("anonymous %v, profileComplete %v; want both", anonymous.Anonymous, anonymous.ProfileComplete)
	}
	if fmt.Sprint(anonymous.UserInfo) != fmt.Sprint(first.UserInfo) {
		t.Errorf("the profile became %v", anonymous.UserInfo)
	}
	if got := srv.queryText("SELECT updated_at FROM users"); got != before {
		t.Error("the row was written")
	}

	poor := srv.sim.Device(appID, wechattest.User{Name: "alice", Info: wechattest.Info{NickName: "Alice II", Language: "zh_CN"}})
	got := srv.mustUpdate(token, poor.GetUserProfile()).UserInfo
	want := first.UserInfo
	want["nickName"] = "Alice II"
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %v, want %v", got, want)
	}

	t.Run("a new users placeholder is not stored", func(t *testing.T) {
		bob := srv.device("bob")
		b := srv.mustUpdate(srv.login(bob).Token, bob.GetPlaceholder())
		if !b.Anonymous || b.ProfileComplete || b.UserInfo["nickName"] != "" || b.UserInfo["avatarUrl"] != "" {
			t.Errorf("got %+v", b)
		}
		if got := srv.nickname(appID, bob.OpenID()); got != "" {
			t.Errorf("stored %s", got)
		}
	})
}

func testTemporaryAvatar(t *testing.T) {
	srv := newTestServer(t)
	for i, avatar := range []string{"wxfile://tmp_8a1b2c.jpg", "http://tmp/8a1b2c.jpg", "https://tmp/x", "data:image/png;base64,AAAA", "/tmp/x"} {
		p := srv.sim.Device(appID, wechattest.User{Name: fmt.Sprint("u", i), Info: wechattest.Info{NickName: "n", AvatarURL: avatar}})
		b := srv.mustUpdate(srv.login(p).Token, p.GetUserInfo())
		if b.UserInfo["avatarUrl"] != "" || b.UserInfo["nickName"] != "n" || b.ProfileComplete {
			t.Errorf("%s: got %+v", avatar, b)
		}
	}
	if got := srv.queryText("SELECT COUNT(*) FROM users WHERE avatar_url <> ''"); got != "0" {
		t.Errorf("%s avatars are stored", got)
	}
}

func testDataWithoutOpenID(t *testing.T) {
	srv := newTestServer(t)
	p := srv.device("alice")
	srv.mustUpdate(srv.login(p).Token, p.GetUserProfile()) // getUserProfile's data has no openid
	srv.wantUsers("1", "1")
	if got := srv.nickname(appID, p.OpenID()); got != "alice" {
		t.Errorf("the session's user is called %q", got)
	}
}

func testSecretInErrors(t *testing.T) {
	faults := map[string]wechattest.Fault{
		"busy": wechattest.Busy, "dropped": wechattest.Dropped, "html 502": wechattest.BadGateway,
		"broken json": wechattest.BrokenJSON, "invalid appid": wechattest.ErrCode(40013), "not in whitelist": wechattest.ErrCode(40164),
	}
	for name, fault := range faults {
		t.Run(name, func(t *testing.T) {
			srv := newTestServer(t)
			srv.sim.Fail(fault, fault, fault, fault)
			code := srv.device("alice").Login()
			r := srv.postForm("/onLogin", "code", code)
			if r.status != http.StatusServiceUnavailable {
				t.Errorf("%d %s", r.status, r.body.Code)
			}
			srv.wantNoSecrets(r.raw, code)
			srv.wantNoKeys()
		})
	}
	t.Run("unreachable", func(t *testing.T) {
		srv := newTestServer(t, func(cfg *serverConfig) { cfg.wechat.BaseURL = "http://127.0.0.1:1" })
		code := srv.device("alice").Login()
		r := srv.postForm("/onLogin", "code", code)
		srv.wantProblem(r, 503, "wechat_unavailable", "retry")
		srv.wantNoSecrets(r.raw, code)
	})
	t.Run("code injects no parameter", func(t *testing.T) {
		srv := newTestServer(t)
		r := srv.postForm("/onLogin", "code", "x&appid="+otherAppID+"&secret="+otherSecret)
		srv.wantProblem(r, 400, "invalid_code", "relogin")
		srv.wantUsers("0", "0")
	})
}

func testDecryptionOracle(t *testing.T) {
	srv := newTestServer(t)
	p, stranger := srv.device("alice"), srv.device("bob")
	token := srv.login(p).Token
	var first string
	for name, data := range undecryptable(p, stranger) {
		t.Run(name, func(t *testing.T) {
			r := srv.update(token, data)
			srv.wantProblem(r, 422, "undecryptable", "relogin")
			answer := strings.ReplaceAll(r.raw, r.body.RequestID, "")
			if first == "" {
				first = answer
			}
			if answer != first {
				t.Errorf("different response: %s", answer)
			}
		})
	}
	if got := srv.nickname(appID, p.OpenID()); got != "" {
		t.Errorf("%s was stored", got)
	}
}

func testSessionKeyLeak(t *testing.T) {
	srv := newTestServer(t)
	p := srv.device("alice")
	p.SetUnionID("ocMvos6NjeKLIBqg5Mr9QjxrP1FA")
	code := p.Login()
	login := srv.postForm("/onLogin", "code", code)
	data := p.GetUserInfo()
	update := srv.update(login.body.Token, data)
	srv.update(login.body.Token, wechattest.OpenData{EncryptedData: data.EncryptedData, IV: "AAAA"})
	srv.postForm("/onLogin", "code", code)

	for _, answer := range []string{login.raw, update.raw} {
		for _, inside := range []string{p.SessionKey(), p.OpenID(), "ocMvos6NjeKLIBqg5Mr9QjxrP1FA", secret} {
			if strings.Contains(answer, inside) {
				t.Error("a response contains a session_key, openid, unionid or AppSecret")
			}
		}
	}
	if strings.Contains(update.raw, login.body.Token) {
		t.Error("the response of the update contains the token")
	}
	dump := fmt.Sprint(srv.redis.Dump(t))
	for _, inside := range []string{login.body.Token, p.SessionKey(), secret} {
		if strings.Contains(dump, inside) || strings.Contains(srv.logs.String(), inside) || strings.Contains(srv.getInternal("/metrics"), inside) {
			t.Error("Redis, the log or the metrics contain a token, session_key or AppSecret")
		}
	}
	srv.wantNoSecrets("", code)
	for key := range srv.redis.Dump(t) {
		if ttl := srv.redis.TTL(t, key); ttl <= 0 || ttl > session.DefaultMaxLifetime {
			t.Errorf("%s expires in %v", key, ttl)
		}
	}
}

// wantNoSecrets checks that the response, the log and the metrics contain neither the AppSecret nor the code.
func (srv *testServer) wantNoSecrets(answer, code string) {
	srv.t.Helper()
	for name, text := range map[string]string{"answer": answer, "log": srv.logs.String(), "metrics": srv.getInternal("/metrics")} {
		if strings.Contains(text, secret) || strings.Contains(text, code) {
			srv.t.Errorf("the %s contains the AppSecret or the code", name)
		}
	}
}

// wantNoKeys checks that Redis is empty.
func (srv *testServer) wantNoKeys() {
	srv.t.Helper()
	if n := len(srv.redis.Dump(srv.t)); n != 0 {
		srv.t.Errorf("Redis has %d keys", n)
	}
}
