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

// The sixteen failures that login servers for mini-programs are known for, one test each, through the whole server.

func TestFailure01_session_key_race(t *testing.T) {
	t.Run("older_token_newer_key", func(t *testing.T) {
		w := newWorld(t)
		p := w.phone("alice")
		older := w.login(p).Token
		p.NewSessionKey()
		w.login(p)
		if got := w.mustUpdate(older, p.GetUserProfile()).UserInfo["nickName"]; got != "alice" {
			t.Errorf("nickName is %v", got)
		}
		if got := w.metric(`wxlogin_decryptions_total{outcome="other_key"}`); got != "1" {
			t.Errorf("%s decryptions by another session's key, want 1", got)
		}
	})
	t.Run("newer_token_older_key", func(t *testing.T) {
		w := newWorld(t)
		p := w.phone("alice")
		w.login(p)
		data := p.GetUserInfo()
		p.NewSessionKey()
		newer := w.login(p).Token
		if got := w.mustUpdate(newer, data).UserInfo["nickName"]; got != "alice" {
			t.Errorf("nickName is %v", got)
		}
	})
	t.Run("double_tap_gives_two_tokens_that_both_work", func(t *testing.T) {
		w := newWorld(t)
		p := w.phone("alice")
		first, second := w.login(p).Token, w.login(p).Token
		data := p.GetUserInfo()
		w.mustUpdate(first, data)
		w.mustUpdate(second, data)
		if got := w.metric(`wxlogin_decryptions_total{outcome="own_key"}`); got != "2" {
			t.Errorf("%s decryptions by the session's own key, want 2", got)
		}
	})
	t.Run("data_overtakes_the_login_of_its_key", func(t *testing.T) {
		ring := &interrupted{}
		w := newWorld(t, func(su *setup) {
			su.sessions = func(s handlers.Sessions) handlers.Sessions { ring.Sessions = s; return ring }
		})
		p := w.phone("alice")
		older := w.login(p).Token
		p.NewSessionKey()
		ring.afterFirstLook = func() { w.login(p) } // the other page's code arrives while the data waits
		if got := w.mustUpdate(older, p.GetUserProfile()).UserInfo["nickName"]; got != "alice" {
			t.Errorf("nickName is %v", got)
		}
	})
	t.Run("another_users_key_is_not_tried", func(t *testing.T) {
		w := newWorld(t)
		alice, bob := w.phone("alice"), w.phone("bob")
		token := w.login(alice).Token
		w.login(bob)
		w.wantProblem(w.update(token, bob.GetUserProfile()), 422, "undecryptable", "relogin")
		if got := w.nickname(appID, alice.OpenID()); got != "" {
			t.Errorf("Alice is called %s", got)
		}
	})
}

// interrupted is a session store in which something happens right after the first look at the key ring.
type interrupted struct {
	handlers.Sessions
	once           sync.Once
	afterFirstLook func()
}

func (i *interrupted) OtherSessionKeys(ctx context.Context, sess session.Session) ([]string, error) {
	keys, err := i.Sessions.OtherSessionKeys(ctx, sess)
	i.once.Do(i.afterFirstLook)
	return keys, err
}

func TestFailure02_base64_that_travelled_badly(t *testing.T) {
	damage := map[string]func(string) string{
		"plus_became_space": func(s string) string { return strings.ReplaceAll(s, "+", " ") },
		"url_safe":          func(s string) string { return strings.NewReplacer("+", "-", "/", "_").Replace(s) },
		"unpadded":          func(s string) string { return strings.TrimRight(s, "=") },
		"line_breaks":       func(s string) string { return s[:10] + "\r\n" + s[10:] + "\n" },
	}
	w := newWorld(t)
	p := w.phone("alice")
	token := w.login(p).Token
	for name, f := range damage {
		t.Run(name, func(t *testing.T) {
			d := p.GetUserInfo()
			for !strings.ContainsAny(d.EncryptedData, "+") || !strings.Contains(d.EncryptedData, "/") {
				d = p.GetUserInfo()
			}
			d.EncryptedData, d.IV = f(d.EncryptedData), f(d.IV)
			if r := w.update(token, d); r.status != http.StatusOK {
				t.Errorf("%d %s", r.status, r.body.Code)
			}
		})
	}
	t.Run("plus_unescaped_in_a_form", func(t *testing.T) {
		d := p.GetUserInfo()
		r := w.do(w.request("/updateUserInfo", formType, "token="+token+"&encryptedData="+d.EncryptedData+"&iv="+d.IV))
		if r.status != http.StatusOK {
			t.Errorf("%d %s", r.status, r.body.Code)
		}
	})
}

func TestFailure03_code_used_twice(t *testing.T) {
	t.Run("second_use_is_refused_with_relogin", func(t *testing.T) {
		w := newWorld(t)
		code := w.phone("alice").Login()
		if r := w.form("/onLogin", "code", code); r.status != http.StatusOK {
			t.Fatal(r.status)
		}
		w.wantProblem(w.form("/onLogin", "code", code), 400, "invalid_code", "relogin")
		w.wantUsers("1", "1")
	})
	t.Run("an_exchange_that_may_have_arrived_is_not_repeated", func(t *testing.T) {
		w := newWorld(t)
		p := w.phone("alice")
		w.login(p) // a connection that is reused
		before := w.sim.Calls()
		w.sim.Fail(wechattest.DroppedAfter)
		w.wantProblem(w.form("/onLogin", "code", p.Login()), 503, "wechat_unavailable", "retry")
		if got := w.sim.Calls() - before; got != 1 {
			t.Errorf("%d exchanges, want 1", got)
		}
	})
	t.Run("busy_is_tried_again_within_the_request", func(t *testing.T) {
		w := newWorld(t)
		w.sim.Fail(wechattest.Busy)
		w.login(w.phone("alice"))
	})
}

func TestFailure04_login_needs_no_access_token(t *testing.T) {
	w := newWorld(t)
	p := w.phone("alice")
	w.mustUpdate(w.login(p).Token, p.GetUserInfo())
	if s := w.sim.Stats(); s.Calls != 1 || s.Others != 0 {
		t.Errorf("%d exchanges and %d other calls of WeChat, want 1 and 0", s.Calls, s.Others)
	}
}

func TestFailure05_one_person_one_user(t *testing.T) {
	w := newWorld(t, twoApps)
	here := w.sim.Device(appID, wechattest.User{Name: "alice"})
	there := w.sim.Device(otherAppID, wechattest.User{Name: "alice"})
	if !w.login(here).IsNewUser || !w.login(there).IsNewUser {
		t.Fatal("without a unionid nobody can know that they are one")
	}
	w.wantUsers("2", "2")
	here.SetUnionID("ocMvos6NjeKLIBqg5Mr9QjxrP1FA")
	if w.login(here).IsNewUser || w.login(there).IsNewUser {
		t.Error("a returning user is called new")
	}
	w.wantUsers("1", "2")
	w.mustUpdate(w.login(here).Token, here.GetUserInfo())
	if !w.login(there).ProfileComplete {
		t.Error("the profile of one mini-program is not the other's")
	}
}

func TestFailure06_nobody_gets_another_users_profile(t *testing.T) {
	w := newWorld(t, twoApps)
	const openID = "oGZUI0egBJY1zhBYw2KhdUfwVJJE"
	people := []*wechattest.Device{
		w.sim.Device(appID, wechattest.User{Name: "upper", OpenID: openID}),
		w.sim.Device(appID, wechattest.User{Name: "lower", OpenID: strings.ToLower(openID)}),
		w.sim.Device(otherAppID, wechattest.User{Name: "elsewhere", OpenID: openID}),
	}
	for _, p := range people {
		b := w.login(p)
		if !b.IsNewUser || b.UserInfo["nickName"] != "" {
			t.Error("a stranger is taken for a user")
		}
		w.mustUpdate(b.Token, p.GetUserProfile())
	}
	w.wantUsers("3", "3")
	for i, want := range []string{"upper", "lower", "elsewhere"} {
		if got := w.login(people[i]).UserInfo["nickName"]; got != want {
			t.Errorf("%s logs in and is called %v", want, got)
		}
	}
	r := w.update(w.login(people[0]).Token, people[1].GetUserInfo())
	w.wantProblem(r, 422, "undecryptable", "relogin")
}

func TestFailure07_emoji(t *testing.T) {
	w := newWorld(t)
	const name = "李🐼 👨‍👩‍👧‍👦 é"
	p := w.sim.Device(appID, wechattest.User{Name: "li", Info: wechattest.Info{NickName: name, AvatarURL: "https://thirdwx.qlogo.cn/li/132"}})
	if got := w.mustUpdate(w.login(p).Token, p.GetUserInfo()).UserInfo["nickName"]; got != name {
		t.Errorf("answered %v", got)
	}
	if got := w.nickname(appID, p.OpenID()); got != name {
		t.Errorf("stored %s", got)
	}
	if got := w.login(p).UserInfo["nickName"]; got != name {
		t.Errorf("read back %v", got)
	}
}

func TestFailure08_placeholders_overwrite_nothing(t *testing.T) {
	w := newWorld(t)
	p := w.phone("alice")
	token := w.login(p).Token
	first := w.mustUpdate(token, p.GetUserInfo())
	before := w.one("SELECT updated_at FROM users")
	w.pass(time.Minute)

	anonymous := w.mustUpdate(token, p.GetPlaceholder())
	if !anonymous.Anonymous || !anonymous.ProfileComplete {
		t.Errorf("anonymous %v, profileComplete %v; want both", anonymous.Anonymous, anonymous.ProfileComplete)
	}
	if fmt.Sprint(anonymous.UserInfo) != fmt.Sprint(first.UserInfo) {
		t.Errorf("the profile became %v", anonymous.UserInfo)
	}
	if got := w.one("SELECT updated_at FROM users"); got != before {
		t.Error("the row was written")
	}

	poor := w.sim.Device(appID, wechattest.User{Name: "alice", Info: wechattest.Info{NickName: "Alice II", Language: "zh_CN"}})
	got := w.mustUpdate(token, poor.GetUserProfile()).UserInfo
	want := first.UserInfo
	want["nickName"] = "Alice II"
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %v, want %v", got, want)
	}

	t.Run("a_new_users_placeholder_is_not_stored", func(t *testing.T) {
		bob := w.phone("bob")
		b := w.mustUpdate(w.login(bob).Token, bob.GetPlaceholder())
		if !b.Anonymous || b.ProfileComplete || b.UserInfo["nickName"] != "" || b.UserInfo["avatarUrl"] != "" {
			t.Errorf("got %+v", b)
		}
		if got := w.nickname(appID, bob.OpenID()); got != "" {
			t.Errorf("stored %s", got)
		}
	})
}

func TestFailure09_temporary_avatars_are_not_stored(t *testing.T) {
	w := newWorld(t)
	for i, avatar := range []string{"wxfile://tmp_8a1b2c.jpg", "http://tmp/8a1b2c.jpg", "https://tmp/x", "data:image/png;base64,AAAA", "/tmp/x"} {
		p := w.sim.Device(appID, wechattest.User{Name: fmt.Sprint("u", i), Info: wechattest.Info{NickName: "n", AvatarURL: avatar}})
		b := w.mustUpdate(w.login(p).Token, p.GetUserInfo())
		if b.UserInfo["avatarUrl"] != "" || b.UserInfo["nickName"] != "n" || b.ProfileComplete {
			t.Errorf("%s: got %+v", avatar, b)
		}
	}
	if got := w.one("SELECT COUNT(*) FROM users WHERE avatar_url <> ''"); got != "0" {
		t.Errorf("%s avatars are stored", got)
	}
}

func TestFailure10_data_without_openid(t *testing.T) {
	w := newWorld(t)
	p := w.phone("alice")
	w.mustUpdate(w.login(p).Token, p.GetUserProfile()) // getUserProfile's data names nobody
	w.wantUsers("1", "1")
	if got := w.nickname(appID, p.OpenID()); got != "alice" {
		t.Errorf("the session's user is called %q", got)
	}
}

func TestFailure11_sessions_last_and_live_side_by_side(t *testing.T) {
	w := newWorld(t)
	p := w.phone("alice")
	phone, tablet := w.login(p), w.login(p)
	if phone.ExpiresIn != int64((7 * 24 * time.Hour).Seconds()) {
		t.Errorf("expiresIn is %d s", phone.ExpiresIn)
	}
	for range 3 { // five days at a time, for 15 days
		w.pass(5 * 24 * time.Hour)
		w.mustUpdate(phone.Token, p.GetUserInfo())
		w.mustUpdate(tablet.Token, p.GetUserInfo())
	}
	w.pass(7 * 24 * time.Hour)
	w.wantProblem(w.update(phone.Token, p.GetUserInfo()), 401, "invalid_token", "relogin")
}

func TestFailure12_concurrent_first_logins(t *testing.T) {
	w := newWorld(t)
	p := w.phone("alice")
	codes := make([]string, 64)
	for i := range codes {
		codes[i] = p.Login()
	}
	var mu sync.Mutex
	var wg sync.WaitGroup
	created, tokens := 0, map[string]bool{}
	for _, code := range codes {
		wg.Go(func() {
			res, err := http.PostForm(w.public.URL+"/onLogin", url.Values{"code": {code}})
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
	w.wantUsers("1", "1")
}

func TestFailure13_no_secret_in_errors_and_no_injection(t *testing.T) {
	faults := map[string]wechattest.Fault{
		"busy": wechattest.Busy, "dropped": wechattest.Dropped, "html_502": wechattest.BadGateway,
		"broken_json": wechattest.BrokenJSON, "invalid_appid": wechattest.ErrCode(40013), "not_in_whitelist": wechattest.ErrCode(40164),
	}
	for name, fault := range faults {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.sim.Fail(fault, fault, fault, fault)
			code := w.phone("alice").Login()
			r := w.form("/onLogin", "code", code)
			if r.status != http.StatusServiceUnavailable {
				t.Errorf("%d %s", r.status, r.body.Code)
			}
			w.wantNoSecrets(r.raw, code)
			w.wantNoKeys()
		})
	}
	t.Run("unreachable", func(t *testing.T) {
		w := newWorld(t, func(su *setup) { su.wechat.BaseURL = "http://127.0.0.1:1" })
		code := w.phone("alice").Login()
		r := w.form("/onLogin", "code", code)
		w.wantProblem(r, 503, "wechat_unavailable", "retry")
		w.wantNoSecrets(r.raw, code)
	})
	t.Run("code_injects_no_parameter", func(t *testing.T) {
		w := newWorld(t)
		r := w.form("/onLogin", "code", "x&appid="+otherAppID+"&secret="+otherSecret)
		w.wantProblem(r, 400, "invalid_code", "relogin")
		w.wantUsers("0", "0")
	})
}

func TestFailure14_undecryptable_data_gets_one_answer(t *testing.T) {
	w := newWorld(t)
	p, stranger := w.phone("alice"), w.phone("bob")
	token := w.login(p).Token
	var first string
	for name, data := range undecryptable(p, stranger) {
		t.Run(name, func(t *testing.T) {
			r := w.update(token, data)
			w.wantProblem(r, 422, "undecryptable", "relogin")
			answer := strings.ReplaceAll(r.raw, r.body.RequestID, "")
			if first == "" {
				first = answer
			}
			if answer != first {
				t.Errorf("another answer: %s", answer)
			}
		})
	}
	if got := w.nickname(appID, p.OpenID()); got != "" {
		t.Errorf("%s was stored", got)
	}
}

func TestFailure15_waiting_for_wechat_is_bounded(t *testing.T) {
	w := newWorld(t, func(su *setup) { su.wechat.Timeout = time.Second })
	w.sim.Fail(wechattest.Slow(time.Hour))
	w.wantProblem(w.form("/onLogin", "code", w.phone("alice").Login()), 503, "wechat_unavailable", "retry")
	w.login(w.phone("bob"))

	t.Run("connections_are_reused_under_load", func(t *testing.T) {
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

func TestFailure16_session_key_and_token_stay_inside(t *testing.T) {
	w := newWorld(t)
	p := w.phone("alice")
	p.SetUnionID("ocMvos6NjeKLIBqg5Mr9QjxrP1FA")
	code := p.Login()
	login := w.form("/onLogin", "code", code)
	data := p.GetUserInfo()
	update := w.update(login.body.Token, data)
	w.update(login.body.Token, wechattest.OpenData{EncryptedData: data.EncryptedData, IV: "AAAA"})
	w.form("/onLogin", "code", code)

	for _, answer := range []string{login.raw, update.raw} {
		for _, inside := range []string{p.SessionKey(), p.OpenID(), "ocMvos6NjeKLIBqg5Mr9QjxrP1FA", secret} {
			if strings.Contains(answer, inside) {
				t.Error("an answer holds a session_key, openid, unionid or AppSecret")
			}
		}
	}
	if strings.Contains(update.raw, login.body.Token) {
		t.Error("the update's answer repeats the token")
	}
	dump := fmt.Sprint(w.redis.Dump(t))
	for _, inside := range []string{login.body.Token, p.SessionKey(), secret} {
		if strings.Contains(dump, inside) || strings.Contains(w.logs.String(), inside) || strings.Contains(w.get("/metrics"), inside) {
			t.Error("Redis, the log or the metrics hold a token, session_key or AppSecret")
		}
	}
	w.wantNoSecrets("", code)
	for key := range w.redis.Dump(t) {
		if ttl := w.redis.TTL(t, key); ttl <= 0 || ttl > session.DefaultMaxTTL {
			t.Errorf("%s expires in %v", key, ttl)
		}
	}
}

// wantNoSecrets searches an answer, the log and the metrics for the AppSecret and a code.
func (w *world) wantNoSecrets(answer, code string) {
	w.t.Helper()
	for name, text := range map[string]string{"answer": answer, "log": w.logs.String(), "metrics": w.get("/metrics")} {
		if strings.Contains(text, secret) || strings.Contains(text, code) {
			w.t.Errorf("the %s holds the AppSecret or the code", name)
		}
	}
}

// wantNoKeys fails if Redis holds anything.
func (w *world) wantNoKeys() {
	w.t.Helper()
	if n := len(w.redis.Dump(w.t)); n != 0 {
		w.t.Errorf("Redis holds %d keys", n)
	}
}
