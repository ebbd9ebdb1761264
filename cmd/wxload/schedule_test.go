package main

import (
	"context"
	"io"
	"net/http"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"wxlogin/internal/testenv/servertest"
)

// playFake runs a load in a time of its own, against a fake and a simulator that takes as long as it is told.
func playFake(t *testing.T, ctx context.Context, c config, f *fake, simulator time.Duration) result {
	t.Helper()
	l, err := newLoad(c, transports{inProcess{f}, inProcess{slow(servertest.NewSimulator(), simulator)}})
	if err != nil {
		t.Fatal(err)
	}
	res, err := l.play(ctx, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	return res
}

// Two phones and a server that takes a second: two actions a second are sent of ten that are due. The k-th pair is sent
// 0.8 s later after its due time than the pair before, and all of that counts.
func TestOpenLoop_counts_from_when_an_action_was_due(t *testing.T) {
	c := configOf(t, "-phones", "2", "-users", "2", "-rate", "10", "-duration", "10s", "-mix", "userinfo=1")
	synctest.Test(t, func(t *testing.T) {
		res := playFake(t, t.Context(), c, &fake{takes: time.Second}, 0)
		s := res.Schedule
		if s.Due != 100 || s.Sent != 20 || s.Unsent != 80 || s.OnTime != 2 || s.WaitedForSimulator != 0 {
			t.Errorf("%+v", *s)
		}
		if res.All.Max != 8200 || s.LagMax != 7200 || res.All.P50 < 4199 || res.All.P50 > 4205 {
			t.Errorf("max %v ms, lag %v ms, p50 %v ms", res.All.Max, s.LagMax, res.All.P50)
		}
		if !res.passed() || res.Seconds != 10 || res.EndedEarly {
			t.Errorf("%+v", res)
		}
	})
}

func TestOpenLoop_keeps_its_rate_while_phones_are_free(t *testing.T) {
	c := configOf(t, "-phones", "20", "-users", "40", "-rate", "10", "-duration", "20s", "-warmup", "5s", "-mix", "userinfo=1")
	synctest.Test(t, func(t *testing.T) {
		f := &fake{takes: 1500 * time.Millisecond}
		res := playFake(t, t.Context(), c, f, 0)
		if s := res.Schedule; s.Due != 200 || s.Sent != 200 || s.OnTime != 200 || s.LagMax != 0 {
			t.Errorf("%+v", *s)
		}
		if res.All.P50 != 1500 || res.All.Max != 1500 || res.Uncounted["/userInfo"] != 50 || res.Uncounted["/onLogin"] != 40 {
			t.Errorf("%+v, %v", res.All, res.Uncounted)
		}
		for i, at := range f.times[41:] {
			if gap := at.Sub(f.times[40+i]); gap < 99*time.Millisecond || gap > 101*time.Millisecond {
				t.Fatalf("%v after action %d", gap, i)
			}
		}
	})
}

// The simulator's time is not the server's.
func TestOpenLoop_leaves_the_simulator_out(t *testing.T) {
	c := configOf(t, "-phones", "1", "-users", "1", "-rate", "1", "-duration", "10s", "-mix", "returning=1", "-timeout", "1s")
	synctest.Test(t, func(t *testing.T) {
		res := playFake(t, t.Context(), c, &fake{}, 4*time.Second)
		if res.All.Max != 0 || res.All.Requests != 3 || res.Schedule.WaitedForSimulator < 1000 {
			t.Errorf("%+v, %+v", res.All, *res.Schedule)
		}
		res = playFake(t, t.Context(), c, &fake{takes: 500 * time.Millisecond}, 200*time.Millisecond)
		if res.All.Max != 500 || res.Schedule.OnTime != 10 {
			t.Errorf("%+v, %+v", res.All, *res.Schedule)
		}
	})
}

// A code lives five minutes: it must not be asked for long before it is needed.
func TestOpenLoop_asks_for_codes_shortly_before_they_are_due(t *testing.T) {
	c := configOf(t, "-phones", "1", "-users", "1", "-rate", "0.001", "-duration", "2000s", "-mix", "returning=1")
	synctest.Test(t, func(t *testing.T) {
		var asked, sent time.Time
		wechat := servertest.NewSimulator()
		simulator := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			asked = time.Now()
			wechat.ServeHTTP(w, r)
		})
		f := &fake{before: func(*http.Request) *fakeAnswer {
			sent = time.Now()
			return nil
		}}
		l, err := newLoad(c, transports{inProcess{f}, inProcess{simulator}})
		if err != nil {
			t.Fatal(err)
		}
		res, err := l.play(t.Context(), io.Discard)
		if err != nil || res.All.Requests != 2 || sent.Sub(asked) != ahead {
			t.Errorf("%d requests, %v after the code; %v", res.All.Requests, sent.Sub(asked), err)
		}
	})
}

// Closed loops go as fast as they are answered, and no more at once than there are phones.
func TestClosedLoop(t *testing.T) {
	c := configOf(t, "-phones", "3", "-users", "3", "-duration", "10s", "-mix", "returning=1")
	synctest.Test(t, func(t *testing.T) {
		res := playFake(t, t.Context(), c, &fake{takes: time.Second}, time.Second)
		if res.All.Requests != 15 || res.All.Max != 1000 || res.Schedule != nil {
			t.Errorf("%+v", res.All)
		}
	})
}

// Who is told to wait does so, for half as long again at most; others go on.
func TestPhone_waits_as_it_is_told(t *testing.T) {
	c := configOf(t, "-phones", "1", "-users", "1", "-duration", "100s", "-mix", "userinfo=1", "-max-errors", "1")
	for code, want := range map[string][2]time.Duration{
		"storage_unavailable": {4 * time.Second, 6 * time.Second}, "internal": {time.Second, 1500 * time.Millisecond},
	} {
		synctest.Test(t, func(t *testing.T) {
			f := &fake{before: func(r *http.Request) *fakeAnswer {
				if r.URL.Path == "/onLogin" {
					return nil
				}
				return problem(r, code)
			}}
			res := playFake(t, t.Context(), c, f, 0)
			for i := range f.times[2:] {
				if gap := f.times[i+2].Sub(f.times[i+1]); gap < want[0] || gap > want[1] {
					t.Fatalf("%s: %v between two requests", code, gap)
				}
			}
			if res.All.Errors != res.All.Requests || res.ErrorShare != 1 || !res.passed() || len(res.Errors) != 1 || res.Errors[0].Code != code {
				t.Errorf("%+v", res.Errors)
			}
		})
	}
}

// A token that was lost is an error of its request, and the next thing is a login.
func TestPhone_logs_in_again_when_told(t *testing.T) {
	c := configOf(t, "-phones", "1", "-users", "1", "-rate", "1", "-duration", "10s", "-mix", "userinfo=1")
	synctest.Test(t, func(t *testing.T) {
		var paths []string
		f := &fake{before: func(r *http.Request) *fakeAnswer {
			paths = append(paths, r.URL.Path)
			if len(paths) == 3 {
				return problem(r, "invalid_token")
			}
			return nil
		}}
		res := playFake(t, t.Context(), c, f, 0)
		if len(paths) != 11 || !slices.Equal(paths[:5], []string{"/onLogin", "/userInfo", "/userInfo", "/onLogin", "/userInfo"}) {
			t.Errorf("%v", paths)
		}
		if want := []errorResult{{"invalid_token", 1, 1, 1}}; !slices.Equal(res.Errors, want) || res.passed() {
			t.Errorf("%+v", res.Errors)
		}
	})
}

func TestRun_ends_early_with_a_result(t *testing.T) {
	c := configOf(t, "-phones", "2", "-users", "2", "-rate", "4", "-duration", "10m", "-mix", "userinfo=1")
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithTimeout(t.Context(), 7*time.Second+lead)
		defer stop()
		res := playFake(t, ctx, c, &fake{takes: 100 * time.Millisecond}, 0) // the login takes that too
		if !res.EndedEarly || res.Seconds != 6.9 || res.Schedule.Due != 28 || res.Schedule.Sent != 28 || res.Schedule.Unsent != 0 {
			t.Errorf("%v s, %+v", res.Seconds, *res.Schedule)
		}
		if !res.passed() {
			t.Errorf("%+v", res)
		}
	})
}
