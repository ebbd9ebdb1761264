package handlers_test

import (
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"wxlogin/handlers"
	"wxlogin/internal/clientip"
	"wxlogin/internal/ratelimit"
	"wxlogin/internal/testenv/redistest"
	"wxlogin/wechat/wechattest"
)

func withLimits(l handlers.Limits) func(*serverConfig) {
	return func(cfg *serverConfig) { cfg.limits = l }
}

func (srv *testServer) wantLimited(r response) {
	srv.t.Helper()
	srv.wantProblem(r, 429, "rate_limited", "retry")
}

// wantRefusals checks the count of rejected requests in /metrics.
func (srv *testServer) wantRefusals(bound, n string) {
	srv.t.Helper()
	if got := srv.metric(`wxlogin_refusals_total{bound="` + bound + `"}`); got != n {
		srv.t.Errorf("%s requests beyond %s, want %s", got, bound, n)
	}
}

func TestLoginLimit(t *testing.T) {
	t.Run("is per client address", func(t *testing.T) {
		srv := newTestServer(t, withLimits(handlers.Limits{Logins: 2}))
		srv.login(srv.device("alice"))
		srv.login(srv.device("bob"))
		srv.wantLimited(srv.postForm("/onLogin", "code", srv.device("carol").Login()))
		srv.wantRefusals("login_rate", "1")
		srv.wantUsers("2", "2")
		if n := srv.sim.Calls(); n != 2 {
			t.Errorf("%d calls to WeChat, want 2", n)
		}
	})
}

func networks(prefixes ...string) (n clientip.Networks) {
	for _, prefix := range prefixes {
		n = append(n, netip.MustParsePrefix(prefix))
	}
	return n
}

func TestLoginLimit_TrustedProxies(t *testing.T) {
	ask := func(srv *testServer, forwarded string) response {
		req := srv.request("/onLogin", formType, url.Values{"code": {srv.device("alice").Login()}}.Encode())
		req.Header.Set("X-Forwarded-For", forwarded)
		return srv.do(req)
	}
	t.Run("untrusted peer", func(t *testing.T) {
		srv := newTestServer(t, withLimits(handlers.Limits{Logins: 1}))
		ask(srv, "192.0.2.1")
		srv.wantLimited(ask(srv, "192.0.2.2"))
	})
	t.Run("untrusted peer, but trusted networks", func(t *testing.T) {
		srv := newTestServer(t, withLimits(handlers.Limits{Logins: 1}), func(cfg *serverConfig) { cfg.proxies = networks("10.0.0.0/8") })
		ask(srv, "192.0.2.1")
		srv.wantLimited(ask(srv, "192.0.2.2"))
	})
	trusted := func(cfg *serverConfig) { cfg.limits.Logins, cfg.proxies = 1, networks("127.0.0.1/32", "::1/128") }
	t.Run("trusted peer", func(t *testing.T) {
		srv := newTestServer(t, trusted)
		for _, address := range []string{"192.0.2.1", "192.0.2.2"} {
			if r := ask(srv, address); r.status != http.StatusOK {
				t.Errorf("%d %s", r.status, r.body.Code)
			}
		}
		srv.wantLimited(ask(srv, "198.51.100.7, 192.0.2.1")) // the part that the client sent is ignored
	})
	t.Run("one IPv6 network is one client", func(t *testing.T) {
		srv := newTestServer(t, trusted)
		ask(srv, "2001:db8::1")
		srv.wantLimited(ask(srv, "2001:db8::2"))
		if r := ask(srv, "2001:db8:0:1::1"); r.status != http.StatusOK {
			t.Errorf("another network: %d %s", r.status, r.body.Code)
		}
	})
	t.Run("ports are ignored", func(t *testing.T) {
		srv := newTestServer(t, trusted)
		for _, address := range []string{"192.0.2.1:5000", "192.0.2.2:5000", "[2001:db8::1]:443", "[2001:db8:0:1::1]:443", `"192.0.2.3"`} {
			if r := ask(srv, address); r.status != http.StatusOK {
				t.Errorf("%s: %d %s", address, r.status, r.body.Code)
			}
		}
		for _, address := range []string{"192.0.2.1:5001", "192.0.2.2", "2001:db8::2", "::ffff:192.0.2.1"} {
			srv.wantLimited(ask(srv, address))
		}
		if n := srv.metric("wxlogin_unreadable_forwarded_for_total"); n != "0" {
			t.Errorf("%s headers could not be read", n)
		}
	})
	t.Run("clients with an invalid header share a limit, and it is logged once", func(t *testing.T) {
		srv := newTestServer(t, trusted)
		if r := ask(srv, "unknown"); r.status != http.StatusOK {
			t.Errorf("%d %s", r.status, r.body.Code)
		}
		srv.wantLimited(ask(srv, "192.0.2.1, _hidden-value"))
		for _, address := range []string{"", "192.0.2.1"} { // the proxy itself, and a client
			if r := ask(srv, address); r.status != http.StatusOK {
				t.Errorf("%q: %d %s", address, r.status, r.body.Code)
			}
		}
		if n := srv.metric("wxlogin_unreadable_forwarded_for_total"); n != "2" {
			t.Errorf("%s headers could not be read, want 2", n)
		}
		log := srv.logs.String()
		if n := strings.Count(log, "X-Forwarded-For"); n != 1 || strings.Contains(log, "hidden-value") {
			t.Errorf("it is logged %d times, or with the value", n)
		}
	})
}

func TestUpdateLimit(t *testing.T) {
	// A user can log in again at will, so all sessions share one limit for updates, phone numbers and pictures.
	t.Run("is per user, over all sessions", func(t *testing.T) {
		srv := newTestServer(t, withTwoApps, withLimits(handlers.Limits{Updates: 3}))
		p := srv.device("alice")
		first, second := srv.login(p).Token, srv.login(p).Token
		srv.mustUpdate(first, p.GetUserInfo())
		srv.mustUpdate(second, p.GetUserInfo())
		if r := srv.postForm("/bindPhone", "token", srv.login(p).Token, "code", p.PhoneCode()); r.status != http.StatusOK {
			t.Errorf("bindPhone: %d %s", r.status, r.body.Code)
		}
		for _, token := range []string{first, second, srv.login(p).Token} {
			srv.wantLimited(srv.update(token, p.GetUserInfo()))
			srv.wantLimited(srv.postForm("/bindPhone", "token", token, "code", p.PhoneCode()))
			srv.wantLimited(srv.upload(token, []byte("no picture")))
		}
		srv.wantRefusals("update_rate", "9")
		if n := srv.sim.Stats().PhoneCalls; n != 1 {
			t.Errorf("%d calls of WeChat, want 1", n)
		}

		bob, elsewhere := srv.device("bob"), srv.sim.Device(otherAppID, wechattest.User{Name: "alice"})
		srv.mustUpdate(srv.login(bob).Token, bob.GetUserInfo())
		srv.mustUpdate(srv.login(elsewhere).Token, elsewhere.GetUserInfo())
	})

	// Unknown tokens leave nothing in the counters. Otherwise a flood of them would fill the counters.
	t.Run("does not count unknown tokens", func(t *testing.T) {
		keys := redistest.New(t)
		count := func(ask func(srv *testServer)) int {
			counter := ratelimit.New(ratelimit.Options{
				Redis: keys.Client, Prefix: keys.Prefix + "rate:", Window: handlers.RateWindow, Timeout: time.Minute,
			})
			ask(newTestServer(t, withLimits(handlers.Limits{Updates: 1, FailedUpdates: 1, Counter: counter})))
			if err := counter.Close(); err != nil || counter.Degraded() {
				t.Fatalf("%v, degraded %v", err, counter.Degraded())
			}
			return len(keys.Dump(t))
		}
		if n := count(func(srv *testServer) { srv.wantInvalidToken("x") }); n != 0 {
			t.Errorf("%d keys are counted", n)
		}
		if n := count(func(srv *testServer) { srv.wantValidToken(srv.login(srv.device("alice")).Token) }); n != 2 {
			t.Errorf("%d keys are counted, want those of updates and of failed updates", n)
		}
	})
}

// A client that sends undecryptable data is soon rejected in all sessions, even if the data would decrypt.
func TestDecryptLimit_Oracle(t *testing.T) {
	srv := newTestServer(t, withLimits(handlers.Limits{FailedUpdates: 3}))
	p := srv.device("mallory")
	token := srv.login(p).Token
	srv.mustUpdate(token, p.GetUserInfo()) // successful decryptions are not counted
	for range 3 {
		srv.wantValidToken(token)
	}
	srv.wantLimited(srv.update(token, p.GetUserInfo()))
	srv.wantLimited(srv.update(srv.login(p).Token, p.GetUserInfo()))
	srv.wantRefusals("failed_update_rate", "2")

	bob := srv.device("bob")
	srv.mustUpdate(srv.login(bob).Token, bob.GetUserInfo())
}
