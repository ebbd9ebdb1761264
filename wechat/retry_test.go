package wechat_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"wxlogin/wechat"
	"wxlogin/wechat/wechattest"
)

const busyAnswer = `{"errcode":-1,"errmsg":"system error, rid: 652d44d0-1d0af18b-5b069232"}`

func TestRetry_after_errcode_minus_1(t *testing.T) {
	tests := map[string]struct {
		bodies   []string
		calls    int
		kind     wechat.Kind
		min, max time.Duration
	}{
		"once_busy":               {[]string{busyAnswer, goodAnswer}, 2, wechat.KindUnknown, 50 * time.Millisecond, 150 * time.Millisecond},
		"twice_busy":              {[]string{busyAnswer, busyAnswer, goodAnswer}, 3, wechat.KindUnknown, 150 * time.Millisecond, 450 * time.Millisecond},
		"busy_for_good":           {[]string{busyAnswer}, 3, wechat.KindUnavailable, 150 * time.Millisecond, 450 * time.Millisecond},
		"busy_then_used":          {[]string{busyAnswer, `{"errcode":40163}`}, 2, wechat.KindInvalidCode, 50 * time.Millisecond, 150 * time.Millisecond},
		"invalid_is_not_repeated": {[]string{`{"errcode":40029}`}, 1, wechat.KindInvalidCode, 0, 0},
		"limited_is_not_repeated": {[]string{`{"errcode":45011}`}, 1, wechat.KindRateLimited, 0, 0},
		"unknown_is_not_repeated": {[]string{`{"errcode":99999}`}, 1, wechat.KindMisconfigured, 0, 0},
		"failed_is_not_repeated":  {[]string{`{"errcode":-1000}`}, 1, wechat.KindUnavailable, 0, 0},
		"busy_as_a_text":          {[]string{`{"errcode":"-1"}`, goodAnswer}, 2, wechat.KindUnknown, 50 * time.Millisecond, 150 * time.Millisecond},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var calls int
				client := newClient(t, wechat.Options{Transport: answering(&calls, test.bodies...)})
				start := time.Now()
				_, err := client.Code2Session(t.Context(), testCode)
				took := time.Since(start)
				if wechat.KindOf(err) != test.kind || calls != test.calls {
					t.Errorf("%v after %d calls, want %s after %d", err, calls, test.kind, test.calls)
				}
				if took < test.min || took > test.max {
					t.Errorf("took %s, want %s to %s", took, test.min, test.max)
				}
			})
		})
	}
}

func TestRetry_stays_within_the_timeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var calls int
		client := newClient(t, wechat.Options{Transport: answering(&calls, busyAnswer), Timeout: 40 * time.Millisecond})
		start := time.Now()
		_, err := client.Code2Session(t.Context(), testCode)
		e, ok := errors.AsType[*wechat.Error](err)
		if !ok || e.ErrCode != -1 || calls != 1 || time.Since(start) != 0 {
			t.Errorf("%v after %d calls and %s; want the -1 at once, as no pause fits", err, calls, time.Since(start))
		}
	})
}

func TestRetry_ends_with_the_caller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var calls int
		client := newClient(t, wechat.Options{Transport: answering(&calls, busyAnswer)})
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(10*time.Millisecond, cancel)
		_, err := client.Code2Session(ctx, testCode)
		if !errors.Is(err, context.Canceled) || calls != 1 {
			t.Errorf("%v after %d calls", err, calls)
		}
	})
}

func TestTimeout_is_5_seconds_unless_said_otherwise(t *testing.T) {
	for given, want := range map[time.Duration]time.Duration{0: 5 * time.Second, 800 * time.Millisecond: 800 * time.Millisecond} {
		synctest.Test(t, func(t *testing.T) {
			var calls int
			client := newClient(t, wechat.Options{Timeout: given, Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
				calls++
				<-r.Context().Done()
				return nil, r.Context().Err()
			})})
			start := time.Now()
			_, err := client.Code2Session(t.Context(), testCode)
			if took := time.Since(start); took != want || calls != 1 || !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%v after %s and %d calls, want %s and 1", err, took, calls, want)
			}
		})
	}
}

// A body that does not end is bound by the time-out too.
func TestTimeout_covers_the_body(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := newClient(t, wechat.Options{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
			body, w := io.Pipe()
			context.AfterFunc(r.Context(), func() { w.CloseWithError(r.Context().Err()) })
			resp := response(http.StatusOK, "")
			resp.Body = body
			return resp, nil
		})})
		start := time.Now()
		_, err := client.Code2Session(t.Context(), testCode)
		if took := time.Since(start); took != 5*time.Second || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v after %s", err, took)
		}
	})
}

func TestRetry_after_a_connection_that_was_never_made(t *testing.T) {
	sim, _ := simulated(t, wechat.Options{})
	phone := sim.Device(testAppID, wechattest.User{Name: "alice"})
	dialFault := &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}

	t.Run("by_the_transport", func(t *testing.T) {
		var dials atomic.Int32
		transport := wechat.NewTransport()
		defer transport.CloseIdleConnections()
		transport.DialContext = func(context.Context, string, string) (net.Conn, error) {
			dials.Add(1)
			return nil, dialFault
		}
		client := newClient(t, wechat.Options{Transport: transport, BaseURL: "http://wechat.invalid"})
		_, err := client.Code2Session(t.Context(), testCode)
		if dials.Load() != 3 || !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("%v after %d dials, want 3", err, dials.Load())
		}
	})
	t.Run("by_a_transport_without_httptrace", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var calls int
			client := newClient(t, wechat.Options{Transport: roundTrip(func(*http.Request) (*http.Response, error) {
				if calls++; calls == 1 {
					return nil, dialFault
				}
				return response(http.StatusOK, goodAnswer), nil
			})})
			if _, err := client.Code2Session(t.Context(), testCode); err != nil || calls != 2 {
				t.Errorf("%v after %d calls, want success after 2", err, calls)
			}
		})
	})
	t.Run("and_not_after_one_that_was", func(t *testing.T) {
		var calls int
		client := newClient(t, wechat.Options{Transport: roundTrip(func(*http.Request) (*http.Response, error) {
			calls++
			return nil, &url.Error{Op: "Get", URL: "https://x", Err: io.ErrUnexpectedEOF}
		})})
		if _, err := client.Code2Session(t.Context(), testCode); wechat.KindOf(err) != wechat.KindUnavailable || calls != 1 {
			t.Errorf("%v after %d calls, want 1", err, calls)
		}
	})
	t.Run("with_the_code_still_good", func(t *testing.T) {
		code := phone.Login()
		var dials atomic.Int32
		transport := http.DefaultTransport.(*http.Transport).Clone()
		defer transport.CloseIdleConnections()
		dial := transport.DialContext
		transport.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
			if dials.Add(1) == 1 {
				return nil, dialFault
			}
			return dial(ctx, network, addr)
		}
		_, good := simulatedWith(t, sim, transport)
		if _, err := good.Code2Session(t.Context(), code); err != nil {
			t.Error(err)
		}
	})
}

// What was dropped after WeChat had spent the code is not asked again: the answer could only be "code been used".
func TestRetry_never_after_an_exchange_that_may_have_arrived(t *testing.T) {
	for _, fault := range []wechattest.Fault{wechattest.Dropped, wechattest.DroppedAfter, wechattest.BadGateway, wechattest.BrokenJSON} {
		t.Run(string(fault), func(t *testing.T) {
			sim, client := simulated(t, wechat.Options{})
			phone := sim.Device(testAppID, wechattest.User{Name: "alice"})
			for range 3 { // on a fresh connection, and on reused ones
				before := sim.Calls()
				sim.Fail(fault)
				if _, err := client.Code2Session(t.Context(), phone.Login()); wechat.KindOf(err) != wechat.KindUnavailable {
					t.Errorf("got %v", err)
				}
				if n := sim.Calls() - before; n != 1 {
					t.Errorf("%d calls, want 1", n)
				}
				if _, err := client.Code2Session(t.Context(), phone.Login()); err != nil {
					t.Error(err)
				}
			}
		})
	}
}
