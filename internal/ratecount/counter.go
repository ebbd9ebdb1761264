package ratecount

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-chi/httprate"
	"github.com/redis/go-redis/v9"
)

// Options are the parts of a Counter. All but Interval and OnChange are required.
type Options struct {
	// Redis should give up by itself within Timeout (where a dialer does not heed a context).
	Redis redis.UniversalClient

	Prefix  string        // begins every key
	Window  time.Duration // of all limits that share the Counter; whole seconds
	Timeout time.Duration // bounds each pipeline, and Close

	// Interval is how long what was counted waits for company on its way to Redis. 20 ms by default.
	Interval time.Duration

	// OnChange is told true when the Counter begins to count alone, and false when Redis is back. It must not call the
	// Counter.
	OnChange func(local bool)
}

const defaultInterval = 20 * time.Millisecond

// Counter counts events by key and window. It implements httprate.LimitCounter and is safe for concurrent use. The methods of
// that interface touch nothing but memory, and their errors are always nil.
//
// It remembers two windows. A key costs 35 to 55 bytes for each in which it was counted here, and about as much again while it
// waits for Redis (BenchmarkCounter_memory).
type Counter struct {
	table    *table
	store    store
	timeout  time.Duration
	interval time.Duration
	onChange func(local bool)

	local atomic.Bool
	wake  chan struct{} // something waits to be sent

	batch, failed []delta // the flusher's: room for a pipeline, and what has made it local

	closing  sync.Once
	deadline time.Time     // of what is left to be sent, once stop is closed
	stop     chan struct{} // is closed by Close
	stopped  chan struct{} // is closed by the flusher
}

var _ httprate.LimitCounter = (*Counter)(nil)

// New makes a Counter. It opens no connection before something is counted. Close must end it.
func New(o Options) *Counter {
	c := newCounter(o)
	go c.run()
	return c
}

func newCounter(o Options) *Counter {
	c := &Counter{
		table:   newTable(o.Window),
		store:   store{redis: o.Redis, prefix: o.Prefix, window: o.Window},
		batch:   make([]delta, 0, batchSize),
		timeout: o.Timeout, interval: o.Interval, onChange: o.OnChange,
		wake: make(chan struct{}, 1), stop: make(chan struct{}), stopped: make(chan struct{}),
	}
	if c.interval == 0 {
		c.interval = defaultInterval
	}
	if c.onChange == nil {
		c.onChange = func(bool) {}
	}
	return c
}

// Config does nothing. httprate calls it with the window of a limiter, which must be Options.Window.
func (c *Counter) Config(int, time.Duration) {}

// Increment is IncrementBy 1.
func (c *Counter) Increment(key string, current time.Time) error {
	return c.IncrementBy(key, current, 1)
}

// IncrementBy counts events of a key in the window that begins at current. An amount below 1 counts nothing.
func (c *Counter) IncrementBy(key string, current time.Time, amount int) error {
	c.count(key, current, amount, 0)
	return nil
}

// count counts, and has it sent where more than kept waits for the key.
func (c *Counter) count(key string, current time.Time, amount int, kept int32) {
	if amount > 0 && c.table.add(key, current.Unix(), amount, kept) {
		c.wakeUp()
	}
}

// Get tells how often a key was counted in the window that begins at current and in the one before, as far as it is known
// here. More than 2^31-1 is told as that.
func (c *Counter) Get(key string, current, previous time.Time) (now, before int, _ error) {
	now, before = c.table.get(key, current.Unix(), previous.Unix())
	return now, before, nil
}

// Local tells whether the Counter counts alone, because Redis is away.
func (c *Counter) Local() bool { return c.local.Load() }

// Close sends what waits, within Options.Timeout. Later events are counted here alone. The client stays open.
func (c *Counter) Close() error {
	c.closing.Do(func() {
		c.deadline = time.Now().Add(c.timeout)
		close(c.stop)
	})
	<-c.stopped
	return nil
}
