package ratecount

import (
	"context"
	"time"
)

const (
	// batchSize is how many counts go in one pipeline.
	batchSize = 512

	// retryEvery is how often it is tried whether Redis is back.
	retryEvery = 200 * time.Millisecond
)

// run is the flusher: it sends what was counted, until Close and once more then.
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
	default: // it will see this, too
	}
}

// sleep waits until it is time to flush, and tells false once the Counter is closed.
func (c *Counter) sleep() bool {
	pause := retryEvery
	if !c.Local() {
		pause = c.interval
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

// flush sends all that waits. Where Redis is away, it first looks whether it is back, by the same keys that failed: in a
// Cluster the other nodes may be well, and a Redis that is full still reads.
func (c *Counter) flush() {
	if c.Local() {
		if !c.send(c.failed) {
			return
		}
		c.local.Store(false)
		c.onChange(false)
	}
	batch := c.batch[:0]
	for i := range c.table.shards {
		shard := &c.table.shards[i]
		batch = shard.take(batch)
		for len(batch) == batchSize {
			if !c.send(batch) {
				return
			}
			batch = shard.take(batch[:0])
		}
	}
	if len(batch) > 0 {
		c.send(batch)
	}
}

// send counts a batch in Redis and learns from the answers. What failed is settled too, for it must not be sent again; it is
// kept without its amount, to find out whether Redis is back.
func (c *Counter) send(batch []delta) (ok bool) {
	ctx, cancel := c.bounded()
	defer cancel()
	if ctx.Err() != nil { // Close has no time left
		return false
	}
	c.store.count(ctx, batch)
	var failed []delta
	for _, d := range batch {
		c.table.settle(d)
		if d.failed {
			d.amount = 0
			failed = append(failed, d)
		}
	}
	c.failed = failed
	if len(failed) > 0 && c.local.CompareAndSwap(false, true) {
		c.onChange(true)
	}
	return len(failed) == 0
}

// bounded is for one pipeline. After Close all of them have the same time together.
func (c *Counter) bounded() (context.Context, context.CancelFunc) {
	select {
	case <-c.stop:
		return context.WithDeadline(context.Background(), c.deadline)
	default:
		return context.WithTimeout(context.Background(), c.timeout)
	}
}
