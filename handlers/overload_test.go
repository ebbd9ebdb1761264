package handlers_test

import (
	"context"
	"net/http"
	"net/url"
	"testing"
	"time"

	"wxlogin/handlers"
	"wxlogin/wechat"
)

// gatedWeChat is an app that announces each call of WeChat and waits for release.
type gatedWeChat struct {
	handlers.CodeExchanger
	called, release chan struct{}
}

func (g gatedWeChat) Code2Session(ctx context.Context, code string) (wechat.Session, error) {
	g.called <- struct{}{}
	<-g.release
	return g.CodeExchanger.Code2Session(ctx, code)
}

// newGatedServer returns a server with limits whose logins wait in gatedWeChat.
func newGatedServer(t *testing.T, l handlers.Limits) (srv *testServer, g gatedWeChat) {
	t.Helper()
	g = gatedWeChat{called: make(chan struct{}), release: make(chan struct{})}
	return newTestServer(t, withLimits(l), func(cfg *serverConfig) {
		cfg.wrapApp = func(e handlers.CodeExchanger) handlers.CodeExchanger { g.CodeExchanger = e; return g }
	}), g
}

// startLogin logs a user in and returns a channel for the status of the response.
func (srv *testServer) startLogin(name string) <-chan int {
	srv.t.Helper()
	form := url.Values{"code": {srv.device(name).Login()}}
	status := make(chan int, 1)
	go func() {
		res, err := http.PostForm(srv.public.URL+"/onLogin", form)
		if err != nil {
			srv.t.Error(err)
			status <- 0
			return
		}
		res.Body.Close()
		status <- res.StatusCode
	}()
	return status
}

// waitFor waits for a condition that is bound to become true.
func waitFor(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
	}
}

func TestLoginSlots(t *testing.T) {
	t.Run("rejects a login if the queue is full", func(t *testing.T) {
		srv, weChat := newGatedServer(t, handlers.Limits{LoginsInFlight: 1, LoginWait: time.Hour})
		first := srv.startLogin("first")
		<-weChat.called
		second := srv.startLogin("second")
		waitFor(t, "the second login queues", func() bool { return srv.metric("wxlogin_logins_queued") == "1" })
		if got := srv.metric("wxlogin_logins_in_flight"); got != "1" {
			t.Errorf("%s logins in flight, want 1", got)
		}

		r := srv.postForm("/onLogin", "code", srv.device("third").Login())
		srv.wantProblem(r, 503, "wechat_unavailable", "retry")
		srv.wantRefusals("logins_in_flight", "1")
		// Updates and logouts do not call WeChat, so they go on.
		srv.wantInvalidToken("x")
		srv.mustLogout("token", "x")

		weChat.release <- struct{}{}
		<-weChat.called // the second login has the slot of the first
		weChat.release <- struct{}{}
		for name, status := range map[string]<-chan int{"first": first, "second": second} {
			if got := <-status; got != http.StatusOK {
				t.Errorf("%s login: status %d", name, got)
			}
		}
		srv.wantUsers("2", "2")
	})

	t.Run("rejects a login that has waited too long", func(t *testing.T) {
		srv, weChat := newGatedServer(t, handlers.Limits{LoginsInFlight: 1, LoginWait: time.Millisecond})
		first := srv.startLogin("first")
		<-weChat.called
		srv.wantProblem(srv.postForm("/onLogin", "code", srv.device("second").Login()), 503, "wechat_unavailable", "retry")
		weChat.release <- struct{}{}
		if got := <-first; got != http.StatusOK {
			t.Errorf("login in progress: status %d", got)
		}
		// The slot is free again.
		third := srv.startLogin("third")
		<-weChat.called
		weChat.release <- struct{}{}
		if got := <-third; got != http.StatusOK {
			t.Errorf("next login: status %d", got)
		}
	})

	// A client that disconnects leaves the queue.
	t.Run("frees the queue if a client disconnects", func(t *testing.T) {
		srv, weChat := newGatedServer(t, handlers.Limits{LoginsInFlight: 1, LoginWait: time.Hour})
		first := srv.startLogin("first")
		<-weChat.called
		ctx, cancel := context.WithCancel(t.Context())
		req := srv.request("/onLogin", formType, url.Values{"code": {srv.device("second").Login()}}.Encode()).WithContext(ctx)
		gone := make(chan struct{})
		go func() {
			defer close(gone)
			if res, err := http.DefaultClient.Do(req); err == nil {
				res.Body.Close()
				t.Error("the request got a response")
			}
		}()
		waitFor(t, "the second login queues", func() bool { return srv.metric("wxlogin_logins_queued") == "1" })
		cancel()
		<-gone
		waitFor(t, "the queue is empty", func() bool { return srv.metric("wxlogin_logins_queued") == "0" })
		weChat.release <- struct{}{}
		if got := <-first; got != http.StatusOK {
			t.Errorf("login in progress: status %d", got)
		}
	})
}

func TestLoginSlots_RateLimit(t *testing.T) {
	// A client beyond its limit takes no slot, not even in the queue, and is rejected for its rate.
	t.Run("rejects a client beyond its limit before it queues", func(t *testing.T) {
		srv, weChat := newGatedServer(t, handlers.Limits{LoginsInFlight: 1, LoginWait: time.Hour, Logins: 2})
		first := srv.startLogin("first")
		<-weChat.called
		second := srv.startLogin("second")
		waitFor(t, "the second login queues", func() bool { return srv.metric("wxlogin_logins_queued") == "1" })
		srv.wantLimited(srv.postForm("/onLogin", "code", srv.device("third").Login())) // not for the full queue
		srv.wantRefusals("login_rate", "1")

		weChat.release <- struct{}{}
		<-weChat.called
		weChat.release <- struct{}{}
		if a, b := <-first, <-second; a != http.StatusOK || b != http.StatusOK {
			t.Errorf("status %d and %d", a, b)
		}
	})

	t.Run("does not count a login that gets no slot", func(t *testing.T) {
		srv, weChat := newGatedServer(t, handlers.Limits{LoginsInFlight: 1, LoginWait: time.Millisecond, Logins: 2})
		first := srv.startLogin("first")
		<-weChat.called
		for range 5 {
			srv.wantProblem(srv.postForm("/onLogin", "code", srv.device("second").Login()), 503, "wechat_unavailable", "retry")
		}
		weChat.release <- struct{}{}
		<-first
		second := srv.startLogin("second")
		<-weChat.called
		weChat.release <- struct{}{}
		if got := <-second; got != http.StatusOK {
			t.Errorf("status %d", got)
		}
	})
}
