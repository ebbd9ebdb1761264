package main

import (
	"context"
	"fmt"
	"time"
)

const (
	returnLimit = 30 * time.Second // for a part to answer the suite again
	quiet       = 1500 * time.Millisecond
	quietLimit  = 12 * time.Second // to wait for so long a silence
)

// result is when a step's fault was there. Times are the ledger's.
type result struct {
	scenario
	began    time.Duration
	returned time.Duration // the part answered the suite's own probe
	over     time.Duration // the next fault began, or the load ended
	stopErr  error         // why an orderly stop was none
}

// runner goes through a plan while the load is on.
type runner struct {
	system  *system
	ledger  *ledger
	keepers *keepers
	say     func(format string, args ...any)
	results []result
}

// run goes through the whole plan. An error is the suite's or the machine's, not the servers' under test.
func (r *runner) run(ctx context.Context, plan []step) error {
	for _, s := range plan {
		if err := r.step(ctx, s); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
	}
	return ctx.Err()
}

func (r *runner) step(ctx context.Context, s step) error {
	sleep(ctx, s.calm)
	if err := r.keepers.login(ctx); err != nil {
		return err
	}
	res := result{scenario: scenarioOf(s.name), began: r.ledger.now()}
	if n := len(r.results); n > 0 {
		r.results[n-1].over = res.began
	}
	r.say("%s for %v", s.name, s.length.Round(time.Millisecond))
	fault := res.fault()
	err := fault.begin(ctx, r.system, s)
	if err != nil && !res.orderly {
		return err
	}
	res.stopErr = err
	sleep(ctx, s.length)
	if err := fault.end(ctx, r.system); err != nil {
		return err
	}
	probe := func(ctx context.Context) error { return fault.probe(ctx, r.system) }
	if err := await(ctx, "the part", returnLimit, probe); err != nil {
		return err
	}
	res.returned = r.ledger.now()
	r.say("%s is over", s.name)
	r.awaitQuiet(ctx, res.returned)
	r.keepers.comeBack(ctx)
	res.over = r.ledger.now()
	r.results = append(r.results, res)
	return ctx.Err()
}

// awaitQuiet waits until no answer has been due to the fault for a while.
func (r *runner) awaitQuiet(ctx context.Context, returned time.Duration) {
	for ctx.Err() == nil {
		now := r.ledger.now()
		if now-max(returned, r.ledger.quietSince()) > quiet || now-returned > quietLimit {
			return
		}
		sleep(ctx, 50*time.Millisecond)
	}
}
