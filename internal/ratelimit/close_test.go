package ratelimit_test

import (
	"fmt"
	"testing"
)

func TestCounter_Close_sends_the_rest(t *testing.T) {
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
}

// A limiter may still be asked while the server stops.
func TestCounter_counts_here_after_Close(t *testing.T) {
	f := newFixture(t).running(t)
	for range 2 {
		f.close(t)
	}
	f.count(t, "a", 2)
	f.want(t, "a", 2, 0)
	f.close(t)
	if pipelines, commands := f.server.asked(); pipelines != 0 {
		t.Errorf("Redis was asked: %v", commands)
	}
	f.wantChanges(t)
}

// What waits is sent, if Redis is back just then, and nothing is asked afterwards.
func TestCounter_Close_while_Redis_is_away(t *testing.T) {
	for name, back := range map[string]bool{"still": false, "no_more": true} {
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
			f.server.asked()
			f.count(t, "a", 1)
			f.close(t)
			if pipelines, _ := f.server.asked(); pipelines != 0 {
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
}
