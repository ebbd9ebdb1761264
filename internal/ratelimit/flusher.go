package ratelimit

import (
	"context"
	"time"
)

const (
	// batchSize is how many counts go in one pipeline.
	batchSize = 512

	// retryInterval is how often a degraded Counter checks whether Redis is back.
	retryInterval = 200 * time.Millisecond
)

// run is the flusher: it sends pending counts until Close, and then once more.
func (c *Counter) run() {
	defer close(c.stopped)
	for c.sleep() {
		c.flush()
	}
	c.flush()
}

func (c *Counter) wakeUp() {
	select {
	case c.wake <- struct{}{}:
	default: // the flusher is to be woken already
	}
}

// sleep waits until it is time to flush. It returns false once the Counter is closed.
func (c *Counter) sleep() bool {
	pause := retryInterval
	if !c.Degraded() {
		pause = c.flushInterval
		select {
		case <-c.wake:
		case <-c.stop:
			return false
		}
	}
	select {
	case <-time.After(pause):
		return true
	case <-c.stop:
		return false
	}
}

// flush sends all that is pending. If Redis is away, it first checks whether Redis is back, with the same keys that
// failed: in a Cluster the other nodes may be well, and a Redis that is full still reads. Redis is back if everything
// pending went through too: some of it may be for another node that is away.
func (c *Counter) flush() {
	degraded := c.Degraded()
	if degraded && !c.send(c.failed) {
		return
	}
	if c.sendPending() && degraded {
		c.degraded.Store(false)
		c.onDegraded(false)
	}
}

// sendPending sends all that is pending, up to the first batch that fails.
func (c *Counter) sendPending() (ok bool) {
	batch := c.batch[:0]
	for i := range c.table.shards {
		shard := &c.table.shards[i]
		batch = shard.take(batch)
		for len(batch) == batchSize {
			if !c.send(batch) {
				return false
			}
			batch = shard.take(batch[:0])
		}
	}
	return len(batch) == 0 || c.send(batch)
}

// send counts a batch in Redis and takes up the replies. What failed is applied too, because it must not be sent again;
// it is kept without its amount, to find out whether Redis is back.
func (c *Counter) send(batch []delta) (ok bool) {
	ctx, cancel := c.pipelineContext()
	defer cancel()
	if ctx.Err() != nil { // Close has no time left
		return false
	}
	c.store.count(ctx, batch)
	var failed []delta
	for _, d := range batch {
		c.table.shardOf(d.hash).apply(d)
		if d.failed {
			d.amount = 0
			failed = append(failed, d)
		}
	}
	c.failed = failed
	if len(failed) > 0 && c.degraded.CompareAndSwap(false, true) {
		c.onDegraded(true)
	}
	return len(failed) == 0
}

// pipelineContext bounds one pipeline; after Close, all that are left together.
func (c *Counter) pipelineContext() (context.Context, context.CancelFunc) {
	select {
	case <-c.stop:
		return context.WithDeadline(context.Background(), c.deadline)
	default:
		return context.WithTimeout(context.Background(), c.timeout)
	}
}
