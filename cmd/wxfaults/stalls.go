package main

import (
	"context"
	"time"
)

// A busy or virtual machine sometimes stands still for seconds, and everything on it. What a server cannot help is taken
// off the times that it is judged by.
const (
	heartbeat  = 20 * time.Millisecond
	leastStall = 100 * time.Millisecond
)

// span is a piece of the ledger's time.
type span struct{ from, to time.Duration }

// watchStalls notes when this process, which sleeps almost always, is woken far too late.
func (l *ledger) watchStalls(ctx context.Context) {
	for last := l.now(); ctx.Err() == nil; {
		sleep(ctx, heartbeat)
		now := l.now()
		if now-last > heartbeat+leastStall {
			l.mu.Lock()
			l.stalls = append(l.stalls, span{last + heartbeat, now})
			l.mu.Unlock()
		}
		last = now
	}
}

// stalled is how long the machine stood still between two moments.
func (ev evidence) stalled(from, to time.Duration) (sum time.Duration) {
	for _, s := range ev.stalls {
		sum += max(0, min(s.to, to)-max(s.from, from))
	}
	return sum
}

// took is how long a request took while the machine went.
func (ev evidence) took(e entry) time.Duration { return e.ended - e.sent - ev.stalled(e.sent, e.ended) }
