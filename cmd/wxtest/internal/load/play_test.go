package load

import (
	"context"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"wxlogin/cmd/wxtest/internal/player"
	"wxlogin/internal/testenv/servertest"
)

// inProcess is a transport without a network, so that a test's time can stand still meanwhile.
type inProcess struct{ http.Handler }

func (t inProcess) RoundTrip(req *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	req = req.Clone(req.Context())
	if req.Body == nil {
		req.Body = http.NoBody
	}
	t.ServeHTTP(w, req)
	return w.Result(), nil
}

// fake is as much of a server as tests of time and of exit codes need: no user has a profile.
type fake struct {
	takes  time.Duration                   // for each request
	before func(*http.Request) *fakeAnswer // nil, or an answer instead of the usual one

	mu    sync.Mutex
	times []time.Time // of requests, from their beginning
}

type fakeAnswer struct {
	status int
	body   any
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	f.times = append(f.times, time.Now())
	f.mu.Unlock()
	time.Sleep(f.takes)
	a := fakeAnswer{200, userBody(player.Profile{})}
	if r.URL.Path == "/onLogin" {
		body := userBody(player.Profile{})
		body["token"], body["expiresIn"], body["isNewUser"] = strings.Repeat("t", player.TokenLength), 1<<20, false
		a.body = body
	}
	if f.before != nil {
		if other := f.before(r); other != nil {
			a = *other
		}
	}
	w.Header().Set("X-Request-Id", r.Header.Get("X-Request-Id"))
	w.Header().Set("Content-Type", "application/json")
	if a.status != 200 {
		w.Header().Set("Content-Type", "application/problem+json")
	}
	if a.status == 429 || a.status == 503 {
		w.Header().Set("Retry-After", "4")
	}
	if a.status == 401 {
		w.Header().Set("WWW-Authenticate", "Bearer")
	}
	w.WriteHeader(a.status)
	json.NewEncoder(w).Encode(a.body) // a recorder takes everything
}

// userBody is the body of a GET /userInfo.
func userBody(p player.Profile) map[string]any {
	return map[string]any{"status": 200, "profileComplete": false, "phoneNumber": "", "userInfo": p}
}

// problem is a refusal that keeps the contract.
func problem(r *http.Request, code string) *fakeAnswer {
	p := player.Problems[code]
	return &fakeAnswer{p.Status, player.Problem{
		Type: "t", Title: "t", Status: p.Status, Detail: "d", Code: code, Action: p.Action, RequestID: r.Header.Get("X-Request-Id"),
	}}
}

// slow is a handler that takes its time.
func slow(h http.Handler, takes time.Duration) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(takes)
		h.ServeHTTP(w, r)
	})
}

// configOf is what a command line says, after what every one needs.
func configOf(t *testing.T, args ...string) options {
	t.Helper()
	t.Setenv("INTERNAL_API_KEY", "")
	var stderr strings.Builder
	c, err := parse(append([]string{"-server", "http://server", "-wechat", "http://wechat", "-progress", "0s"}, args...), &stderr, &stderr)
	if err != nil {
		t.Fatalf("%v: %s", err, stderr.String())
	}
	return c
}

// playFake runs a load in a time of its own, against a fake and a simulator that takes as long as it is told.
func playFake(t *testing.T, ctx context.Context, c options, f *fake, simulator time.Duration) result {
	t.Helper()
	res, err := play(ctx, c, transports{inProcess{f}, inProcess{slow(servertest.NewSimulator(), simulator)}}, io.Discard)
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
		res, err := play(t.Context(), c, transports{inProcess{f}, inProcess{simulator}}, io.Discard)
		if err != nil || res.All.Requests != 2 || sent.Sub(asked) != prepareLead {
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
		if len(res.Errors) != 1 || res.Errors[0].Code != "invalid_token" || res.Errors[0].seen != (seen{1, 1, 1}) || res.passed() {
			t.Errorf("%+v", res.Errors)
		}
	})
}

func TestRun_ends_early_with_a_result(t *testing.T) {
	c := configOf(t, "-phones", "2", "-users", "2", "-rate", "4", "-duration", "10m", "-mix", "userinfo=1")
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithTimeout(t.Context(), 7*time.Second+startDelay)
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

func TestTimeline_counts_by_the_second(t *testing.T) {
	l := newTimeline()
	l.add(0, time.Millisecond, player.Verdict{})
	l.add(0, 3*time.Millisecond, player.Verdict{Code: player.Cut})
	l.add(2, 5*time.Millisecond, player.Verdict{Wrong: player.NewTwice})
	l.add(1, 7*time.Millisecond, player.Verdict{}) // overtaken by the one before
	got := l.result()
	if got.StepSeconds != 1 || len(got.Moments) != 3 {
		t.Fatalf("%+v", got)
	}
	for i, want := range []momentResult{
		{Second: 0, Requests: 2, Errors: map[string]int64{player.Cut: 1}, P99: 3}, {Second: 1}, {Second: 2, Requests: 2, Wrong: 1, P99: 7},
	} {
		m := got.Moments[i]
		if m.Second != want.Second || m.Requests != want.Requests || m.Wrong != want.Wrong || m.P99 != want.P99 || !maps.Equal(m.Errors, want.Errors) {
			t.Errorf("%+v, want %+v", m, want)
		}
	}
}

// Memory is bounded whatever the duration.
func TestTimeline_joins_seconds_of_a_long_run(t *testing.T) {
	const seconds = 5*maxMoments + 1
	l := newTimeline()
	for second := range seconds {
		v := player.Verdict{}
		if second%2 == 0 {
			v.Code = player.Refused
		}
		l.add(second, time.Duration(second)*time.Microsecond, v)
	}
	got := l.result()
	if got.StepSeconds != 8 || len(got.Moments) > maxMoments || cap(l.moments) > 2*maxMoments {
		t.Fatalf("steps of %d s, %d moments", got.StepSeconds, len(got.Moments))
	}
	var requests, errors int64
	for i, m := range got.Moments {
		requests, errors = requests+m.Requests, errors+m.Errors[player.Refused]
		if m.Second != 8*i {
			t.Fatalf("moment %d is at %d s", i, m.Second)
		}
	}
	if requests != seconds || errors != (seconds+1)/2 {
		t.Errorf("%d requests, %d errors", requests, errors)
	}
	if got := got.Moments[1].P99; got != 0.015 {
		t.Errorf("p99 of the seconds 8 to 15 is %v ms, not the greatest of theirs", got)
	}
}

func TestWaits_since(t *testing.T) {
	start := time.Now()
	at := func(seconds int) time.Time { return start.Add(time.Duration(seconds) * time.Second) }
	var w waits
	w.add(at(0), at(2))
	w.add(at(5), at(6))
	w.add(at(8), at(9))
	for _, test := range []struct{ from, want int }{{-1, 4}, {1, 3}, {3, 2}, {5, 2}, {9, 0}} {
		if got := w.since(at(test.from)); got != time.Duration(test.want)*time.Second {
			t.Errorf("since %d s: %v, want %d s", test.from, got, test.want)
		}
	}
}

func TestWaits_are_bounded(t *testing.T) {
	start := time.Now()
	var w waits
	for i := range 10 * maxWaits {
		w.add(start.Add(time.Duration(2*i)*time.Second), start.Add(time.Duration(2*i+1)*time.Second))
	}
	if got := w.since(start); len(w) > maxWaits || got != 10*maxWaits*time.Second {
		t.Errorf("%d waits of %v in all", len(w), got)
	}
}
