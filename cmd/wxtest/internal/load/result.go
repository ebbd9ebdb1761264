package load

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"time"

	"wxlogin/cmd/wxtest/internal/player"
	"wxlogin/cmd/wxtest/internal/report"
)

// result is how a run went, as -json writes it. Times are in milliseconds if a name ends in Ms. Seconds count from the end of
// the warm-up.
type result struct {
	Settings     settings         `json:"settings"`   // what the command line says
	Seconds      float64          `json:"seconds"`    // of the measurement
	EndedEarly   bool             `json:"endedEarly"` // less than -duration
	All          routeResult      `json:"all"`
	Succeeded    routeResult      `json:"succeeded"` // of all
	Routes       []routeResult    `json:"routes"`
	ErrorShare   float64          `json:"errorShare"` // errors of all requests, 0 to 1
	Errors       []errorResult    `json:"errors"`     // the most frequent first
	WrongAnswers []wrongResult    `json:"wrongAnswers"`
	Schedule     *scheduleResult  `json:"schedule,omitempty"` // of an open loop
	Simulator    simulatorResult  `json:"simulator"`
	Uncounted    map[string]int64 `json:"uncounted"` // by route: logins before the run, and requests of the warm-up
	Timeline     timelineResult   `json:"timeline"`
}

type settings struct {
	Servers         int     `json:"servers"`
	Internals       int     `json:"internals"`
	Phones          int     `json:"phones"`
	Users           int     `json:"users"`
	Rate            float64 `json:"rate"`
	Mix             string  `json:"mix"`
	Seed            uint64  `json:"seed"`
	DurationSeconds float64 `json:"durationSeconds"`
	WarmupSeconds   float64 `json:"warmupSeconds"`
	TimeoutSeconds  float64 `json:"timeoutSeconds"`
	MaxErrors       float64 `json:"maxErrors"`
}

type routeResult struct {
	Route     string  `json:"route"`
	Requests  int64   `json:"requests"`
	PerSecond float64 `json:"perSecond"`
	Errors    int64   `json:"errors"`
	Wrong     int64   `json:"wrong"`
	P50       float64 `json:"p50Ms"`
	P90       float64 `json:"p90Ms"`
	P99       float64 `json:"p99Ms"`
	P999      float64 `json:"p999Ms"`
	Max       float64 `json:"maxMs"`
}

type errorResult struct {
	Code string `json:"code"` // of a problem, or refused, cut or timed_out
	seen

	latencies *report.Histogram
}

// wrongResult is a kind of wrong answers. Those before the measurement are in it too, at second 0.
type wrongResult struct {
	Kind player.Wrong `json:"kind"`
	seen
	Examples []exampleResult `json:"examples"` // at most five
}

type exampleResult struct {
	Second    int    `json:"second"`
	Route     string `json:"route"`
	User      string `json:"user"`
	RequestID string `json:"requestId"`
	Why       string `json:"why"`
}

type scheduleResult struct {
	Due                int64   `json:"due"`
	Sent               int64   `json:"sent"`
	OnTime             int64   `json:"onTime"` // within 10 ms, in an overload 20 ms
	Unsent             int64   `json:"unsent"`
	LagP50             float64 `json:"lagP50Ms"` // between due and sent
	LagP99             float64 `json:"lagP99Ms"`
	LagMax             float64 `json:"lagMaxMs"`
	WaitedForSimulator float64 `json:"waitedForSimulatorMs"` // subtracted from latencies, in all
}

type simulatorResult struct {
	Requests int64 `json:"requests"`
	Failures int64 `json:"failures"`
}

type timelineResult struct {
	StepSeconds int            `json:"stepSeconds"` // 1; in long runs 2, 4, 8…
	Moments     []momentResult `json:"moments"`
}

type momentResult struct {
	Second   int              `json:"second"`
	Requests int64            `json:"requests"`
	Errors   map[string]int64 `json:"errors,omitempty"` // by code
	Wrong    int64            `json:"wrong,omitempty"`
	P99      float64          `json:"p99Ms"` // of a second; if seconds are joined, the highest of them
}

func (m *momentResult) join(other momentResult) {
	m.Requests += other.Requests
	m.Wrong += other.Wrong
	m.P99 = max(m.P99, other.P99)
	for code, n := range other.Errors {
		if m.Errors == nil {
			m.Errors = map[string]int64{}
		}
		m.Errors[code] += n
	}
}

// result returns what was counted between two times.
func (r *run) result(from, ended time.Time) result {
	c := r.recorder
	c.mu.Lock()
	defer c.mu.Unlock()
	took := max(0, ended.Sub(from))
	res := result{
		Settings: r.settings(), Seconds: took.Seconds(), EndedEarly: took < r.duration,
		All: c.all.result("all", took), Succeeded: c.succeeded.result("succeeded", took),
		Errors: []errorResult{}, WrongAnswers: []wrongResult{}, Uncounted: map[string]int64{}, Timeline: c.timeline.result(),
	}
	res.Simulator.Requests, res.Simulator.Failures = r.simulator.Counts()
	if c.all.requests > 0 {
		res.ErrorShare = float64(c.all.errors) / float64(c.all.requests)
	}
	for i := range player.Routes {
		if c.routes[i].requests > 0 {
			res.Routes = append(res.Routes, c.routes[i].result(i.String(), took))
		}
		if c.uncounted[i] > 0 {
			res.Uncounted[i.String()] = c.uncounted[i]
		}
	}
	for _, e := range c.errors {
		res.Errors = append(res.Errors, *e)
	}
	slices.SortFunc(res.Errors, func(a, b errorResult) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Code, b.Code))
	})
	for _, kind := range slices.Sorted(maps.Keys(c.wrong)) {
		res.WrongAnswers = append(res.WrongAnswers, *c.wrong[kind])
	}
	if r.schedule.rate > 0 {
		due := r.schedule.between(from, ended)
		res.Schedule = &scheduleResult{
			Due: due, Sent: c.all.requests, OnTime: c.onTime, Unsent: max(0, due-c.all.requests),
			LagP50: c.lags.Millis(50), LagP99: c.lags.Millis(99), LagMax: report.Millis(c.lags.Max()),
			WaitedForSimulator: report.Millis(c.simulator),
		}
	}
	return res
}

func (o options) settings() settings {
	return settings{
		Servers: len(o.servers), Internals: len(o.internals), Phones: o.phones, Users: o.users, Rate: o.rate,
		Mix: o.mix.String(), Seed: o.seed, DurationSeconds: o.duration.Seconds(), WarmupSeconds: o.warmup.Seconds(),
		TimeoutSeconds: o.timeout.Seconds(), MaxErrors: o.maxErrors,
	}
}

func (t tally) result(name string, took time.Duration) routeResult {
	l := t.latencies
	r := routeResult{
		Route: name, Requests: t.requests, Errors: t.errors, Wrong: t.wrong,
		P50: l.Millis(50), P90: l.Millis(90), P99: l.Millis(99), P999: l.Millis(99.9), Max: report.Millis(l.Max()),
	}
	if took > 0 {
		r.PerSecond = math.Round(float64(t.requests)/took.Seconds()*1000) / 1000
	}
	return r
}

// wrong counts all wrong answers.
func (r result) wrong() (n int64) {
	for _, w := range r.WrongAnswers {
		n += w.Count
	}
	return n
}

// passed reports whether there were requests, no wrong answers, and no more errors than allowed.
func (r result) passed() bool {
	return r.All.Requests > 0 && r.wrong() == 0 && r.ErrorShare <= r.Settings.MaxErrors
}

// print writes the result as tables.
func (r result) print(w io.Writer) {
	s, loop, early := r.Settings, "closed loop", ""
	if s.Rate > 0 {
		loop = fmt.Sprintf("open loop of %v actions a second", s.Rate)
	}
	if r.EndedEarly {
		early = " (ended early)"
	}
	fmt.Fprintf(w, "%d phones, %d users, %s, seed %d\nmix %s\n", s.Phones, s.Users, loop, s.Seed, s.Mix)
	fmt.Fprintf(w, "%.1f s%s: %d requests, %.1f/s, %d errors (%.3f%%), %d wrong answers\n\n",
		r.Seconds, early, r.All.Requests, r.All.PerSecond, r.All.Errors, 100*r.ErrorShare, r.wrong())
	t := report.Table(w)
	fmt.Fprintln(t, "latency in ms\trequests\t/s\terrors\twrong\tp50\tp90\tp99\tp99.9\tmax\t")
	for _, one := range append([]routeResult{r.All}, r.Routes...) {
		fmt.Fprintf(t, "%s\t%d\t%.1f\t%d\t%d\t%.2f\t%.2f\t%.2f\t%.2f\t%.2f\t\n", one.Route, one.Requests, one.PerSecond,
			one.Errors, one.Wrong, one.P50, one.P90, one.P99, one.P999, one.Max)
	}
	t.Flush()
	if len(r.Errors) > 0 {
		fmt.Fprintln(t, "\nerrors\tcount\tfirst at\tlast at\t")
		for _, e := range r.Errors {
			fmt.Fprintf(t, "%s\t%d\t%d s\t%d s\t\n", e.Code, e.Count, e.FirstSecond, e.LastSecond)
		}
		t.Flush()
	}
	for _, one := range r.WrongAnswers {
		fmt.Fprintf(w, "\nWRONG ANSWERS: %s, %d times, first at %d s, last at %d s\n", one.Kind, one.Count, one.FirstSecond, one.LastSecond)
		for _, e := range one.Examples {
			fmt.Fprintf(w, "    %s of %s at %d s, request %s: %s\n", e.Route, e.User, e.Second, e.RequestID, e.Why)
		}
	}
	if s := r.Schedule; s != nil {
		fmt.Fprintf(w, "\nschedule: %d due, %d sent, %d within %d ms, %d not sent; behind by p50 %.2f ms, p99 %.2f ms, max %.2f ms\n",
			s.Due, s.Sent, s.OnTime, onTimeTolerance.Milliseconds(), s.Unsent, s.LagP50, s.LagP99, s.LagMax)
		if s.WaitedForSimulator > 0 {
			fmt.Fprintf(w, "%.0f ms of waiting for the simulator are not in the latencies\n", s.WaitedForSimulator)
		}
	}
	if r.Simulator.Failures > 0 {
		fmt.Fprintf(w, "\nThe simulator failed %d of %d times.\n", r.Simulator.Failures, r.Simulator.Requests)
	}
}
