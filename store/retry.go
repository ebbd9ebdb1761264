package store

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"
)

const (
	maxAttempts = 12
	maxPause    = 50 * time.Millisecond
)

// retry runs a unit of work again, from its first read on, while it loses against others: it met a row that was not
// there a moment ago (errAgain), or the server chose it as the victim of a deadlock or had it wait too long for a row.
func retry(ctx context.Context, work func() error) error {
	for attempt := 1; ; attempt++ {
		err := work()
		if err == nil || attempt == maxAttempts || !lost(err) {
			return err
		}
		if attempt == 1 && errors.Is(err, errAgain) {
			continue // the faster one has committed, there is nothing to wait for
		}
		if err := pause(ctx, attempt); err != nil {
			return err
		}
	}
}

// lost reports whether a unit of work failed because of others.
func lost(err error) bool { return errors.Is(err, errAgain) || deadlocked(err) }

// pause waits for a random time, longer with each attempt, or until the context ends.
func pause(ctx context.Context, attempt int) error {
	longest := min(time.Millisecond<<attempt, maxPause)
	timer := time.NewTimer(rand.N(longest))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
