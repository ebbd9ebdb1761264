package ratelimit

import (
	"math"
	"time"
)

// BatchSize is how many keys go in one pipeline.
const BatchSize = batchSize

// NewByHand makes a Counter that sends when Flush is called and by Close, and never by itself.
func NewByHand(o Options) *Counter {
	c := newCounter(o)
	go func() {
		<-c.stop
		c.run()
	}()
	return c
}

// Flush does what the flusher does after each interval.
func (c *Counter) Flush() { c.flush() }

// Unlimited makes a limiter that allows everything and shares each count at once.
func (c *Counter) Unlimited(name string) *Limiter {
	return &Limiter{counter: c, name: name, limit: math.MaxInt}
}

// Counts returns what is counted for a key in the window that begins at start, and in the one before.
func (l *Limiter) Counts(key string, start time.Time) (now, before int) {
	s, hash := l.counter.table.shard(l.appendKey(nil, key))
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.at(start.Unix()).count(hash), s.at(start.Unix() - s.length).count(hash)
}

// Kept is how many counts are in memory.
func (c *Counter) Kept() (n int) {
	for i := range c.table.shards {
		s := &c.table.shards[i]
		s.mu.Lock()
		n += len(s.current.counts) + len(s.previous.counts)
		s.mu.Unlock()
	}
	return n
}

// Waits reports whether a call waits for a reservation to end.
func (c *Counter) Waits() bool {
	for i := range c.table.shards {
		s := &c.table.shards[i]
		s.mu.Lock()
		for _, r := range s.reserved {
			if r.ended != nil {
				s.mu.Unlock()
				return true
			}
		}
		s.mu.Unlock()
	}
	return false
}

// Reserved is the number of reserved places by key hash.
func (c *Counter) Reserved() map[uint64]int32 {
	all := make(map[uint64]int32)
	for i := range c.table.shards {
		s := &c.table.shards[i]
		s.mu.Lock()
		for hash, r := range s.reserved {
			all[hash] = r.places
		}
		s.mu.Unlock()
	}
	return all
}
