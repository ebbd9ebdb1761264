package wechat

import (
	"context"
	"math/rand/v2"
	"time"
)

const (
	maxAttempts = 3
	firstPause  = 100 * time.Millisecond
)

// call makes the attempts of one call within the client's time-out. Only attempts that certainly changed nothing at
// WeChat are followed by another (Error.repeatable).
func (c *Client) call(ctx context.Context, r request, into answer) error {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	for n := 1; ; n++ {
		e := c.attempt(ctx, r, into)
		if e == nil {
			return nil
		}
		if !e.repeatable || n == maxAttempts {
			return e
		}
		if !sleep(ctx, pause(n)) {
			return interrupted(ctx, e)
		}
	}
}

// interrupted is the error of a call whose pause did not run out: the caller's cancellation where there was one, and
// otherwise what WeChat said last, which tells more than that the time was used up.
func interrupted(ctx context.Context, last *Error) *Error {
	if ctx.Err() == nil {
		return last
	}
	return unavailable(last.API, 0, sanitize(ctx, ctx.Err()))
}

// pause is the wait after attempt n: 100 ms, then 200 ms, each ±50 % so that the logins which failed together do not
// come back together.
func pause(n int) time.Duration {
	d := firstPause << (n - 1)
	return d/2 + rand.N(d)
}

// sleep waits for d and reports true; or false, where ctx ends first. It does not begin a wait that ctx cannot outlive.
func sleep(ctx context.Context, d time.Duration) bool {
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) <= d {
		return false
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
