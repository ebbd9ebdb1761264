package store

import (
	"context"
	"slices"
	"sync"
	"time"
)

const (
	// fewAlone is how many statements of a kind are under way before others wait. It is not one, so that a statement that
	// hangs holds nobody up; with more there are fewer to go together.
	fewAlone = 2

	// maxTogether is how many calls go in one statement.
	maxTogether = 16

	// patience is how long somebody has to wait for the next ones to go alone instead: where statements hang, each takes a
	// connection of its own.
	patience = 50 * time.Millisecond
)

// together has calls that come at the same time share statements. While only a few are under way, each goes by a statement
// of its own, in the context of its caller. Who comes meanwhile waits until one of those ends, and then goes in one
// statement with all others who wait: with many calls at once that takes a third of the CPU, of this process and of the
// server, and the answers come sooner.
//
// Everybody's statement is sent after the call.
type together[Q, A any] struct {
	alone func(ctx context.Context, asked Q) (A, error)
	// many answers several calls by one statement. Where it returns an error, that is what each of them gets; or, after one
	// that says to begin again, what it gets alone.
	many func(ctx context.Context, calls []*call[Q, A]) error
	// fits tells whether another call may go with those.
	fits func(calls []*call[Q, A], asked Q) bool
	now  func() time.Time

	mu       sync.Mutex
	underWay int
	waiting  []*call[Q, A] // who came first is first
}

// call is one that waits. answer and err may be read when done is closed.
type call[Q, A any] struct {
	ctx   context.Context
	asked Q
	since time.Time

	done   chan struct{}
	answer A
	err    error
}

// do answers a call, by one statement or by a share of one.
func (t *together[Q, A]) do(ctx context.Context, asked Q) (answer A, err error) {
	c := t.enter(ctx, asked)
	if c == nil {
		defer t.leave()
		return t.alone(ctx, asked)
	}
	select {
	case <-c.done:
		return c.answer, c.err
	case <-ctx.Done():
		return answer, ctx.Err()
	}
}

// enter returns nil to who goes alone, and is to leave in the end.
func (t *together[Q, A]) enter(ctx context.Context, asked Q) *call[Q, A] {
	now := t.now()
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.underWay < fewAlone || len(t.waiting) > 0 && now.Sub(t.waiting[0].since) > patience {
		t.underWay++
		return nil
	}
	c := &call[Q, A]{ctx: ctx, asked: asked, since: now, done: make(chan struct{})}
	t.waiting = append(t.waiting, c)
	return c
}

// leave makes room for those who wait.
func (t *together[Q, A]) leave() {
	if calls := t.take(); len(calls) > 0 {
		go t.send(calls)
	}
}

// take hands out who goes together next, and forgets who has given up. Where nobody waits, there is one statement less
// under way.
func (t *together[Q, A]) take() (calls []*call[Q, A]) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.waiting = slices.DeleteFunc(t.waiting, func(c *call[Q, A]) bool {
		gone := c.ctx.Err() != nil
		goes := !gone && len(calls) < maxTogether && t.fits(calls, c.asked)
		if goes {
			calls = append(calls, c)
		}
		return gone || goes
	})
	if len(calls) == 0 {
		t.underWay--
	}
	return calls
}

// send has statement after statement sent, until nobody waits. Their context is nobody's, so that who gives up takes none
// of the others along; what it carries, for tracing, is that of the first.
func (t *together[Q, A]) send(calls []*call[Q, A]) {
	for ; len(calls) > 0; calls = t.take() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(calls[0].ctx), readTimeout)
		err := t.many(ctx, calls)
		cancel()
		for _, c := range calls {
			if lost(err) {
				go t.sendAlone(c) // one of them has lost against somebody else, which is no reason to keep the others
				continue
			}
			if err != nil {
				c.err = err
			}
			close(c.done)
		}
	}
}

func (t *together[Q, A]) sendAlone(c *call[Q, A]) {
	c.answer, c.err = t.alone(c.ctx, c.asked)
	close(c.done)
}

// sets are the sizes that statements for several calls have. Fewer calls than that repeat the last one.
type sets struct{ four, sixteen query }

// of gives the statement for as many calls, and for how many it is made.
func (s sets) of(calls int) (q query, size int) {
	if calls <= 4 {
		return s.four, 4
	}
	return s.sixteen, maxTogether
}

// filled is a set of what was asked.
func filled[Q, A any](calls []*call[Q, A], size int) []Q {
	all := make([]Q, size)
	for i := range all {
		all[i] = calls[min(i, len(calls)-1)].asked
	}
	return all
}
