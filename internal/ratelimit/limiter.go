package ratelimit

import (
	"context"
	"math"
	"sync/atomic"
	"time"
)

// localShare is the part of a limit, 1/localShare, that an instance counts for a key before it shares the count.
const localShare = 32

// keyBuffer is how long a key may be, with the limiter's name, and need no allocation.
const keyBuffer = 128

// Limiter allows a number of events a window for each key. A nil Limiter allows everything.
type Limiter struct {
	counter *Counter
	name    string
	limit   int
	budget  int32 // how many events of a key may stay unshared
}

// Limiter makes a limiter of limit events a window and key; a limit of 0 makes a nil Limiter. The name keeps its keys
// apart from those of other limiters; limiters of one name count together, in all instances.
func (c *Counter) Limiter(name string, limit int) *Limiter {
	if limit == 0 {
		return nil
	}
	l := &Limiter{counter: c, name: name, limit: limit, budget: int32(min(limit/localShare, 1<<20))}
	if c.store == nil {
		l.budget = math.MaxInt32
	}
	return l
}

// Allow counts one event of a key and reports whether it is within the limit. An event beyond the limit is not counted.
func (l *Limiter) Allow(key string) bool {
	if l == nil {
		return true
	}
	var buf [keyBuffer]byte
	full := l.appendKey(buf[:0], key)
	s, hash := l.counter.table.shard(full)
	allowed, dirty := s.allow(hash, full, l)
	if dirty {
		l.counter.wakeUp()
	}
	return allowed
}

// Reserve takes a place for an event of a key that may not have to be counted, and reports whether there is one within
// the limit. A Reservation that was got must end by Keep or Release. That of a nil Limiter is nil, which is valid.
func (l *Limiter) Reserve(key string) (r *Reservation, ok bool) {
	if l == nil {
		return nil, true
	}
	r, _ = l.reserve(key)
	return r, r != nil
}

// ReserveWait is Reserve that waits, for up to maxWait or until ctx ends, while only other reservations take the
// places: most of them may be released. If the counted events alone reach the limit, it returns at once.
func (l *Limiter) ReserveWait(ctx context.Context, key string, maxWait time.Duration) (r *Reservation, ok bool) {
	if l == nil {
		return nil, true
	}
	r, ended := l.reserve(key)
	if ended == nil {
		return r, r != nil
	}
	timer := time.NewTimer(maxWait)
	defer timer.Stop()
	for ended != nil {
		select {
		case <-ended:
			r, ended = l.reserve(key)
		case <-timer.C:
			return nil, false
		case <-ctx.Done():
			return nil, false
		}
	}
	return r, r != nil
}

// reserve returns a Reservation, or nil. If others could make room for it, ended is closed when one of them has ended.
func (l *Limiter) reserve(key string) (r *Reservation, ended <-chan struct{}) {
	var buf [keyBuffer]byte
	full := l.appendKey(buf[:0], key)
	s, hash := l.counter.table.shard(full)
	ok, ended := s.reserve(hash, l)
	if !ok {
		return nil, ended
	}
	return &Reservation{limiter: l, key: key, shard: s, hash: hash}, nil
}

// appendKey appends the name of a key in table and Redis.
func (l *Limiter) appendKey(b []byte, key string) []byte {
	return append(append(append(b, l.name...), ':'), key...)
}

// Reservation is a place within a limit. It ends once: after the first Keep or Release both are no-ops, as they are for
// a nil Reservation.
type Reservation struct {
	limiter *Limiter
	key     string
	shard   *shard
	hash    uint64
	ended   atomic.Bool
}

// Keep counts the event, now.
func (r *Reservation) Keep() { r.end(true) }

// Release gives the place back.
func (r *Reservation) Release() { r.end(false) }

func (r *Reservation) end(keep bool) {
	if r == nil || r.ended.Swap(true) {
		return
	}
	var buf [keyBuffer]byte
	full := r.limiter.appendKey(buf[:0], r.key)
	if r.shard.endReservation(r.hash, full, r.limiter, keep) {
		r.limiter.counter.wakeUp()
	}
}

// window has the counts of some keys in one window. A nil window is empty and takes nothing up.
type window struct {
	start  int64 // in Unix seconds
	counts map[uint64]count
	dirty  []dirtyKey // whose counts are to be sent
}

// count is what this process knows of a key in a window.
type count struct {
	known   int32 // events of all instances, as far as Redis has replied
	pending int32 // events counted here that Redis has not replied to
	dirty   bool  // is in window.dirty
	asked   bool  // the previous window was read from Redis
}

type dirtyKey struct {
	hash uint64
	key  string
}

func newWindow(start int64) window {
	return window{start: start, counts: make(map[uint64]count)}
}

// saturated converts a number to one that a count can hold.
func saturated(n int64) int32 { return int32(max(0, min(n, math.MaxInt32))) }

// add counts an event. It reports whether the key became dirty, because more events than budget are pending.
func (w *window) add(hash uint64, key []byte, budget int32) (dirty bool) {
	c := w.counts[hash]
	c.pending = saturated(int64(c.pending) + 1)
	dirty = !c.dirty && c.pending > budget
	if dirty {
		w.dirty = append(w.dirty, dirtyKey{hash, string(key)})
		c.dirty = true
	}
	w.counts[hash] = c
	return dirty
}

// count returns how many events of a key are known here, at most math.MaxInt32.
func (w *window) count(hash uint64) int {
	if w == nil {
		return 0
	}
	c := w.counts[hash]
	return int(saturated(int64(c.known) + int64(c.pending)))
}

// take appends dirty keys to a batch, as far as it has room. With ask, a key's first delta reads the previous window,
// too.
func (w *window) take(batch []delta, ask bool) []delta {
	rest := max(0, len(w.dirty)-(cap(batch)-len(batch)))
	for _, k := range w.dirty[rest:] {
		c := w.counts[k.hash]
		c.dirty = false
		w.counts[k.hash] = c
		batch = append(batch, delta{hash: k.hash, key: k.key, start: w.start, amount: c.pending, ask: ask && !c.asked})
	}
	clear(w.dirty[rest:]) // drops the strings
	w.dirty = w.dirty[:rest]
	return batch
}

// apply takes up a delta that was sent. The greater count is right: this instance may have counted what Redis does not
// have, and Redis may have lost what it had.
func (w *window) apply(d delta) {
	if w == nil {
		return
	}
	c := w.counts[d.hash]
	c.known = max(d.total, saturated(int64(c.known)+int64(d.amount)))
	c.pending = max(0, c.pending-d.amount)
	c.asked = c.asked || d.ask && !d.failed
	w.counts[d.hash] = c
}

// merge takes up what all instances have counted for a key; 0 if Redis did not say.
func (w *window) merge(hash uint64, total int32) {
	if w == nil || total == 0 {
		return
	}
	c := w.counts[hash]
	c.known = max(c.known, total)
	w.counts[hash] = c
}
