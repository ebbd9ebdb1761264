package handlers_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"wxlogin/session"
	"wxlogin/wechat/wechattest"
)

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
