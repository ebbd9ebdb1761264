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
