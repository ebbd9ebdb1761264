package ratecount

import (
	"errors"
	"strconv"

	"github.com/redis/go-redis/v9"
)

// once is an INCRBY that is not sent again. Where a connection breaks, a client repeats the whole pipeline, and one of a
// Cluster does so whatever its options are, unless this is in it. It is sent on to where a slot has moved all the same.
type once struct{ *redis.IntCmd }

// NoRetry is asked by the client.
func (once) NoRetry() bool { return true }

// answer is the commands for one delta. Those that were not needed are nil.
type answer struct {
	made, expiry *redis.BoolCmd
	count        *redis.IntCmd
	before       *redis.StringCmd
}

// note takes up what Redis has answered. What is no number counts as 0.
func (a answer) note(d *delta) {
	d.total = limited(a.count.Val())
	d.failed = fault(a.made.Err()) || fault(a.count.Err())
	if a.expiry != nil {
		d.failed = d.failed || fault(a.expiry.Err())
	}
	if a.before != nil {
		d.failed = d.failed || fault(a.before.Err())
		if before, err := strconv.ParseInt(a.before.Val(), 10, 64); err == nil {
			d.before = limited(before)
		}
	}
}

// fault tells whether an error means that Redis is away, or cannot count.
func fault(err error) bool {
	return err != nil && !errors.Is(err, redis.Nil) && !foreign(err)
}

// foreign tells whether Redis is well, but something else than a count stands in a count's place. Only this key is counted here
// alone then.
func foreign(err error) bool {
	return redis.HasErrorPrefix(err, "WRONGTYPE") || redis.HasErrorPrefix(err, "value is not an integer") ||
		redis.HasErrorPrefix(err, "increment or decrement would overflow")
}
