package handlers

import (
	"hash/maphash"
	"math"
	"net/http"
	"time"

	"github.com/go-chi/httprate"
)

// RateWindow is the window over which rate limits count: limits are per minute, and the window slides.
const RateWindow = time.Minute

// limiterShards is how many keys of one limit may be counted at the same time.
const limiterShards = 64

// limiter bounds how often something happens for each key within RateWindow. A nil limiter allows everything.
//
// httprate holds a lock of its limiter while it asks the counter. So keys are spread over many limiters: requests of one key
// are counted one after another, as they must be, and others hardly ever wait.
type limiter struct {
	name   string // keeps the keys of different limits apart in one counter
	limit  int
	seed   maphash.Seed
	shards [limiterShards]*httprate.RateLimiter
}

// newLimiter makes a limiter of so many events a window and key; 0 makes none. A nil counter counts in this process.
func newLimiter(name string, limit int, counter httprate.LimitCounter) *limiter {
	if limit == 0 {
		return nil
	}
	if counter == nil {
		counter = httprate.NewLocalLimitCounter(RateWindow)
	}
	if c, ok := counter.(interface {
		ForLimit(int) httprate.LimitCounter
	}); ok {
		counter = c.ForLimit(limit)
	}
	counter = harmless{counter}
	l := &limiter{name: name, limit: limit, seed: maphash.MakeSeed()}
	for i := range l.shards {
		l.shards[i] = httprate.NewRateLimiter(limit, RateWindow,
			httprate.WithLimitCounter(counter), httprate.WithResponseHeaders(httprate.ResponseHeaders{}))
	}
	return l
}

func (l *limiter) shard(key string) *httprate.RateLimiter {
	return l.shards[maphash.String(l.seed, key)%limiterShards]
}

// take counts one event of a key and tells whether it is within the limit. One beyond the limit is not counted.
func (l *limiter) take(w http.ResponseWriter, r *http.Request, key string) bool {
	if l == nil {
		return true
	}
	return !l.shard(key).OnLimit(w, r, l.name+":"+key)
}

// spent tells whether the next event of a key would be beyond the limit. It counts nothing.
func (l *limiter) spent(key string) bool {
	if l == nil {
		return false
	}
	_, rate, _ := l.shard(key).Status(l.name + ":" + key) // a harmless counter does not fail
	return int(math.Round(rate)) >= l.limit
}

// harmless makes a counter of one that may fail: what it cannot count is let through, for a limit must not be what makes
// a request fail.
type harmless struct{ httprate.LimitCounter }

func (h harmless) IncrementBy(key string, window time.Time, n int) error {
	_ = h.LimitCounter.IncrementBy(key, window, n)
	return nil
}

func (h harmless) Get(key string, window, previous time.Time) (int, int, error) {
	current, before, err := h.LimitCounter.Get(key, window, previous)
	if err != nil {
		return 0, 0, nil
	}
	return current, before, nil
}
