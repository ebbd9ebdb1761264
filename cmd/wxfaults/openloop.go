package main

import (
	"context"
	"sync"
	"time"
)

// lateness is how late a login may be sent and still count as sent at its time.
const lateness = 20 * time.Millisecond

// generator is how well an open loop kept to its plan.
type generator struct {
	due    int // logins
	sent   int
	late   int           // of those that were sent
	latest time.Duration // the worst of them
	took   time.Duration
}

// held is the part of the plan that was kept to, 0 to 1.
func (g generator) held() float64 {
	if g.due == 0 {
		return 0
	}
	return float64(g.sent-g.late) / float64(g.due)
}

// shot is one login of an open loop.
type shot struct {
	code string
	due  time.Time
}

// openLoop sends logins at a rate, however long the answers take.
func (g *gun) openLoop(ctx context.Context, rate float64, length time.Duration) (outcomes, generator, error) {
	return g.openLoopAfter(ctx, rate, length, func() {})
}

// openLoopAfter is openLoop, which calls begin when all is prepared. Latencies count from when a login was due.
func (g *gun) openLoopAfter(ctx context.Context, rate float64, length time.Duration, begin func()) (
	outcomes, generator, error,
) {
	codes, err := g.codes(ctx, int(rate*length.Seconds()))
	if err != nil {
		return outcomes{}, generator{}, err
	}
	shots := make(chan shot)
	seen := make([]outcomes, gunWorkers)
	var working sync.WaitGroup
	for w := range gunWorkers {
		working.Go(func() {
			for s := range shots {
				status, proper := g.login(ctx, s.code)
				seen[w].add(status, time.Since(s.due), proper)
			}
		})
	}
	begin()
	start := time.Now()
	kept := fire(ctx, codes, rate, start, shots)
	close(shots)
	working.Wait()
	total := outcomes{took: kept.took}
	for _, one := range seen {
		total.join(one)
	}
	return total, kept, ctx.Err()
}

// fire gives each login to a worker when it is due. Where all are busy it is left out, and missing in sent.
func fire(ctx context.Context, codes []string, rate float64, start time.Time, shots chan<- shot) generator {
	kept := generator{due: len(codes)}
	for i, code := range codes {
		due := start.Add(time.Duration(float64(i) / rate * float64(time.Second)))
		if wait := time.Until(due); wait > 0 {
			sleep(ctx, wait)
		}
		if ctx.Err() != nil {
			break
		}
		select {
		case shots <- shot{code, due}:
			kept.sent++
			if lag := time.Since(due); lag > lateness {
				kept.late++
				kept.latest = max(kept.latest, lag)
			}
		default:
		}
	}
	kept.took = time.Since(start)
	return kept
}
