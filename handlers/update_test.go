package handlers_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unicode/utf8"

	"wxlogin/handlers"
	"wxlogin/session"
	"wxlogin/wechat/wechattest"
)

func TestUpdateUserInfo_Token(t *testing.T) {
	srv := newTestServer(t)
	p := srv.device("alice")
	token := srv.login(p).Token
	data := p.GetUserInfo()
	post := func(authorization, field string) response {
		content := fmt.Sprintf(`{"token":%q,"encryptedData":%q,"iv":%q}`, field, data.EncryptedData, data.IV)
		req := srv.request("/updateUserInfo", "application/json", content)
		if authorization != "" {
			req.Header.Set("Authorization", authorization)
		}
		return srv.do(req)
	}
	for name, r := range map[string]response{
		"bearer": post("Bearer "+token, ""), "any case": post("bearer "+token, ""), "field": post("", token), "both": post("Bearer "+token, token),
	} {
		if r.status != http.StatusOK {
			t.Errorf("%s: %d %s", name, r.status, r.body.Code)
		}
	}
	srv.wantProblem(post("Bearer "+token, "x"), 400, "invalid_request", "none")

	unknown := strings.Repeat("A", 43)
	var first string
	for name, r := range map[string]response{
		"missing": post("", ""), "malformed": post("", "x"), "unknown": post("", unknown), "basic": post("Basic "+token, ""),
		"empty bearer": post("Bearer ", ""), "bearer unknown": post("Bearer "+unknown, ""),
	} {
		t.Run(name, func(t *testing.T) {
			srv.wantProblem(r, 401, "invalid_token", "relogin")
			if got := r.header.Get("WWW-Authenticate"); got != "Bearer" {
				t.Errorf("WWW-Authenticate is %q", got)
			}
			answer := strings.ReplaceAll(r.raw, r.body.RequestID, "")
			if first == "" {
				first = answer
			}
			if answer != first {
				t.Error("rejected tokens get different responses")
			}
		})
	}
}

func TestUpdateUserInfo(t *testing.T) {
	t.Run("rejects the token of a user without a row", func(t *testing.T) {
		srv := newTestServer(t)
		p := srv.device("alice")
		token := srv.login(p).Token
		if _, err := srv.db.Exec("DELETE FROM wechat_identities"); err != nil {
			t.Fatal(err)
		}
		srv.wantProblem(srv.update(token, p.GetUserInfo()), 401, "invalid_token", "relogin")
	})

	t.Run("does not overwrite newer data", func(t *testing.T) {
		srv := newTestServer(t)
		p := srv.device("alice")
		token := srv.login(p).Token
		old := p.GetUserInfo()
		srv.advance(time.Minute)
		renamed := srv.sim.Device(appID, wechattest.User{Name: "alice", Info: wechattest.Info{NickName: "Alice II"}})
		srv.mustUpdate(token, renamed.GetUserInfo())
		if got := srv.mustUpdate(token, old).UserInfo["nickName"]; got != "Alice II" {
			t.Errorf("older data overwrote newer: %v", got)
		}
	})
}

const manualAvatar = "https://cdn.example.com/avatars/1.png"

// updateManually sends what a user entered.
func (srv *testServer) updateManually(token string, fields ...string) response {
	srv.t.Helper()
	return srv.postForm("/updateUserInfo", append([]string{"token", token}, fields...)...)
}

// column reads a column of Alice's row.
func (srv *testServer) column(name string) string {
	srv.t.Helper()
	return srv.queryText("SELECT " + name + " FROM users ORDER BY id LIMIT 1")
}

func TestManualProfile(t *testing.T) {
	t.Run("fills the profile", func(t *testing.T) {
		srv := newTestServer(t)
		token := srv.login(srv.device("alice")).Token
		r := srv.updateManually(token, "nickName", "  Ame\u0301lie 🐼 ", "avatarUrl", manualAvatar)
		if r.status != http.StatusOK || !r.body.ProfileComplete || r.body.Anonymous {
			t.Fatalf("%d %s, complete %v", r.status, r.body.Code, r.body.ProfileComplete)
		}
		if got := r.body.UserInfo["nickName"]; got != "Am\u00e9lie 🐼" { // trimmed and composed
			t.Errorf("the response has %q", got)
		}
		if srv.column("nickname") != "Am\u00e9lie 🐼" || srv.column("avatar_url") != manualAvatar || srv.column("profile_source") != "2" {
			t.Error("the database has another nickname, avatar or source")
		}
	})

	t.Run("keeps what is not sent", func(t *testing.T) {
		srv := newTestServer(t)
		p := srv.device("alice")
		token := srv.login(p).Token
		srv.mustUpdate(token, p.GetUserInfo())
		if got := srv.column("profile_source"); got != "1" {
			t.Errorf("source %s of what came from WeChat", got)
		}
		avatar := srv.column("avatar_url")
		if r := srv.updateManually(token, "nickName", "Al"); r.status != http.StatusOK || r.body.UserInfo["avatarUrl"] != avatar {
			t.Errorf("%d %s, or another avatar", r.status, r.body.Code)
		}
		if srv.column("nickname") != "Al" || srv.column("gender") == "0" || srv.column("profile_source") != "2" {
			t.Error("the database has another nickname, gender or source")
		}
	})

	// Neither WeChat's placeholder nor older data overwrites what a user entered.
	t.Run("is not overwritten by placeholders or older data", func(t *testing.T) {
		srv := newTestServer(t)
		p := srv.device("alice")
		token := srv.login(p).Token
		older := p.GetUserInfo()
		srv.advance(2 * time.Second) // a watermark has whole seconds
		srv.updateManually(token, "nickName", "Al", "avatarUrl", manualAvatar)
		for name, r := range map[string]response{
			"anonymous data":    srv.update(token, p.GetPlaceholder()),
			"typed placeholder": srv.updateManually(token, "nickName", "微信用户"),
			"older data":        srv.update(token, older),
		} {
			if r.status != http.StatusOK || r.body.UserInfo["nickName"] != "Al" || r.body.UserInfo["avatarUrl"] != manualAvatar {
				t.Errorf("%s: %d %s, or another profile", name, r.status, r.body.Code)
			}
		}
		if srv.column("profile_source") != "2" {
			t.Error("the source is another one")
		}
	})

	t.Run("requires a token and an active user", func(t *testing.T) {
		srv := newTestServer(t)
		srv.wantProblem(srv.updateManually("x", "nickName", "Al"), 401, "invalid_token", "relogin")
		token := srv.login(srv.sim.Device(appID, wechattest.User{Name: "alice"})).Token
		if _, err := srv.db.Exec("UPDATE users SET status = 2"); err != nil {
			t.Fatal(err)
		}
		srv.wantProblem(srv.updateManually(token, "nickName", "Al"), 403, "user_blocked", "none")
		if srv.column("nickname") != "" {
			t.Error("it was written")
		}
	})
}

func TestManualProfile_Invalid(t *testing.T) {
	srv := newTestServer(t)
	p := srv.device("alice")
	token := srv.login(p).Token
	data := p.GetUserInfo()
	const name, avatar = "nickName ", "avatarUrl "
	for what, tt := range map[string]struct {
		fields []string
		detail string
	}{
		"only spaces":         {[]string{"nickName", " \u3000 "}, name},
		"33 characters":       {[]string{"nickName", strings.Repeat("字", 33)}, name},
		"control":             {[]string{"nickName", "a\x00b"}, name},
		"newline":             {[]string{"nickName", "a\nb"}, name},
		"line separator":      {[]string{"nickName", "a\u2028b"}, name},
		"bidi override":       {[]string{"nickName", "a\u202egnp.exe"}, name},
		"bidi isolate":        {[]string{"nickName", "a\u2067b"}, name},
		"no UTF8":             {[]string{"nickName", "a\xffb"}, name},
		"temporary file":      {[]string{"avatarUrl", "wxfile://tmp_1.png"}, avatar},
		"temporary http file": {[]string{"avatarUrl", "http://tmp/1.png"}, avatar},
		"plain http":          {[]string{"avatarUrl", "http://cdn.example.com/1.png"}, avatar},
		"script":              {[]string{"avatarUrl", "javascript:alert(1)"}, avatar},
		"user in the address": {[]string{"avatarUrl", "https://a:b@example.com/1.png"}, avatar},
		"no host":             {[]string{"avatarUrl", "https:///1.png"}, avatar},
		"space":               {[]string{"avatarUrl", "https://example.com/1 .png"}, avatar},
		"too long":            {[]string{"avatarUrl", "https://example.com/" + strings.Repeat("a", 1024)}, avatar},
		"good name bad image": {[]string{"nickName", "Al", "avatarUrl", "http://tmp/1.png"}, avatar},
		"with encrypted data": {[]string{"nickName", "Al", "encryptedData", data.EncryptedData, "iv", data.IV}, "Send either nickName"},
	} {
		t.Run(what, func(t *testing.T) {
			r := srv.updateManually(token, tt.fields...)
			srv.wantProblem(r, 400, "invalid_request", "none")
			if !strings.HasPrefix(r.body.Detail, tt.detail) {
				t.Errorf("detail: %s", r.body.Detail)
			}
		})
	}
	if srv.column("nickname") != "" || srv.column("avatar_url") != "" || srv.column("profile_updated_at") != "" {
		t.Error("something was written")
	}
	if r := srv.updateManually(token, "nickName", strings.Repeat("字", 31)+"👩\u200d💻"[:4]); r.status != http.StatusOK {
		t.Errorf("32 characters: %d %s", r.status, r.body.Code)
	}
	if r := srv.updateManually(token, "nickName", "👩\u200d💻"); r.status != http.StatusOK || !utf8.ValidString(srv.column("nickname")) {
		t.Errorf("an emoji of several characters: %d %s", r.status, r.body.Code)
	}
}

// garbage has the form of encrypted data and of an iv. No key decrypts it.
const garbage = "AAAAAAAAAAAAAAAAAAAAAA=="

// gatedSessions blocks OtherSessionKeys until enough calls have arrived.
type gatedSessions struct {
	handlers.Sessions
	mu    sync.Mutex
	calls int
	until int
	open  chan struct{}
}

func (g *gatedSessions) OtherSessionKeys(ctx context.Context, sess session.Session) ([]string, error) {
	g.mu.Lock()
	if g.calls++; g.calls == g.until {
		close(g.open)
	}
	g.mu.Unlock()
	<-g.open
	return g.Sessions.OtherSessionKeys(ctx, sess)
}

// withGatedSessions blocks OtherSessionKeys until the given number of calls have arrived.
func withGatedSessions(calls int) func(*serverConfig) {
	return func(cfg *serverConfig) {
		cfg.wrapSessions = func(s handlers.Sessions) handlers.Sessions {
			return &gatedSessions{Sessions: s, until: calls, open: make(chan struct{})}
		}
	}
}

// postConcurrently posts forms to the paths in turn, all at once, and counts the statuses of the responses.
func (srv *testServer) postConcurrently(path []string, forms []url.Values) map[int]int {
	srv.t.Helper()
	statuses := make(chan int, len(forms))
	var group sync.WaitGroup
	for i, form := range forms {
		group.Go(func() {
			res, err := http.PostForm(srv.public.URL+path[i%len(path)], form)
			if err != nil {
				srv.t.Error(err)
				return
			}
			res.Body.Close()
			statuses <- res.StatusCode
		})
	}
	group.Wait()
	close(statuses)
	got := make(map[int]int)
	for status := range statuses {
		got[status]++
	}
	return got
}

func TestDecryptLimit_Concurrent(t *testing.T) {
	t.Run("tries no more than the limit", func(t *testing.T) {
		const limit, attempts = 10, 256
		srv := newTestServer(t, withLimits(handlers.Limits{FailedUpdates: limit}), withGatedSessions(limit))
		p := srv.device("mallory")
		tokens := []string{srv.login(p).Token, srv.login(p).Token, srv.login(p).Token}
		var forms []url.Values
		for i := range attempts {
			forms = append(forms, url.Values{"token": {tokens[i%len(tokens)]}, "encryptedData": {garbage}, "iv": {garbage}})
		}
		got := srv.postConcurrently([]string{"/updateUserInfo", "/bindPhone"}, forms)
		if got[422] != limit || got[429] != attempts-limit {
			t.Errorf("got %v, want %d times 422 and %d times 429", got, limit, attempts-limit)
		}
		if tried := srv.metric(`wxlogin_decryptions_total{outcome="failed"}`); tried != "10" {
			t.Errorf("%s attempts were tried, want 10", tried)
		}
		srv.wantLimited(srv.update(srv.login(p).Token, p.GetUserInfo()))
	})
	t.Run("accepts valid data", func(t *testing.T) {
		const limit, updates = 10, 40
		srv := newTestServer(t, withLimits(handlers.Limits{FailedUpdates: limit}))
		p := srv.device("alice")
		token := srv.login(p).Token
		var forms []url.Values
		for range updates {
			forms = append(forms, formOf(token, p.GetUserInfo()))
		}
		if got := srv.postConcurrently([]string{"/updateUserInfo"}, forms); got[429] != 0 || got[422] != 0 {
			t.Errorf("got %v", got)
		}
	})
	t.Run("accepts valid data under the key of another session", func(t *testing.T) {
		const limit, updates = 10, 40
		srv := newTestServer(t, withLimits(handlers.Limits{FailedUpdates: limit}), withGatedSessions(limit)) // the limit is fully reserved
		p := srv.device("alice")
		token := srv.login(p).Token
		p.NewSessionKey()
		srv.login(p)
		var forms []url.Values
		for range updates {
			forms = append(forms, formOf(token, p.GetUserInfo()))
		}
		if got := srv.postConcurrently([]string{"/updateUserInfo"}, forms); got[429] != 0 || got[422] != 0 {
			t.Errorf("got %v", got)
		}
		if n := srv.metric(`wxlogin_decryptions_total{outcome="other_key"}`); n != "40" {
			t.Errorf("%s decryptions, want 40", n)
		}
		srv.mustUpdate(token, p.GetUserInfo()) // all reservations were released
	})
}

// failingSessions is a session store whose OtherSessionKeys fails.
type failingSessions struct{ handlers.Sessions }

func (failingSessions) OtherSessionKeys(context.Context, session.Session) ([]string, error) {
	return nil, session.ErrUnavailable
}

func TestDecryptLimit(t *testing.T) {
	// An attempt counts once it was tried under the session's own key, even if storage fails before other keys are
	// tried: the client can see that the data did not decrypt.
	t.Run("counts an attempt that a storage failure interrupts", func(t *testing.T) {
		srv := newTestServer(t, withLimits(handlers.Limits{FailedUpdates: 3}), func(cfg *serverConfig) {
			cfg.wrapSessions = func(s handlers.Sessions) handlers.Sessions { return failingSessions{s} }
		})
		p := srv.device("mallory")
		token := srv.login(p).Token
		for range 3 {
			srv.mustUpdate(token, p.GetUserInfo()) // needs no other key and is not counted
			srv.wantProblem(srv.update(token, wechattest.OpenData{EncryptedData: garbage, IV: garbage}), 503, "storage_unavailable", "retry")
		}
		srv.wantLimited(srv.update(token, p.GetUserInfo()))
	})
}

// countingSessions counts the calls of OtherSessionKeys.
type countingSessions struct {
	handlers.Sessions
	calls atomic.Int64
}

func (c *countingSessions) OtherSessionKeys(ctx context.Context, sess session.Session) ([]string, error) {
	c.calls.Add(1)
	return c.Sessions.OtherSessionKeys(ctx, sess)
}

func TestEncryptedData_Malformed(t *testing.T) {
	// Data that no key could decrypt is not undecryptable but invalid, because a new login would not help. It does not
	// count towards the limit.
	t.Run("is an invalid request", func(t *testing.T) {
		const (
			badData = "encryptedData must be the base64 of whole 16-byte blocks."
			badIV   = "iv must be the base64 of 16 bytes."
		)
		bytes := func(n int) string { return base64.StdEncoding.EncodeToString(make([]byte, n)) }
		keys := &countingSessions{}
		srv := newTestServer(t, withLimits(handlers.Limits{FailedUpdates: 2}), func(cfg *serverConfig) {
			cfg.wrapSessions = func(s handlers.Sessions) handlers.Sessions { keys.Sessions = s; return keys }
		})
		p := srv.device("alice")
		token := srv.login(p).Token
		good := p.GetUserInfo()
		for name, test := range map[string]struct{ data, iv, detail string }{
			"data that is no base64":     {"%%%%", good.IV, badData},
			"data that is JSON":          {`{"a":1}`, good.IV, badData},
			"data percent-encoded twice": {strings.ReplaceAll(good.EncryptedData[:62], "A", "B") + "%3D", good.IV, badData},
			"data with a bad padding":    {bytes(16) + "=", good.IV, badData},
			"data of no bytes":           {"\n", good.IV, badData},
			"data of 1 byte":             {bytes(1), good.IV, badData},
			"data of 15 bytes":           {bytes(15), good.IV, badData},
			"data of 17 bytes":           {bytes(17), good.IV, badData},
			"data cut short":             {good.EncryptedData[:40], good.IV, badData},
			"data in hex":                {"0123456789abcdef0", good.IV, badData},
			"an iv that is no base64":    {good.EncryptedData, "undefined!", badIV},
			"an iv of no bytes":          {good.EncryptedData, "\t", badIV},
			"an iv of 3 bytes":           {good.EncryptedData, "AAAA", badIV},
			"an iv of 15 bytes":          {good.EncryptedData, bytes(15), badIV},
			"an iv of 17 bytes":          {good.EncryptedData, bytes(17), badIV},
			"both":                       {"x", "x", badData},
		} {
			for _, path := range []string{"/updateUserInfo", "/bindPhone"} {
				r := srv.postForm(path, "token", token, "encryptedData", test.data, "iv", test.iv)
				srv.wantProblem(r, 400, "invalid_request", "none")
				if r.body.Detail != test.detail {
					t.Errorf("%s, %s: %q", path, name, r.body.Detail)
				}
			}
		}
		if n := keys.calls.Load(); n != 0 {
			t.Errorf("OtherSessionKeys was called %d times", n)
		}
		for _, outcome := range []string{"failed", "own_key", "other_key"} {
			if n := srv.metric(`wxlogin_decryptions_total{outcome="` + outcome + `"}`); n != "" {
				t.Errorf("%s decryptions are %s", n, outcome)
			}
		}
		for range 3 { // nothing was counted
			srv.mustUpdate(token, good)
		}
		srv.wantProblem(srv.postForm("/updateUserInfo", "token", token, "encryptedData", garbage, "iv", garbage), 422, "undecryptable", "relogin")
	})

	// An invalid token is reported first. If there is a code, encrypted data is ignored.
	t.Run("is checked after the token, and not at all if there is a code", func(t *testing.T) {
		srv := newTestServer(t)
		p := srv.device("alice")
		token := srv.login(p).Token
		srv.wantProblem(srv.postForm("/updateUserInfo", "token", strings.Repeat("A", 43), "encryptedData", "x", "iv", "x"), 401, "invalid_token", "relogin")
		r := srv.postForm("/bindPhone", "token", token, "code", p.PhoneCode(), "encryptedData", "x", "iv", "x")
		srv.wantBound(r, p, "86", "138****"+p.PhoneNumber()[7:])
	})
}

// undecryptable returns data of every kind that p's session must reject.
func undecryptable(p, stranger *wechattest.Device) map[string]wechattest.OpenData {
	good := p.GetUserInfo()
	sealed := func(plain string) wechattest.OpenData {
		data, iv := wechattest.Seal(p.SessionKey(), []byte(plain))
		return wechattest.OpenData{EncryptedData: data, IV: iv}
	}
	return map[string]wechattest.OpenData{
		"bad padding":     {EncryptedData: good.EncryptedData[:64], IV: good.IV},
		"other iv":        {EncryptedData: good.EncryptedData, IV: "AAAAAAAAAAAAAAAAAAAAAA=="},
		"no json":         sealed("hello"),
		"no profile":      sealed(`{"watermark":{"timestamp":1,"appid":"` + appID + `"}}`),
		"phone number":    sealed(`{"phoneNumber":"+8613","nickName":"x","watermark":{"timestamp":1,"appid":"` + appID + `"}}`),
		"other app":       sealed(`{"nickName":"x","watermark":{"timestamp":1,"appid":"` + otherAppID + `"}}`),
		"no watermark":    sealed(`{"nickName":"x"}`),
		"other openid":    sealed(`{"openId":"oOTHER","nickName":"x","watermark":{"timestamp":1,"appid":"` + appID + `"}}`),
		"strangers data":  stranger.GetUserInfo(),
		"wrong signature": {EncryptedData: good.EncryptedData, IV: good.IV, RawData: good.RawData, Signature: strings.Repeat("0", 40)},
		"odd signature":   {EncryptedData: good.EncryptedData, IV: good.IV, RawData: good.RawData, Signature: "x"},
		"other raw data":  {EncryptedData: good.EncryptedData, IV: good.IV, RawData: good.RawData + " ", Signature: good.Signature},
	}
}

// BenchmarkUpdateUserInfo_undecryptable shows that all kinds of undecryptable data take the same time. It leaves out
// the delay before the retry, which is the same for all and would hide differences.
func BenchmarkUpdateUserInfo_undecryptable(b *testing.B) {
	srv := newTestServer(b)
	p := srv.device("alice")
	token := srv.login(p).Token
	cases := undecryptable(p, srv.device("bob"))
	for _, name := range slices.Sorted(maps.Keys(cases)) {
		data := cases[name]
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				srv.postWant(b, http.StatusUnprocessableEntity, "/updateUserInfo", formOf(token, data))
			}
		})
	}
}
