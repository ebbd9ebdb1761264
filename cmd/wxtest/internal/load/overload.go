package load

import (
	"context"
	"fmt"
	"io"
	"slices"
	"sync"
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

// measure sets the result of one stage after the other.
func (res *overloadResult) measure(ctx context.Context, o options, t transports, stderr io.Writer) error {
	prepare := func(phones int, rate float64, length time.Duration, action player.Action) (*run, error) {
		o.seed++ // other users
		o.phones, o.users, o.rate, o.duration, o.mix = phones, phones, rate, length, mix{}
		o.mix[action] = 1
		r := newRun(o, t)
		return r, r.arrive(ctx)
	}
	length := o.duration
	fmt.Fprintf(stderr, "wxtest: unloaded, %d logins a second\n", unloadedRate)
	r, err := prepare(updaters, unloadedRate, unloadedTime, player.Returning)
	if err != nil {
		return err
	}
	res.Unloaded = r.play(ctx, stderr)
	fmt.Fprintf(stderr, "wxtest: sustained, %d logins at a time\n", o.overload)
	if r, err = prepare(o.overload, 0, sustainedTime, player.Returning); err != nil {
		return err
	}
	res.Sustained = r.play(ctx, stderr)
	rate := overloadFactor * res.Sustained.Succeeded.PerSecond
	if rate < 1 || ctx.Err() != nil {
		return ctx.Err()
	}
	updates, err := prepare(updaters, updateRate, length, player.Changing)
	if err != nil {
		return err
	}
	if r, err = prepare(overloadPhones, rate, length, player.Returning); err != nil {
		return err
	}
	fmt.Fprintf(stderr, "wxtest: overload, %.0f logins a second\n", rate)
	var beside sync.WaitGroup
	beside.Go(func() { res.Updates = updates.play(ctx, io.Discard) })
	beside.Go(func() { res.MemoryMiB = sampleMemory(ctx, t, o.internals[0], length) })
	res.Overload = r.play(ctx, stderr)
	beside.Wait()
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
	for _, one := range []struct {
		claim string
		check func(*report.Check)
	}{
		{"the logins were sent on time", res.checkSchedule},
		{"", res.checkAccepted},
		{"every rejection is a 503 wechat_unavailable with Retry-After", res.checkRejected},
		{"no update failed", res.checkUpdates},
		{"the server's memory levels off", res.checkMemory},
	} {
		c := report.Check{Claim: one.claim}
		one.check(&c)
		res.Checks = append(res.Checks, c)
	}
}

// checkSchedule comes first: without the load in question, the rest means nothing.
func (res *overloadResult) checkSchedule(c *report.Check) {
	s := res.Overload.Schedule
	if s == nil || s.Due == 0 {
		return
	}
	c.Count = int(s.Sent)
	if share := float64(s.OnTime) / float64(s.Due); share < 0.97 {
		c.Fail("%.1f%% of them were: do not believe what follows", 100*share)
	}
}

func (res *overloadResult) checkAccepted(c *report.Check) {
	accepted, limit := res.Overload.Succeeded, 3*res.Unloaded.Succeeded.P99+250
	c.Claim, c.Count = fmt.Sprintf("p99 of accepted logins <= 3 x unloaded p99 + 250 ms = %.0f ms", limit), int(accepted.Requests)
	if accepted.P99 > limit {
		c.Fail("it is %.0f ms", accepted.P99)
	}
}

// checkRejected relies on the check of every response for the status and Retry-After.
func (res *overloadResult) checkRejected(c *report.Check) {
	c.Count = int(res.Overload.All.Errors)
	for _, e := range res.Overload.Errors {
		if e.Code != "wechat_unavailable" {
			c.Fail("%d logins end with %s", e.Count, e.Code)
		}
	}
	for _, w := range res.Overload.WrongAnswers {
		c.Fail("%d responses are wrong: %s", w.Count, w.Kind)
	}
}

func (res *overloadResult) checkUpdates(c *report.Check) {
	c.Count = int(res.Updates.All.Requests)
	if failed := res.Updates.All.Errors + res.Updates.wrong(); failed > 0 {
		c.Fail("%d failed", failed)
	}
}

// checkMemory compares the last third with the one before: while connections and buffers are made, memory may grow.
func (res *overloadResult) checkMemory(c *report.Check) {
	c.Count = len(res.MemoryMiB)
	third := len(res.MemoryMiB) / 3
	if third == 0 {
		c.Fail("too few samples")
		return
	}
	middle, last := slices.Max(res.MemoryMiB[third:2*third]), slices.Max(res.MemoryMiB[2*third:])
	switch {
	case middle == 0 || last == 0:
		c.Fail("the metrics of -internal cannot be read")
	case last > 1.1*middle:
		c.Fail("it went from %.1f to %.1f MiB in the last third", middle, last)
	}
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
		rate, all := float64(e.Count)/res.Overload.Seconds, e.latencies
		row("overload, "+e.Code, e.Count, rate, all.Millis(50), all.Millis(99), report.Millis(all.Max()))
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
