package ratecount

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
