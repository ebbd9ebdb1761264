package ratecount

import (
	"time"

	"github.com/go-chi/httprate"
)

// unshared is the part of a limit, 1/unshared, that an instance counts for a key before it tells the others.
const unshared = 32

// ForLimit is the Counter for a limit of so many events a window. It keeps up to a 32nd of that to itself, for each key and
// window: most keys never get that far, and cost Redis nothing then.
func (c *Counter) ForLimit(limit int) httprate.LimitCounter {
	return forLimit{Counter: c, kept: int32(min(limit/unshared, 1<<20))}
}

type forLimit struct {
	*Counter
	kept int32
}

// Increment is IncrementBy 1.
func (f forLimit) Increment(key string, current time.Time) error {
	return f.IncrementBy(key, current, 1)
}

// IncrementBy is that of Counter.
func (f forLimit) IncrementBy(key string, current time.Time, amount int) error {
	f.count(key, current, amount, f.kept)
	return nil
}
