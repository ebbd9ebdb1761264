package testenv

import (
	"sync"
	"time"
)

// Clock is a time that only the test moves. It begins at the present, so that it agrees with a server's own clock.
type Clock struct {
	mu  sync.Mutex
	now time.Time
}

// NewClock returns a clock that stands at the present time.
func NewClock() *Clock { return &Clock{now: time.Now()} }

// Now returns the time on the clock.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Advance lets d pass on the clock. What Redis holds ages by Redis.FastForward.
func (c *Clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}
