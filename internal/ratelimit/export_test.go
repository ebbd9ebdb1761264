package ratelimit

import (
	"math"
	"time"
)

// BatchSize is the number of keys in a pipeline.
const BatchSize = batchSize

// NewByHand returns a Counter that sends only in Flush and Close.
func NewByHand(o Options) *Counter {
	c := newCounter(o)
	go func() {
		<-c.stop
		c.run()
	}()
	return c
}

// Flush flushes as the flusher does after each interval.
func (c *Counter) Flush() { c.flush() }

// Unlimited returns a limiter that allows everything and shares each count immediately.
func (c *Counter) Unlimited(name string) *Limiter {
	return &Limiter{counter: c, name: name, limit: math.MaxInt}
}

// Counts returns the counts of a key in the window that begins at start, and in the previous one.
func (l *Limiter) Counts(key string, start time.Time) (now, before int) {
	s, hash := l.counter.table.shard(l.appendKey(nil, key))
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.at(start.Unix()).count(hash), s.at(start.Unix() - s.length).count(hash)
}

// eachShard calls do with every shard, locked.
func (c *Counter) eachShard(do func(*shard)) {
	for i := range c.table.shards {
		s := &c.table.shards[i]
		s.mu.Lock()
		do(s)
		s.mu.Unlock()
	}
}

// Kept returns the number of counts in memory.
func (c *Counter) Kept() (n int) {
	c.eachShard(func(s *shard) { n += len(s.current.counts) + len(s.previous.counts) })
	return n
}

// Waits reports whether a call waits for a reservation to end.
func (c *Counter) Waits() (waits bool) {
	c.eachShard(func(s *shard) {
		for _, r := range s.reserved {
			waits = waits || r.ended != nil
		}
	})
	return waits
}

// Reserved returns the number of reserved places by key hash.
func (c *Counter) Reserved() map[uint64]int32 {
	all := make(map[uint64]int32)
	c.eachShard(func(s *shard) {
		for hash, r := range s.reserved {
			all[hash] = r.places
		}
	})
	return all
}
