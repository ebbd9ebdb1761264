package load

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"wxlogin/cmd/wxtest/internal/player"
	"wxlogin/internal/testenv/servertest"
)

// stage returns the result of a second in which n requests take that long and end with a code.
func stage(t *testing.T, codes map[string]int, took map[string]time.Duration) result {
	t.Helper()
	c := configOf(t, "-rate", "300", "-duration", "1s")
	r := newRun(c, transports{})
	from := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	r.schedule = &schedule{rate: c.rate, start: from, end: from.Add(time.Second)}
	r.recorder.begin(from)
	for code, n := range codes {
		for range n {
			r.recorder.add(sample{due: from, sent: from, ended: from.Add(took[code]), verdict: player.Verdict{Code: code}})
		}
	}
	return r.result(from, from.Add(time.Second))
}

// soundOverload is a result against which there is nothing to say.
func soundOverload(t *testing.T) overloadResult {
	ms := time.Millisecond
	succeeded := func(n int, took time.Duration) result {
		return stage(t, map[string]int{"": n}, map[string]time.Duration{"": took})
	}
	return overloadResult{
		Unloaded: succeeded(100, 60*ms), Sustained: succeeded(100, 60*ms), Updates: succeeded(10, 5*ms),
		Overload:  stage(t, map[string]int{"": 100, "wechat_unavailable": 200}, map[string]time.Duration{"": 400 * ms, "wechat_unavailable": 5 * ms}),
		MemoryMiB: []float64{10, 30, 40, 41, 42, 43, 43, 44, 45},
	}
}

func TestOverloadResult_passes(t *testing.T) {
	var out strings.Builder
	res := soundOverload(t)
	res.check()
	res.print(&out)
	if !res.passed() {
		t.Error(out.String())
	}
	for _, want := range []string{"overload, wechat_unavailable       200  200.0    5.00    5.00    5.00", "300 logins due (300 a second)"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("there is no %q in:\n%s", want, out.String())
		}
	}
}

func TestOverloadResult_fails(t *testing.T) {
	with := func(code string) func(*overloadResult) {
		return func(res *overloadResult) {
			res.Overload.Errors = append(res.Overload.Errors, errorResult{Code: code, seen: seen{Count: 1}})
		}
	}
	for name, spoil := range map[string]func(*overloadResult){
		"if_logins_were_left_out":      func(res *overloadResult) { res.Overload.Schedule.Due = 320 },
		"if_logins_were_late":          func(res *overloadResult) { res.Overload.Schedule.OnTime = 280 },
		"if_nothing_was_sent":          func(res *overloadResult) { *res.Overload.Schedule = scheduleResult{} },
		"if_it_was_interrupted":        func(res *overloadResult) { res.Overload, res.Updates, res.MemoryMiB = result{}, result{}, nil },
		"by_slow_logins":               func(res *overloadResult) { res.Overload.Succeeded.P99 = 1000 },
		"without_a_rejection":          func(res *overloadResult) { res.Overload.All.Errors, res.Overload.Errors = 0, nil },
		"without_an_accepted_login":    func(res *overloadResult) { res.Overload.Succeeded = routeResult{} },
		"by_a_rejection_with_429":      with("rate_limited"),
		"by_a_login_without_an_answer": with(player.Cut),
		"by_a_503_without_retry_after": func(res *overloadResult) {
			res.Overload.WrongAnswers = []wrongResult{{Kind: player.OutsideContract, seen: seen{Count: 1}}}
		},
		"by_an_update":              func(res *overloadResult) { res.Updates.All.Errors = 1 },
		"by_a_wrong_update":         func(res *overloadResult) { res.Updates.WrongAnswers = []wrongResult{{seen: seen{Count: 1}}} },
		"by_memory_that_grows":      func(res *overloadResult) { res.MemoryMiB[7] = 48 },
		"without_samples_of_memory": func(res *overloadResult) { res.MemoryMiB = res.MemoryMiB[:2] },
		"without_metrics":           func(res *overloadResult) { clear(res.MemoryMiB) },
	} {
		t.Run(name, func(t *testing.T) {
			res := soundOverload(t)
			spoil(&res)
			res.check()
			if res.passed() {
				t.Error("it passes")
			}
		})
	}
}

// A server that takes four logins at a time, each for 50 ms, sustains 80 a second.
func TestOverload(t *testing.T) {
	c := configOf(t, "-overload", "4", "-duration", "15s", "-internal", "http://internal")
	synctest.Test(t, func(t *testing.T) {
		var inFlight atomic.Int64
		var updated func(*http.Request) *fakeAnswer
		f := &fake{before: func(r *http.Request) *fakeAnswer {
			if r.URL.Path == "/updateUserInfo" {
				return updated(r)
			}
			defer inFlight.Add(-1)
			if inFlight.Add(1) > 4 {
				return problem(r, "wechat_unavailable")
			}
			time.Sleep(50 * time.Millisecond)
			return nil
		}}
		servers := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/metrics" {
				io.WriteString(w, "process_resident_memory_bytes 4.8e+07\n")
				return
			}
			f.ServeHTTP(w, r)
		})
		var sealed sync.Map // profiles by encryptedData
		wechat := servertest.NewSimulator()
		simulator := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			answer := httptest.NewRecorder()
			wechat.ServeHTTP(answer, r)
			var data player.Sealed
			if json.Unmarshal(answer.Body.Bytes(), &data) == nil {
				sealed.Store(data.EncryptedData, data.UserInfo)
			}
			w.Write(answer.Body.Bytes())
		})
		updated = func(r *http.Request) *fakeAnswer {
			profile, _ := sealed.Load(r.PostFormValue("encryptedData"))
			body := userBody(profile.(player.Profile))
			body["anonymous"], body["profileComplete"] = false, true
			return &fakeAnswer{200, body}
		}
		res, err := overload(t.Context(), c, transports{inProcess{servers}, inProcess{simulator}}, io.Discard)
		if err != nil {
			t.Fatal(err)
		}
		if rate := res.Sustained.Succeeded.PerSecond; rate != 80 {
			t.Errorf("sustained %v a second", rate)
		}
		accepted, rejected := res.Overload.Succeeded.Requests, res.Overload.All.Errors
		if s := res.Overload.Schedule; s.Due != 3600 || s.Sent != 3600 || accepted < 1000 || accepted+rejected != 3600 {
			t.Errorf("%+v, %d accepted, %d rejected", *s, accepted, rejected)
		}
		if res.Updates.All.Requests != 150 || len(res.MemoryMiB) != 12 {
			t.Errorf("%d updates, %d samples", res.Updates.All.Requests, len(res.MemoryMiB))
		}
		for _, check := range res.Checks {
			if len(check.Failures) > 0 || check.Count == 0 {
				t.Errorf("%+v", check)
			}
		}
	})
}
