// Package ratelimit limits how often something happens for a key within a sliding window. It counts in memory, and
// flushes the counts to Redis, so that all instances of the server count together. No method waits for Redis, and none
// fails.
//
//	counter := ratelimit.New(ratelimit.Options{Redis: client, Prefix: "app:rate:", Window: time.Minute, Timeout: time.Second})
//	defer counter.Close()
//	logins := counter.Limiter("logins", 60)
//	if !logins.Allow(address) {
//		// 429
//	}
//
// How an event gets to Redis:
//
//	Limiter ──> table                counts by key and window, in memory
//	             ▲ │
//	             │ ▼                 every Options.FlushInterval, if something was counted
//	           flusher ──> <prefix>{<hash of the key>}:<start of the window in Unix seconds>
//
// A [Counter] works on any Redis: single, behind Sentinel, or a Cluster. The windows of one key are on one node, and
// every key has an expiry. Redis has only a hash of what is counted (an address, a user).
//
// # Checking and counting are one step
//
// [Limiter.Allow] checks and counts under one lock: of N concurrent calls for a key, one process allows exactly the
// limit. If only the outcome of the work decides whether it counts, [Limiter.Reserve] takes a place first: a
// [Reservation] uses up the limit until it ends, and [Reservation.Keep] then counts it. Reservations stay in this
// process; only what was kept is shared.
//
// # What instances know of each other
//
// In one process a limit is exact. An instance learns what others have counted for a key when it has counted for that
// key itself, Options.FlushInterval and a round trip later. So the first requests for a key get in at each instance,
// and the instance learns; what it has learned is right until others count again. Several instances together may allow
// more than the limit: at each but the first, what arrives there for one key within about Options.FlushInterval. Those
// events are counted too, so later ones pay for them. An instance also keeps up to 1/32 of a limit to itself before it
// shares a count: most keys never get that far, and cost Redis nothing. The count of the previous window is read once,
// when a key is first sent in a new window.
//
// # When Redis is away
//
// A limit must not make requests fail or wait, so a Counter continues, but alone. What was in flight when Redis went is
// never sent again: it may have been counted, and to count an event twice is worse than to miss it elsewhere. It stays
// counted here, whatever Redis says. What was counted later waits and is sent when Redis is back, as long as its window
// is the current or the previous one.
//
// The package imports nothing of this module.
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
