package handlers_test

import (
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"wxlogin/handlers"
	"wxlogin/internal/ratelimit"
	"wxlogin/internal/testenv"
	"wxlogin/wechat/wechattest"
)

func limits(l handlers.Limits) func(*setup) { return func(su *setup) { su.limits = l } }

func (w *world) wantLimited(r response) {
	w.t.Helper()
	w.wantProblem(r, 429, "rate_limited", "retry")
}

// wantRefusals fails unless /metrics has counted so many requests beyond a bound.
func (w *world) wantRefusals(bound, n string) {
	w.t.Helper()
	if got := w.metric(`wxlogin_refusals_total{bound="` + bound + `"}`); got != n {
		w.t.Errorf("%s requests beyond %s, want %s", got, bound, n)
	}
}

func TestLimit_of_logins_by_address(t *testing.T) {
	w := newWorld(t, limits(handlers.Limits{Logins: 2}))
	w.login(w.phone("alice"))
	w.login(w.phone("bob"))
	w.wantLimited(w.form("/onLogin", "code", w.phone("carol").Login()))
	w.wantRefusals("login_rate", "1")
	w.wantUsers("2", "2")
	if n := w.sim.Calls(); n != 2 {
		t.Errorf("WeChat was asked %d times, want 2", n)
	}
}

func TestLimit_believes_only_trusted_proxies(t *testing.T) {
	ask := func(w *world, forwarded string) response {
		req := w.request("/onLogin", formType, url.Values{"code": {w.phone("alice").Login()}}.Encode())
		req.Header.Set("X-Forwarded-For", forwarded)
		return w.do(req)
	}
	t.Run("untrusted_peer", func(t *testing.T) {
		w := newWorld(t, limits(handlers.Limits{Logins: 1}))
		ask(w, "192.0.2.1")
		w.wantLimited(ask(w, "192.0.2.2"))
	})
	t.Run("untrusted_peer_beside_trusted_networks", func(t *testing.T) {
		w := newWorld(t, limits(handlers.Limits{Logins: 1}), func(su *setup) { su.proxies = []string{"10.0.0.0/8"} })
		ask(w, "192.0.2.1")
		w.wantLimited(ask(w, "192.0.2.2"))
	})
	trusted := func(su *setup) { su.limits.Logins, su.proxies = 1, []string{"127.0.0.1/32", "::1/128"} }
	t.Run("trusted_peer", func(t *testing.T) {
		w := newWorld(t, trusted)
		for _, address := range []string{"192.0.2.1", "192.0.2.2"} {
			if r := ask(w, address); r.status != http.StatusOK {
				t.Errorf("%d %s", r.status, r.body.Code)
			}
		}
		w.wantLimited(ask(w, "198.51.100.7, 192.0.2.1")) // what a client puts in front is not believed
	})
	t.Run("one_IPv6_network_is_one_client", func(t *testing.T) {
		w := newWorld(t, trusted)
		ask(w, "2001:db8::1")
		w.wantLimited(ask(w, "2001:db8::2"))
		if r := ask(w, "2001:db8:0:1::1"); r.status != http.StatusOK {
			t.Errorf("another network: %d %s", r.status, r.body.Code)
		}
	})
	t.Run("clients_with_ports_are_told_apart", func(t *testing.T) {
		w := newWorld(t, trusted)
		for _, address := range []string{"192.0.2.1:5000", "192.0.2.2:5000", "[2001:db8::1]:443", "[2001:db8:0:1::1]:443", `"192.0.2.3"`} {
			if r := ask(w, address); r.status != http.StatusOK {
				t.Errorf("%s: %d %s", address, r.status, r.body.Code)
			}
		}
		for _, address := range []string{"192.0.2.1:5001", "192.0.2.2", "2001:db8::2", "::ffff:192.0.2.1"} {
			w.wantLimited(ask(w, address))
		}
		if n := w.metric("wxlogin_unreadable_forwarded_for_total"); n != "0" {
			t.Errorf("%s headers could not be read", n)
		}
	})
	t.Run("what_cannot_be_read_counts_apart_and_is_logged_once", func(t *testing.T) {
		w := newWorld(t, trusted)
		if r := ask(w, "unknown"); r.status != http.StatusOK {
			t.Errorf("%d %s", r.status, r.body.Code)
		}
		w.wantLimited(ask(w, "192.0.2.1, _hidden-value"))
		for _, address := range []string{"", "192.0.2.1"} { // the proxy itself, and a client
			if r := ask(w, address); r.status != http.StatusOK {
				t.Errorf("%q: %d %s", address, r.status, r.body.Code)
			}
		}
		if n := w.metric("wxlogin_unreadable_forwarded_for_total"); n != "2" {
			t.Errorf("%s headers could not be read, want 2", n)
		}
		log := w.logs.String()
		if n := strings.Count(log, "X-Forwarded-For"); n != 1 || strings.Contains(log, "hidden-value") {
			t.Errorf("it is logged %d times, or with the value", n)
		}
	})
	t.Run("networks_that_cannot_be_read_are_refused", func(t *testing.T) {
		_, err := handlers.NewPublic(handlers.PublicOptions{
			Apps: []handlers.CodeExchanger{willing{}}, Sessions: hanging{}, Users: hanging{},
			Logger: slog.New(slog.DiscardHandler), Metrics: handlers.NewMetrics(), TrustedProxies: []string{"10.0.0.0/8", "proxy"},
		})
		if err == nil || !strings.Contains(err.Error(), `"proxy"`) {
			t.Errorf("got %v", err)
		}
	})
}

// A user can log in again at will: all sessions share one limit of updates, phone codes and pictures.
func TestLimit_of_updates_by_user(t *testing.T) {
	w := newWorld(t, twoApps, limits(handlers.Limits{Updates: 3}))
	p := w.phone("alice")
	first, second := w.login(p).Token, w.login(p).Token
	w.mustUpdate(first, p.GetUserInfo())
	w.mustUpdate(second, p.GetUserInfo())
	if r := w.form("/bindPhone", "token", w.login(p).Token, "code", p.PhoneCode()); r.status != http.StatusOK {
		t.Errorf("bindPhone: %d %s", r.status, r.body.Code)
	}
	for _, token := range []string{first, second, w.login(p).Token} {
		w.wantLimited(w.update(token, p.GetUserInfo()))
		w.wantLimited(w.form("/bindPhone", "token", token, "code", p.PhoneCode()))
		w.wantLimited(w.upload(token, []byte("no picture")))
	}
	w.wantRefusals("update_rate", "9")
	if n := w.sim.Stats().PhoneCalls; n != 1 {
		t.Errorf("%d calls of WeChat, want 1", n)
	}

	bob, elsewhere := w.phone("bob"), w.sim.Device(otherAppID, wechattest.User{Name: "alice"})
	w.mustUpdate(w.login(bob).Token, bob.GetUserInfo())
	w.mustUpdate(w.login(elsewhere).Token, elsewhere.GetUserInfo())
}

// Tokens that stand for nobody leave nothing in the counters, which a flood of them would fill.
func TestLimit_counts_no_unknown_tokens(t *testing.T) {
	keys := testenv.NewRedis(t)
	count := func(ask func(w *world)) int {
		counter := ratelimit.New(ratelimit.Options{
			Redis: keys.Client, Prefix: "rate:", Window: handlers.RateWindow, Timeout: time.Minute,
		})
		ask(newWorld(t, limits(handlers.Limits{Updates: 1, FailedUpdates: 1, Counter: counter})))
		if err := counter.Close(); err != nil || counter.Degraded() {
			t.Fatalf("%v, degraded %v", err, counter.Degraded())
		}
		return len(keys.Dump(t))
	}
	if n := count(func(w *world) { w.wantDead("x") }); n != 0 {
		t.Errorf("%d keys are counted", n)
	}
	if n := count(func(w *world) { w.wantAlive(w.login(w.phone("alice")).Token) }); n != 2 {
		t.Errorf("%d keys are counted, want those of updates and of failed updates", n)
	}
}

// Who sends data that cannot be opened soon learns nothing more, in whichever session, not even whether it would open.
func TestLimit_of_failed_decryptions_starves_an_oracle(t *testing.T) {
	w := newWorld(t, limits(handlers.Limits{FailedUpdates: 3}))
	p := w.phone("mallory")
	token := w.login(p).Token
	w.mustUpdate(token, p.GetUserInfo()) // what opens is not counted
	for range 3 {
		w.wantAlive(token)
	}
	w.wantLimited(w.update(token, p.GetUserInfo()))
	w.wantLimited(w.update(w.login(p).Token, p.GetUserInfo()))
	w.wantRefusals("failed_update_rate", "2")

	bob := w.phone("bob")
	w.mustUpdate(w.login(bob).Token, bob.GetUserInfo())
}
