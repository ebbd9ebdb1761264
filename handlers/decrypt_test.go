package handlers_test

import (
	"context"
	"encoding/base64"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"wxlogin/handlers"
	"wxlogin/session"
	"wxlogin/wechat/wechattest"
)

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
