package main

import (
	"context"
	"math/rand/v2"
	"sync"
)

// phones is how many play at the same time; with phonePace they make some 200 requests a second.
const phones = 24

// load is all phones at play.
type load struct {
	stopping context.CancelFunc
	running  sync.WaitGroup
}

// startLoad lets the phones play until stop. ctx ends them at once.
func startLoad(ctx context.Context, seed uint64, s *system, a *api) *load {
	playing, stopping := context.WithCancel(ctx)
	l := &load{stopping: stopping}
	for i := range phones {
		p := &phone{
			index: i, system: s, api: a, ledger: a.ledger,
			rng: rand.New(rand.NewPCG(seed, uint64(i)+1)), // 0 is the plan's
		}
		l.running.Go(func() { p.play(ctx, playing.Done()) })
	}
	return l
}

// stop lets every phone finish what it is at: its user is logged in then. It waits for that.
func (l *load) stop() {
	l.stopping()
	l.running.Wait()
}
