package ratelimit

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

// Options configure a Counter. Window is required, and with Redis also Prefix and Timeout.
type Options struct {
	// Redis is shared by all instances that count together. It should give up by itself within Timeout, because a
	// dialer may ignore its context. Without it the Counter counts in this process only.
	Redis redis.UniversalClient

	Prefix  string        // begins every key in Redis
	Window  time.Duration // length of the sliding window of every Limiter; whole seconds
	Timeout time.Duration // bounds each pipeline, and Close

	// FlushInterval is how often pending counts are sent to Redis. Default 20 ms.
	FlushInterval time.Duration

	// Now returns the current time. It must not call the Counter. Default time.Now.
	Now func() time.Time

	// OnDegraded is called with true when Redis fails and the Counter begins to count alone, and with false when Redis
	// is back. It must not call the Counter. Optional.
	OnDegraded func(degraded bool)
}

const defaultFlushInterval = 20 * time.Millisecond

// Counter counts the events of its Limiters by key and window. It is safe for concurrent use.
//
// It keeps the current and the previous window. A key costs 35 to 55 bytes in each of them, and about as much again
// while it waits for Redis (BenchmarkCounter_memory).
type Counter struct {
	table         *table
	store         *redisStore // nil without Redis
	timeout       time.Duration
	flushInterval time.Duration
	now           func() time.Time
	onDegraded    func(degraded bool)

	degraded atomic.Bool
	wake     chan struct{} // some counts are pending

	batch, failed []delta // the flusher's: room for a pipeline, and what made the Counter degraded

	closing  sync.Once
	deadline time.Time     // of the last flush; set before stop is closed
	stop     chan struct{} // closed by Close
	stopped  chan struct{} // closed when the flusher has ended
}

// New makes a Counter. It connects to Redis when something is counted. The caller must call Close.
func New(o Options) *Counter {
	c := newCounter(o)
	if c.store == nil {
		close(c.stopped)
		return c
	}
	go c.run()
	return c
}

func newCounter(o Options) *Counter {
	c := &Counter{
		table:   newTable(o.Window),
		timeout: o.Timeout, flushInterval: o.FlushInterval, now: o.Now, onDegraded: o.OnDegraded,
		wake: make(chan struct{}, 1), stop: make(chan struct{}), stopped: make(chan struct{}),
	}
	if o.Redis != nil {
		c.store = &redisStore{client: o.Redis, prefix: o.Prefix, window: o.Window}
		c.batch = make([]delta, 0, batchSize)
	}
	if c.flushInterval == 0 {
		c.flushInterval = defaultFlushInterval
	}
	if c.now == nil {
		c.now = time.Now
	}
	if c.onDegraded == nil {
		c.onDegraded = func(bool) {}
	}
	return c
}

// Degraded reports whether the Counter counts alone because Redis is away.
func (c *Counter) Degraded() bool { return c.degraded.Load() }

// Close sends what is pending, within Options.Timeout. Limiters still work afterwards, in this process only. The Redis
// client stays open.
func (c *Counter) Close() error {
	c.closing.Do(func() {
		c.deadline = time.Now().Add(c.timeout)
		close(c.stop)
	})
	<-c.stopped
	return nil
}
