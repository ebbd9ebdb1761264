package load

import (
	"context"
	"fmt"
	"io"
	"slices"
	"time"

	"wxlogin/cmd/wxtest/internal/player"
	"wxlogin/cmd/wxtest/internal/process"
	"wxlogin/cmd/wxtest/internal/report"
)

const (
	overloadFactor = 3    // times the rate that the server sustains
	overloadPhones = 1024 // logins in flight at most, accepted and rejected
	minOverload    = 15 * time.Second

	// overloadTolerance replaces onTimeTolerance: the generator shares the machine with what it overloads.
	overloadTolerance = 20 * time.Millisecond

	unloadedRate  = 20 // logins a second
	unloadedTime  = 10 * time.Second
	sustainedTime = 6 * time.Second

	updateRate = 10 // a second
	updaters   = 20 // users who do not log in again meanwhile, which would replace their session_keys

	memorySamples = 12 // at least
)

// overloadResult is how a server rejects logins, as -json writes it.
type overloadResult struct {
	LoginsInFlight int            `json:"loginsInFlight"`
	Unloaded       result         `json:"unloaded"`
	Sustained      result         `json:"sustained"` // a closed loop of as many phones as the server takes logins at a time
	Overload       result         `json:"overload"`
	Updates        result         `json:"updates"`   // beside the overload
	MemoryMiB      []float64      `json:"memoryMiB"` // of the server, in the order of time
	Checks         []report.Check `json:"checks"`
}

// overload measures how one server, which takes o.overload logins at a time, rejects the logins beyond that. If ctx ends, the
// result has the stages until then.
func overload(ctx context.Context, o options, t transports, stderr io.Writer) (res overloadResult, err error) {
	res.LoginsInFlight = o.overload
	o.arriving, o.impatient, o.warmup, o.tolerance = o.overload, true, 0, overloadTolerance
	err = res.measure(ctx, o, t, stderr)
	if ctx.Err() != nil {
		err = nil
	}
	res.check()
	return res, err
}

func (res *overloadResult) measure(ctx context.Context, o options, t transports, stderr io.Writer) (err error) {
	stage := func(number, phones int, rate float64, length time.Duration, action player.Action) (*run, error) {
		o, m := o, mix{}
		m[action] = 1
		o.seed += uint64(number) // other users
		o.phones, o.users, o.rate, o.duration, o.mix = phones, phones, rate, length, m
		r := newRun(o, t)
		return r, r.arrive(ctx)
	}
	fmt.Fprintf(stderr, "wxtest: unloaded, %d logins a second\n", unloadedRate)
	r, err := stage(0, updaters, unloadedRate, unloadedTime, player.Returning)
	if err != nil {
		return err
	}
	res.Unloaded = r.play(ctx, stderr)
	fmt.Fprintf(stderr, "wxtest: sustained, %d logins at a time\n", o.overload)
	if r, err = stage(1, o.overload, 0, sustainedTime, player.Returning); err != nil {
		return err
	}
	res.Sustained = r.play(ctx, stderr)
	rate := overloadFactor * res.Sustained.Succeeded.PerSecond
	if rate < 1 || ctx.Err() != nil {
		return ctx.Err()
	}
	updates, err := stage(2, updaters, updateRate, o.duration, player.Changing)
	if err != nil {
		return err
	}
	if r, err = stage(3, overloadPhones, rate, o.duration, player.Returning); err != nil {
		return err
	}
	fmt.Fprintf(stderr, "wxtest: overload, %.0f logins a second\n", rate)
	updated, memory := make(chan result, 1), make(chan []float64, 1)
	go func() { updated <- updates.play(ctx, io.Discard) }()
	go func() { memory <- sampleMemory(ctx, t, o.internals[0], o.duration) }()
	res.Overload = r.play(ctx, stderr)
	res.Updates, res.MemoryMiB = <-updated, <-memory
	return nil
}

// sampleMemory reads a server's resident memory every 5 s, or more often in a short run. A failed reading is 0.
func sampleMemory(ctx context.Context, t transports, internal string, length time.Duration) (mib []float64) {
	every := min(5*time.Second, length/memorySamples)
	for range int(length / every) {
		if !process.Sleep(ctx, every) {
			break
		}
		bytes, err := process.Metrics(ctx, t.servers, internal, "process_resident_memory_bytes")
		if err != nil {
			bytes = []float64{0}
		}
		mib = append(mib, bytes[0]/(1<<20))
	}
	return mib
}

func (res *overloadResult) check() {
	res.Checks = []report.Check{
		res.checkSchedule(), res.checkAccepted(), res.checkRejected(), res.checkUpdates(), res.checkMemory(),
	}
}

// checkSchedule comes first: without the load in question, the rest means nothing.
func (res *overloadResult) checkSchedule() report.Check {
	c := report.Check{Claim: "the logins were sent on time"}
	s := res.Overload.Schedule
	if s == nil || s.Due == 0 {
		return c
	}
	c.Count = int(s.Sent)
	if share := float64(s.OnTime) / float64(s.Due); share < 0.97 {
		c.Fail("%.1f%% of them were: do not believe what follows", 100*share)
	}
	return c
}

func (res *overloadResult) checkAccepted() report.Check {
	accepted, limit := res.Overload.Succeeded, 3*res.Unloaded.Succeeded.P99+250
	c := report.Check{Count: int(accepted.Requests)}
	c.Claim = fmt.Sprintf("p99 of accepted logins <= 3 x unloaded p99 + 250 ms = %.0f ms", limit)
	if accepted.P99 > limit {
		c.Fail("it is %.0f ms", accepted.P99)
	}
	return c
}

// checkRejected relies on the check of every response for the status and Retry-After.
func (res *overloadResult) checkRejected() report.Check {
	c := report.Check{Claim: "every rejection is a 503 wechat_unavailable with Retry-After", Count: int(res.Overload.All.Errors)}
	for _, e := range res.Overload.Errors {
		if e.Code != "wechat_unavailable" {
			c.Fail("%d logins end with %s", e.Count, e.Code)
		}
	}
	for _, w := range res.Overload.WrongAnswers {
		c.Fail("%d responses are wrong: %s", w.Count, w.Kind)
	}
	return c
}

func (res *overloadResult) checkUpdates() report.Check {
	c := report.Check{Claim: "no update failed", Count: int(res.Updates.All.Requests)}
	if failed := res.Updates.All.Errors + res.Updates.wrong(); failed > 0 {
		c.Fail("%d failed", failed)
	}
	return c
}

// checkMemory compares the last third with the one before: while connections and buffers are made, memory may grow.
func (res *overloadResult) checkMemory() report.Check {
	c := report.Check{Claim: "the server's memory levels off", Count: len(res.MemoryMiB)}
	third := len(res.MemoryMiB) / 3
	if third == 0 {
		c.Fail("too few samples")
		return c
	}
	middle, last := slices.Max(res.MemoryMiB[third:2*third]), slices.Max(res.MemoryMiB[2*third:])
	switch {
	case middle == 0 || last == 0:
		c.Fail("the metrics of -internal cannot be read")
	case last > 1.1*middle:
		c.Fail("it went from %.1f to %.1f MiB in the last third", middle, last)
	}
	return c
}

func (res overloadResult) passed() bool { return report.PrintChecks(io.Discard, res.Checks) }

// print writes the result as a table, and the checks.
func (res overloadResult) print(w io.Writer) {
	t := report.Table(w)
	fmt.Fprintln(t, "latency in ms\trequests\t/s\tp50\tp99\tmax\t")
	row := func(name string, n int64, rate, p50, p99, highest float64) {
		fmt.Fprintf(t, "%s\t%d\t%.1f\t%.2f\t%.2f\t%.2f\t\n", name, n, rate, p50, p99, highest)
	}
	succeeded := func(name string, s routeResult) { row(name, s.Requests, s.PerSecond, s.P50, s.P99, s.Max) }
	succeeded("unloaded", res.Unloaded.Succeeded)
	succeeded("sustained", res.Sustained.Succeeded)
	succeeded("overload, accepted", res.Overload.Succeeded)
	for _, e := range res.Overload.Errors {
		percentile := func(p float64) float64 { return report.Millis(e.latencies.Percentile(p)) }
		row("overload, "+e.Code, e.Count, float64(e.Count)/res.Overload.Seconds, percentile(50), percentile(99), report.Millis(e.latencies.Max()))
	}
	succeeded("updates", res.Updates.Succeeded)
	t.Flush()
	if s := res.Overload.Schedule; s != nil {
		fmt.Fprintf(w, "schedule: %d logins due (%.0f a second), %d sent, %d within %d ms; behind by p99 %.0f ms, max %.0f ms\n", s.Due,
			res.Overload.Settings.Rate, s.Sent, s.OnTime, overloadTolerance.Milliseconds(), s.LagP99, s.LagMax)
	}
	fmt.Fprintf(w, "server's memory in MiB: %.0f\n", res.MemoryMiB)
	report.PrintChecks(w, res.Checks)
}
