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

// gated is an app at a WeChat that tells when it is asked, and waits until it may answer.
type gated struct {
	handlers.CodeExchanger
	asked, proceed chan struct{}
}

func (g gated) Code2Session(ctx context.Context, code string) (wechat.Session, error) {
	g.asked <- struct{}{}
	<-g.proceed
	return g.CodeExchanger.Code2Session(ctx, code)
}

// newGatedWorld is a world with bounds for logins whose WeChat waits for proceed.
func newGatedWorld(t *testing.T, l handlers.Limits) (w *world, g gated) {
	t.Helper()
	g = gated{asked: make(chan struct{}), proceed: make(chan struct{})}
	return newWorld(t, limits(l), func(su *setup) {
		su.exchange = func(e handlers.CodeExchanger) handlers.CodeExchanger { g.CodeExchanger = e; return g }
	}), g
}

// begin logs somebody in, and tells the status of the answer when there is one.
func (w *world) begin(name string) <-chan int {
	w.t.Helper()
	form := url.Values{"code": {w.phone(name).Login()}}
	status := make(chan int, 1)
	go func() {
		res, err := http.PostForm(w.public.URL+"/onLogin", form)
		if err != nil {
			w.t.Error(err)
			status <- 0
			return
		}
		res.Body.Close()
		status <- res.StatusCode
	}()
	return status
}

// until waits for something that is bound to become true.
func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
	}
}

func TestOverload_refuses_what_neither_works_nor_queues(t *testing.T) {
	w, weChat := newGatedWorld(t, handlers.Limits{LoginsInFlight: 1, LoginWait: time.Hour})
	first := w.begin("first")
	<-weChat.asked
	second := w.begin("second")
	until(t, "the second login queues", func() bool { return w.metric("wxlogin_logins_queued") == "1" })
	if got := w.metric("wxlogin_logins_in_flight"); got != "1" {
		t.Errorf("%s logins are at work, want 1", got)
	}

	r := w.form("/onLogin", "code", w.phone("third").Login())
	w.wantProblem(r, 503, "wechat_unavailable", "retry")
	w.wantRefusals("logins_in_flight", "1")
	// Updates and logouts hold nothing upstream: they go on.
	w.wantDead("x")
	w.mustLogout("token", "x")

	weChat.proceed <- struct{}{}
	<-weChat.asked // the second has taken the first one's place
	weChat.proceed <- struct{}{}
	for name, status := range map[string]<-chan int{"first": first, "second": second} {
		if got := <-status; got != http.StatusOK {
			t.Errorf("the %s login was answered %d", name, got)
		}
	}
	w.wantUsers("2", "2")
}

func TestOverload_queues_only_for_a_short_time(t *testing.T) {
	w, weChat := newGatedWorld(t, handlers.Limits{LoginsInFlight: 1, LoginWait: time.Millisecond})
	first := w.begin("first")
	<-weChat.asked
	w.wantProblem(w.form("/onLogin", "code", w.phone("second").Login()), 503, "wechat_unavailable", "retry")
	weChat.proceed <- struct{}{}
	if got := <-first; got != http.StatusOK {
		t.Errorf("the login at work was answered %d", got)
	}
	// The place is free again.
	third := w.begin("third")
	<-weChat.asked
	weChat.proceed <- struct{}{}
	if got := <-third; got != http.StatusOK {
		t.Errorf("the login after it was answered %d", got)
	}
}

// Who hangs up while he queues holds no place.
func TestOverload_forgets_clients_that_do_not_wait(t *testing.T) {
	w, weChat := newGatedWorld(t, handlers.Limits{LoginsInFlight: 1, LoginWait: time.Hour})
	first := w.begin("first")
	<-weChat.asked
	ctx, cancel := context.WithCancel(t.Context())
	req := w.request("/onLogin", formType, url.Values{"code": {w.phone("second").Login()}}.Encode()).WithContext(ctx)
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		if res, err := http.DefaultClient.Do(req); err == nil {
			res.Body.Close()
			t.Error("it was answered")
		}
	}()
	until(t, "the second login queues", func() bool { return w.metric("wxlogin_logins_queued") == "1" })
	cancel()
	<-gone
	until(t, "the queue is empty", func() bool { return w.metric("wxlogin_logins_queued") == "0" })
	weChat.proceed <- struct{}{}
	if got := <-first; got != http.StatusOK {
		t.Errorf("the login at work was answered %d", got)
	}
}

// An address beyond its limit takes no place of others, not even in the queue; and a login that finds no place counts for no
// address.
func TestOverload_and_the_limit_by_address(t *testing.T) {
	w, weChat := newGatedWorld(t, handlers.Limits{LoginsInFlight: 1, LoginWait: time.Hour, Logins: 2})
	first := w.begin("first")
	<-weChat.asked
	second := w.begin("second")
	until(t, "the second login queues", func() bool { return w.metric("wxlogin_logins_queued") == "1" })
	w.wantLimited(w.form("/onLogin", "code", w.phone("third").Login())) // and does not find the queue full
	w.wantRefusals("login_rate", "1")

	weChat.proceed <- struct{}{}
	<-weChat.asked
	weChat.proceed <- struct{}{}
	if a, b := <-first, <-second; a != http.StatusOK || b != http.StatusOK {
		t.Errorf("answered %d and %d", a, b)
	}
}

func TestOverload_counts_for_no_address(t *testing.T) {
	w, weChat := newGatedWorld(t, handlers.Limits{LoginsInFlight: 1, LoginWait: time.Millisecond, Logins: 2})
	first := w.begin("first")
	<-weChat.asked
	for range 5 {
		w.wantProblem(w.form("/onLogin", "code", w.phone("second").Login()), 503, "wechat_unavailable", "retry")
	}
	weChat.proceed <- struct{}{}
	<-first
	second := w.begin("second")
	<-weChat.asked
	weChat.proceed <- struct{}{}
	if got := <-second; got != http.StatusOK {
		t.Errorf("answered %d", got)
	}
}
