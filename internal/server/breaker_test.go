package server

import (
	"context"
	"errors"
	"log/slog"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/sony/gobreaker/v2"

	"wxlogin/wechat"
	"wxlogin/wechat/wechattest"
)

// breakerApp is a real client of a simulator, behind a breaker.
type breakerApp struct {
	withBreaker
	sim    *wechattest.Simulator
	opened int
}

func newBreakerApp(t *testing.T, open time.Duration) *breakerApp {
	t.Helper()
	const appID, secret = "wx0123456789abcdef", "5ec2e7a9905ec2e7a9905ec2e7a99099"
	a := &breakerApp{sim: wechattest.New(wechattest.Options{Apps: map[string]string{appID: secret}})}
	server := httptest.NewServer(a.sim)
	t.Cleanup(server.Close)
	client, err := wechat.NewClient(wechat.Options{AppID: appID, Secret: secret, BaseURL: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	s := defaultBreaker
	s.failures, s.consecutiveFailures, s.openFor = 3, 3, open
	a.withBreaker = withBreaker{client, newBreaker(s, slog.New(slog.DiscardHandler), func() { a.opened++ })}
	return a
}

// login exchanges one code. The simulator applies the faults to it.
func (a *breakerApp) login(t *testing.T, faults ...wechattest.Fault) error {
	t.Helper()
	a.sim.Fail(faults...)
	_, err := a.Code2Session(t.Context(), a.sim.Device("", wechattest.User{Name: "alice"}).Login())
	return err
}

func (a *breakerApp) wantState(t *testing.T, want gobreaker.State) {
	t.Helper()
	if got := a.breaker.State(); got != want {
		t.Fatalf("the breaker is %v, want %v", got, want)
	}
}

func TestBreaker(t *testing.T) {
	t.Run("opens if WeChat fails", func(t *testing.T) {
		for name, faults := range map[string][]wechattest.Fault{
			"lost connections": {wechattest.Dropped},
			"bad gateway":      {wechattest.BadGateway},
			"unreadable":       {wechattest.BrokenJSON},
			"busy":             slices.Repeat([]wechattest.Fault{wechattest.Busy}, 3), // one login tries three times
		} {
			t.Run(name, func(t *testing.T) {
				a := newBreakerApp(t, time.Hour)
				for range 3 {
					a.wantState(t, gobreaker.StateClosed)
					if err := a.login(t, faults...); wechat.KindOf(err) != wechat.KindUnavailable {
						t.Fatalf("got %v", err)
					}
				}
				a.wantState(t, gobreaker.StateOpen)
				calls := a.sim.Calls()
				if err := a.login(t); wechat.KindOf(err) != wechat.KindUnavailable || !errors.Is(err, gobreaker.ErrOpenState) {
					t.Errorf("with an open breaker: %v", err)
				}
				if a.sim.Calls() != calls {
					t.Error("an open breaker passes on a call")
				}
				if a.opened != 1 {
					t.Errorf("onOpen was called %d times", a.opened)
				}
			})
		}
	})

	// A response about a code, a user or this server's configuration shows that WeChat works.
	t.Run("stays closed on error codes that WeChat returns", func(t *testing.T) {
		a := newBreakerApp(t, time.Hour)
		for _, errCode := range []int{40029, 40163, 40226, 40013, 40125, 40164, 45011, 12345} {
			for range 4 {
				if err := a.login(t, wechattest.ErrCode(errCode)); err == nil {
					t.Fatal("the login succeeded")
				}
			}
			a.wantState(t, gobreaker.StateClosed)
		}
	})

	t.Run("ignores cancelled calls", func(t *testing.T) {
		a := newBreakerApp(t, time.Hour)
		for range 10 {
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			if _, err := a.Code2Session(ctx, "a code"); !errors.Is(err, context.Canceled) {
				t.Fatalf("got %v", err)
			}
		}
		a.wantState(t, gobreaker.StateClosed)
		// They do not hide failures either.
		for range 3 {
			a.login(t, wechattest.Dropped)
		}
		a.wantState(t, gobreaker.StateOpen)
	})

	t.Run("closes after WeChat has recovered", func(t *testing.T) {
		a := newBreakerApp(t, 10*time.Millisecond)
		for range 3 {
			a.login(t, wechattest.Dropped)
		}
		becomesHalfOpen := func() {
			for deadline := time.Now().Add(30 * time.Second); a.breaker.State() != gobreaker.StateHalfOpen; time.Sleep(time.Millisecond) {
				if time.Now().After(deadline) {
					t.Fatal("the breaker stays open")
				}
			}
		}
		becomesHalfOpen()
		a.login(t, wechattest.Dropped) // still failing
		if a.opened != 2 {
			t.Errorf("a failed half-open call does not open the breaker again")
		}
		becomesHalfOpen()
		for range defaultBreaker.halfOpenCalls {
			if err := a.login(t); err != nil {
				t.Fatal(err)
			}
		}
		a.wantState(t, gobreaker.StateClosed)
	})

	// A few lost connections among many logins must not make the breaker reject any.
	t.Run("stays closed on few failures among many logins", func(t *testing.T) {
		a := newBreakerApp(t, time.Hour)
		for range 4 {
			for range 2 {
				if err := a.login(t); err != nil {
					t.Fatal(err)
				}
			}
			a.login(t, wechattest.Dropped)
		}
		a.wantState(t, gobreaker.StateClosed)
	})
}
