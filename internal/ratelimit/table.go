package ratelimit

import (
	"hash/maphash"
	"math"
	"sync"
	"time"
)

// shardCount is how many keys can be counted at the same moment.
const shardCount = 64

// table has the counts of this process. It identifies keys by a 64-bit hash with a random seed.
type table struct {
	seed   maphash.Seed
	shards [shardCount]shard
}

func newTable(window time.Duration) *table {
	t := &table{seed: maphash.MakeSeed()}
	for i := range t.shards {
		s := &t.shards[i]
		s.length = int64(window / time.Second)
		s.reserved = make(map[uint64]reserved)
		s.rotate(0)
	}
	return t
}

func (t *table) shard(key []byte) (s *shard, hash uint64) {
	hash = maphash.Bytes(t.seed, key)
	return t.shardOf(hash), hash
}

func (t *table) shardOf(hash uint64) *shard { return &t.shards[hash%shardCount] }

// shard has the counts of some keys in two windows, and their reservations.
type shard struct {
	length int64 // of a window in seconds

	mu                sync.Mutex // guards what follows
	current, previous window
	reserved          map[uint64]reserved // only keys that have reservations
}

// reserved are the places of one key that are taken and not counted yet.
type reserved struct {
	places int32
	ended  chan struct{} // closed when a reservation ends; nil if no call waits for that
}

// allow counts an event if it is within the limit. dirty reports whether the key became one to be sent.
func (s *shard) allow(hash uint64, key []byte, l *Limiter) (allowed, dirty bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	w, used := s.usage(hash, l.counter.now())
	if used+int(s.reserved[hash].places) >= l.limit {
		return false, false
	}
	return true, w.add(hash, key, l.budget)
}

// reserve takes a place. If all are taken, but not all of them by counted events, ended is closed when a reservation
// ends.
func (s *shard) reserve(hash uint64, l *Limiter) (ok bool, ended <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, used := s.usage(hash, l.counter.now())
	if used >= l.limit {
		return false, nil
	}
	r := s.reserved[hash]
	ok = used+int(r.places) < l.limit
	if ok {
		r.places++
	} else if r.ended == nil {
		r.ended = make(chan struct{})
	}
	s.reserved[hash] = r
	return ok, r.ended
}

// endReservation gives a place back, and counts an event with keep. dirty reports whether the key became one to be
// sent.
func (s *shard) endReservation(hash uint64, key []byte, l *Limiter, keep bool) (dirty bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.reserved[hash]
	if r.ended != nil {
		close(r.ended)
	}
	if r.places > 1 {
		s.reserved[hash] = reserved{places: r.places - 1}
	} else {
		delete(s.reserved, hash)
	}
	if !keep {
		return false
	}
	w, _ := s.usage(hash, l.counter.now())
	return w.add(hash, key, l.budget)
}

// usage returns the window of a time, and how many events of a key count in the sliding window that ends at this time:
// all of the window itself, and of the one before the share that the sliding window still overlaps.
func (s *shard) usage(hash uint64, now time.Time) (w *window, used int) {
	start := now.Unix() - now.Unix()%s.length
	if w = s.at(start); w == nil {
		w = s.rotate(start)
	}
	elapsed := now.Sub(time.Unix(start, 0)).Seconds() / float64(s.length)
	before := float64(s.at(start - s.length).count(hash))
	return w, w.count(hash) + int(math.Round(before*(1-elapsed)))
}

// at returns the window that begins at start, or nil if it is not kept.
func (s *shard) at(start int64) *window {
	switch start {
	case s.current.start:
		return &s.current
	case s.previous.start:
		return &s.previous
	}
	return nil
}

// rotate begins a window. Windows older than the previous one are dropped, with what was not sent of them: it no longer
// matters. If the clock was set back, later windows are dropped too.
func (s *shard) rotate(start int64) *window {
	if before := start - s.length; s.current.start == before {
		s.previous = s.current
	} else {
		s.previous = newWindow(before)
	}
	s.current = newWindow(start)
	return &s.current
}

// take appends pending counts to a batch, as far as it has room.
func (s *shard) take(batch []delta) []delta {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.current.take(s.previous.take(batch, false), true)
}

// apply takes up what Redis has replied.
func (s *shard) apply(d delta) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.at(d.start).apply(d)
	s.at(d.start-s.length).merge(d.hash, d.before)
}
