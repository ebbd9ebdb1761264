package ratecount

import "sync"

// shard is the counts of some keys in two windows.
type shard struct {
	length int64 // of a window in seconds

	mu                sync.Mutex // guards what follows
	current, previous window
}

// add counts, and tells whether the key is one more to be sent, as more than kept waits for it.
func (s *shard) add(hash uint64, key string, start int64, amount int, kept int32) (waits bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	w := s.at(start)
	if w == nil {
		w = s.turn(start)
	}
	return w.add(hash, key, amount, kept)
}

func (s *shard) get(hash uint64, current, previous int64) (now, before int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.at(current).sum(hash), s.at(previous).sum(hash)
}

// take adds what waits to a batch, as far as there is room in it.
func (s *shard) take(batch []delta) []delta {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.current.take(s.previous.take(batch, false), true)
}

// settle takes up what Redis has answered.
func (s *shard) settle(d delta) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.at(d.start).settle(d)
	s.at(d.start-s.length).learn(d.hash, d.before)
}

// at is the window that begins at start, nil for one that is not kept.
func (s *shard) at(start int64) *window {
	switch start {
	case s.current.start:
		return &s.current
	case s.previous.start:
		return &s.previous
	}
	return nil
}

// turn begins a window. What is older than the one before goes, and with it what was not sent: nobody will ask for it. So
// does what is later, where the clock was set back.
func (s *shard) turn(start int64) *window {
	if before := start - s.length; s.current.start == before {
		s.previous = s.current
	} else {
		s.previous = newWindow(before)
	}
	s.current = newWindow(start)
	return &s.current
}
