package main

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"time"
)

// result is how a run went, as -json writes it; doc.go describes the fields.
type result struct {
	Settings     settings         `json:"settings"`
	Seconds      float64          `json:"seconds"`
	EndedEarly   bool             `json:"endedEarly"`
	All          routeResult      `json:"all"`
	Routes       []routeResult    `json:"routes"`
	ErrorShare   float64          `json:"errorShare"`
	Errors       []errorResult    `json:"errors"`
	WrongAnswers []wrongResult    `json:"wrongAnswers"`
	Schedule     *scheduleResult  `json:"schedule,omitempty"`
	Simulator    simulatorResult  `json:"simulator"`
	Uncounted    map[string]int64 `json:"uncounted"`
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
	Code        string `json:"code"`
	Count       int64  `json:"count"`
	FirstSecond int    `json:"firstSecond"`
	LastSecond  int    `json:"lastSecond"`
}

type wrongResult struct {
	Kind        fault           `json:"kind"`
	Count       int64           `json:"count"`
	FirstSecond int             `json:"firstSecond"`
	LastSecond  int             `json:"lastSecond"`
	Examples    []exampleResult `json:"examples"`
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
	OnTime             int64   `json:"onTime"`
	Unsent             int64   `json:"unsent"`
	LagP50             float64 `json:"lagP50Ms"`
	LagP99             float64 `json:"lagP99Ms"`
	LagMax             float64 `json:"lagMaxMs"`
	WaitedForSimulator float64 `json:"waitedForSimulatorMs"`
}

type simulatorResult struct {
	Requests int64 `json:"requests"`
	Failures int64 `json:"failures"`
}

type timelineResult struct {
	StepSeconds int            `json:"stepSeconds"`
	Moments     []momentResult `json:"moments"`
}

type momentResult struct {
	Second   int              `json:"second"`
	Requests int64            `json:"requests"`
	Errors   map[string]int64 `json:"errors,omitempty"`
	Wrong    int64            `json:"wrong,omitempty"`
	P99      float64          `json:"p99Ms"`
}

// result takes together what was counted between two times.
func (l *load) result(from, ended time.Time) result {
	r := l.recorder
	r.mu.Lock()
	defer r.mu.Unlock()
	took := max(0, ended.Sub(from))
	res := result{
		Settings: l.config.settings(), Seconds: took.Seconds(), EndedEarly: took < l.config.duration,
		All: r.all.result("all", took), Errors: r.errorResults(), WrongAnswers: r.wrongResults(),
		Simulator: simulatorResult{l.simulator.asked.Load(), l.simulator.failed.Load()},
		Uncounted: map[string]int64{}, Timeline: r.timeline.result(),
	}
	if r.all.requests > 0 {
		res.ErrorShare = float64(r.all.errors) / float64(r.all.requests)
	}
	for i, path := range routePaths {
		if r.routes[i].requests > 0 {
			res.Routes = append(res.Routes, r.routes[i].result(path, took))
		}
		if r.uncounted[i] > 0 {
			res.Uncounted[path] = r.uncounted[i]
		}
	}
	if l.schedule.rate > 0 {
		res.Schedule = r.scheduleResult(l.schedule.between(from, ended))
	}
	return res
}

func (c config) settings() settings {
	return settings{
		Servers: len(c.servers), Internals: len(c.internals), Phones: c.phones, Users: c.users, Rate: c.rate,
		Mix: c.mix.String(), Seed: c.seed, DurationSeconds: c.duration.Seconds(), WarmupSeconds: c.warmup.Seconds(),
		TimeoutSeconds: c.timeout.Seconds(), MaxErrors: c.maxErrors,
	}
}

func (t tally) result(name string, took time.Duration) routeResult {
	l := t.latencies
	return routeResult{
		Route: name, Requests: t.requests, PerSecond: perSecond(t.requests, took), Errors: t.errors, Wrong: t.wrong,
		P50: millis(l.percentile(50)), P90: millis(l.percentile(90)), P99: millis(l.percentile(99)),
		P999: millis(l.percentile(99.9)), Max: millis(l.max),
	}
}

func perSecond(n int64, took time.Duration) float64 {
	if took <= 0 {
		return 0
	}
	return math.Round(float64(n)/took.Seconds()*1000) / 1000
}

// millis is a time in milliseconds, to the microsecond.
func millis(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func (r *recorder) errorResults() []errorResult {
	results := make([]errorResult, 0, len(r.errors))
	for code, s := range r.errors {
		results = append(results, errorResult{code, s.count, s.first, s.last})
	}
	slices.SortFunc(results, func(a, b errorResult) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Code, b.Code))
	})
	return results
}

func (r *recorder) wrongResults() []wrongResult {
	results := make([]wrongResult, 0, len(r.wrong))
	for _, kind := range slices.Sorted(maps.Keys(r.wrong)) {
		w := r.wrong[kind]
		one := wrongResult{Kind: kind, Count: w.count, FirstSecond: w.first, LastSecond: w.last}
		for _, e := range w.examples {
			one.Examples = append(one.Examples, exampleResult{e.second, e.route, e.user, e.request, e.why})
		}
		results = append(results, one)
	}
	return results
}

// scheduleResult says how an open loop of so many actions was kept.
func (r *recorder) scheduleResult(due int64) *scheduleResult {
	return &scheduleResult{
		Due: due, Sent: r.all.requests, OnTime: r.onTime, Unsent: max(0, due-r.all.requests),
		LagP50: millis(r.lags.percentile(50)), LagP99: millis(r.lags.percentile(99)), LagMax: millis(r.lags.max),
		WaitedForSimulator: millis(r.simulator),
	}
}

func (t *timeline) result() timelineResult {
	t.close()
	res := timelineResult{StepSeconds: t.step, Moments: make([]momentResult, 0, len(t.moments))}
	for i, m := range t.moments {
		res.Moments = append(res.Moments, momentResult{i * t.step, m.requests, m.errors, m.wrong, millis(m.p99)})
	}
	return res
}

// wrong counts all wrong answers.
func (r result) wrong() (n int64) {
	for _, w := range r.WrongAnswers {
		n += w.Count
	}
	return n
}

// passed tells whether a run is what was hoped for: answers at all, none wrong, and no more errors than are allowed.
func (r result) passed() bool {
	return r.All.Requests > 0 && r.wrong() == 0 && r.ErrorShare <= r.Settings.MaxErrors
}
