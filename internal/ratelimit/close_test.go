package ratelimit_test

import (
	"fmt"
	"testing"
)

func TestCounter_Close(t *testing.T) {
	t.Run("sends the pending counts", func(t *testing.T) {
		f := newFixture(t)
		const keys = 700
		for n := range keys {
			f.count(t, fmt.Sprint(n), 2)
		}
		f.close(t)
		if sum := f.sum(t); sum != 2*keys {
			t.Errorf("%d in Redis, want %d", sum, 2*keys)
		}
		f.wantKeys(t, keys)
		f.wantChanges(t)
	})

	// A limiter may be used while the server shuts down.
	t.Run("leaves the limiters usable in this process", func(t *testing.T) {
		f := newFixture(t).running(t)
		for range 2 {
			f.close(t)
		}
		f.count(t, "a", 2)
		f.want(t, "a", 2, 0)
		f.close(t)
		if pipelines, commands := f.server.received(); pipelines != 0 {
			t.Errorf("Redis got commands: %v", commands)
		}
		f.wantChanges(t)
	})

	// Pending counts are sent if Redis is back, and nothing is sent afterwards.
	t.Run("sends the pending counts if Redis is back", func(t *testing.T) {
		for name, back := range map[string]bool{"still": false, "no more": true} {
			t.Run(name, func(t *testing.T) {
				f := newFixture(t)
				f.server.away.Store(true)
				f.count(t, "a", 1)
				f.Flush()
				f.wantChanges(t, true)
				f.count(t, "a", 2)
				f.server.away.Store(!back)
				f.close(t)
				f.want(t, "a", 3, 0)
				f.server.received()
				f.count(t, "a", 1)
				f.close(t)
				if pipelines, _ := f.server.received(); pipelines != 0 {
					t.Error("Redis was asked after Close")
				}
				want, changes := 0, []bool(nil)
				if back {
					want, changes = 2, []bool{false}
				}
				if sum := f.sum(t); sum != want {
					t.Errorf("%d in Redis, want %d", sum, want)
				}
				f.wantChanges(t, changes...)
			})
		}
	})
}
