package ratelimit_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"wxlogin/internal/ratelimit"
)

// allowed returns how many of a number of events a limiter allows.
func allowed(l *ratelimit.Limiter, key string, events int) (n int) {
	for range events {
		if l.Allow(key) {
			n++
		}
	}
	return n
}

func TestLimiter_Allow(t *testing.T) {
	t.Run("the window slides", func(t *testing.T) {
		for _, redis := range []string{"with", "without"} {
			f := newFixture(t)
			counter := f.Counter
			if redis == "without" {
				counter = f.inProcess(t)
			}
			l := counter.Limiter("a", 10)
			for _, step := range []struct {
				after time.Duration // since current
				want  int           // of 20 events
			}{
				{0, 10}, {59 * time.Second, 0}, {60 * time.Second, 0}, {66 * time.Second, 1}, {90 * time.Second, 4},
				{90 * time.Second, 0}, {119 * time.Second, 5}, {120 * time.Second, 0}, {240 * time.Second, 10}, {420 * time.Second, 10},
			} {
				f.setClock(current.Add(step.after))
				if got := allowed(l, "k", 20); got != step.want {
					t.Errorf("%s Redis, after %v: %d of 20 are allowed, want %d", redis, step.after, got, step.want)
				}
			}
		}
	})
	t.Run("keys and names count apart", func(t *testing.T) {
		f := newFixture(t)
		for _, name := range []string{"a", "b"} {
			for _, key := range []string{"k", "l"} {
				if got := allowed(f.Limiter(name, 3), key, 5); got != 3 {
					t.Errorf("%s %s: %d are allowed, want 3", name, key, got)
				}
			}
		}
		if got := allowed(f.Limiter("a", 3), "k", 1); got != 0 {
			t.Error("limiters of one name count apart")
		}
	})
	t.Run("long keys are counted whole", func(t *testing.T) {
		f := newFixture(t)
		l := f.Limiter("a", 1)
		for _, end := range []string{"x", "y"} {
			if got := allowed(l, fmt.Sprintf("%0300d%s", 0, end), 2); got != 1 {
				t.Errorf("%d are allowed, want 1", got)
			}
		}
	})
	t.Run("limit 0 allows everything", func(t *testing.T) {
		f := newFixture(t)
		l := f.Limiter("a", 0)
		r, ok := l.Reserve("k")
		if !ok || allowed(l, "k", 100) != 100 || f.Kept() != 0 {
			t.Error("it limits or counts")
		}
		r.Keep()
		r.Release()
		if r, ok := l.ReserveWait(t.Context(), "k", 0); !ok || r != nil {
			t.Error("it makes reservations")
		}
	})
	t.Run("what is refused is not counted", func(t *testing.T) {
		f := newFixture(t)
		l := f.Limiter("a", 2)
		allowed(l, "k", 100)
		if now, _ := l.Counts("k", current); now != 2 {
			t.Errorf("%d are counted, want 2", now)
		}
		f.Flush()
		if sum := f.sum(t); sum != 2 {
			t.Errorf("%d in Redis, want 2", sum)
		}
	})
	t.Run("concurrent calls are allowed exactly up to the limit", func(t *testing.T) {
		f := newFixture(t).running(t) // one for all rounds, because each fixture may start a Redis
		l := f.Limiter("a", 100)
		for round := range 20 {
			var n atomic.Int32
			var group sync.WaitGroup
			for range 8 {
				group.Go(func() { n.Add(int32(allowed(l, fmt.Sprint("k", round), 50))) })
			}
			group.Wait()
			if n.Load() != 100 {
				t.Errorf("%d are allowed, want 100", n.Load())
			}
		}
	})
}

// inProcess returns a Counter without Redis, on the fixture's clock.
func (f *fixture) inProcess(t *testing.T) *ratelimit.Counter {
	t.Helper()
	c := ratelimit.New(ratelimit.Options{Window: window, Now: func() time.Time { return time.Unix(0, f.clock.Load()) }})
	t.Cleanup(func() {
		if err := c.Close(); err != nil || c.Degraded() {
			t.Errorf("%v, degraded %v", err, c.Degraded())
		}
	})
	return c
}

func TestLimiter_Limiter(t *testing.T) {
	// Less than 1/32 of a limit is not shared at first. It is counted exactly in this process, and sent with later
	// events.
	t.Run("keeps small counts to itself", func(t *testing.T) {
		f := newFixture(t)
		g := f.another(t)
		l := f.Limiter("test", 320)
		for n := 1; n <= 10; n++ {
			l.Allow("a")
			if now, _ := l.Counts("a", current); now != n {
				t.Fatalf("counted %d, want %d", now, n)
			}
		}
		f.Flush()
		if n := f.sum(t); n != 0 {
			t.Fatalf("%d are in Redis, want none", n)
		}
		l.Allow("a")
		f.Flush()
		if n := f.sum(t); n != 11 {
			t.Fatalf("%d are in Redis, want 11", n)
		}
		g.count(t, "a", 1)
		g.Flush()
		g.want(t, "a", 12, 0)
	})
	t.Run("shares small limits at once", func(t *testing.T) {
		f := newFixture(t)
		f.Limiter("test", 31).Allow("a")
		f.Flush()
		if n := f.sum(t); n != 1 {
			t.Errorf("%d are in Redis, want 1", n)
		}
	})
	t.Run("heeds what others have counted", func(t *testing.T) {
		f := newFixture(t)
		g := f.another(t)
		allowed(f.Limiter("test", 10), "a", 10)
		f.Flush()
		l := g.Limiter("test", 10)
		if got := allowed(l, "a", 1); got != 1 {
			t.Errorf("the first is refused")
		}
		g.Flush()
		if got := allowed(l, "a", 5); got != 0 {
			t.Errorf("%d more are allowed", got)
		}
		if _, ok := l.Reserve("a"); ok {
			t.Error("a place is given")
		}
	})
}

func TestReservation(t *testing.T) {
	t.Run("uses the limit up until it ends", func(t *testing.T) {
		f := newFixture(t)
		l := f.Limiter("a", 3)
		first, _ := l.Reserve("k")
		second, _ := l.Reserve("k")
		if got := allowed(l, "k", 3); got != 1 {
			t.Errorf("%d are allowed beside two reservations, want 1", got)
		}
		if _, ok := l.Reserve("k"); ok {
			t.Error("a fourth place of three")
		}
		if _, ok := l.Reserve("another"); !ok {
			t.Error("another key has no place")
		}
		first.Release()
		second.Keep()
		if got := allowed(l, "k", 3); got != 1 {
			t.Errorf("%d are allowed where one place is free", got)
		}
	})
	t.Run("ends once", func(t *testing.T) {
		f := newFixture(t)
		l := f.Limiter("a", 5)
		held, _ := l.Reserve("k")
		for _, end := range []func(*ratelimit.Reservation){(*ratelimit.Reservation).Keep, (*ratelimit.Reservation).Release} {
			r, _ := l.Reserve("k")
			end(r)
			r.Keep()
			r.Release()
		}
		if now, _ := l.Counts("k", current); now != 1 {
			t.Errorf("%d are counted, want the one that was kept", now)
		}
		if got := allowed(l, "k", 9); got != 3 {
			t.Errorf("%d are allowed, want 3", got)
		}
		held.Release()
	})
	t.Run("a release costs Redis nothing, and what is kept is shared", func(t *testing.T) {
		f := newFixture(t)
		l := f.Limiter("a", 5)
		released, _ := l.Reserve("k")
		released.Release()
		f.Flush()
		f.wantAsked(t, 0, map[string]int{})
		kept, _ := l.Reserve("k")
		kept.Keep()
		f.Flush()
		if sum := f.sum(t); sum != 1 {
			t.Errorf("%d in Redis, want 1", sum)
		}
		f.wantKeys(t, 1)
	})
	t.Run("survives its window, and is counted in that in which it is kept", func(t *testing.T) {
		f := newFixture(t)
		l := f.Limiter("a", 2)
		r, _ := l.Reserve("k")
		for n := range 5 {
			f.setClock(current.Add(time.Duration(n) * window))
			if got := allowed(l, fmt.Sprint("turns the window", n), 1); got != 1 {
				t.Fatal("another key is refused")
			}
			if used := f.Reserved(); len(used) != 1 {
				t.Errorf("%d keys have reservations in window %d, want 1", len(used), n)
			}
		}
		if got := allowed(l, "k", 2); got != 1 {
			t.Errorf("%d are allowed beside the reservation, want 1", got)
		}
		r.Keep()
		if now, _ := l.Counts("k", current.Add(4*window)); now != 2 {
			t.Errorf("%d are counted, want 2", now)
		}
	})
	t.Run("leaves nothing behind", func(t *testing.T) {
		f := newFixture(t)
		l := f.Limiter("a", 2)
		for n := range 1000 {
			r, _ := l.Reserve(fmt.Sprint(n % 500))
			r.Release()
			l.Reserve("full")
		}
		if kept, used := f.Kept(), f.Reserved(); kept != 0 || len(used) != 1 {
			t.Errorf("%d counts and %d reserved keys are kept, want none and one", kept, len(used))
		}
	})
}

// Counted and reserved events together never exceed the limit, however reservations end.
func TestReservation_Concurrent(t *testing.T) {
	f := newFixture(t).running(t)
	const limit = 20
	l := f.Limiter("a", limit)
	var taken, kept atomic.Int32
	var group sync.WaitGroup
	for range 16 {
		group.Go(func() {
			for range 200 {
				r, ok := l.Reserve("k")
				if !ok {
					continue
				}
				if n := taken.Add(1); n > limit {
					t.Errorf("%d places of %d are taken", n, limit)
				}
				if rand.IntN(20) == 0 {
					kept.Add(1) // and counts from now on
					r.Keep()
					continue
				}
				taken.Add(-1)
				r.Release()
				r.Release()
			}
		})
	}
	group.Wait()
	if now, _ := l.Counts("k", current); now != int(kept.Load()) || len(f.Reserved()) != 0 {
		t.Errorf("%d are counted, want %d; %d are reserved", now, kept.Load(), len(f.Reserved()))
	}
}

func TestLimiter_ReserveWait(t *testing.T) {
	type result struct {
		r  *ratelimit.Reservation
		ok bool
	}
	wait := func(ctx context.Context, l *ratelimit.Limiter, maxWait time.Duration) <-chan result {
		got := make(chan result, 1)
		go func() {
			r, ok := l.ReserveWait(ctx, "k", maxWait)
			got <- result{r, ok}
		}()
		return got
	}
	t.Run("gets the place that is released", func(t *testing.T) {
		f := newFixture(t)
		l := f.Limiter("a", 1)
		held, _ := l.ReserveWait(t.Context(), "k", 0)
		got := wait(t.Context(), l, time.Hour)
		f.untilWaits(t)
		held.Release()
		if g := <-got; !g.ok {
			t.Error("it got none")
		} else {
			g.r.Release()
		}
		if len(f.Reserved()) != 0 {
			t.Error("something stays reserved")
		}
	})
	t.Run("gives up when the place is kept", func(t *testing.T) {
		f := newFixture(t)
		l := f.Limiter("a", 1)
		held, _ := l.Reserve("k")
		first, second := wait(t.Context(), l, time.Hour), wait(t.Context(), l, time.Hour)
		f.untilWaits(t)
		held.Keep()
		for _, got := range []<-chan result{first, second, wait(t.Context(), l, time.Hour)} {
			if g := <-got; g.ok {
				t.Error("it got a place beyond the limit")
			}
		}
		if len(f.Reserved()) != 0 {
			t.Error("something stays reserved")
		}
	})
	t.Run("gives up after its time, and with its context", func(t *testing.T) {
		f := newFixture(t)
		l := f.Limiter("a", 1)
		held, _ := l.Reserve("k")
		if g := <-wait(t.Context(), l, time.Nanosecond); g.ok {
			t.Error("it got a place beyond the limit")
		}
		ctx, cancel := context.WithCancel(t.Context())
		got := wait(ctx, l, time.Hour)
		f.untilWaits(t)
		cancel()
		if g := <-got; g.ok {
			t.Error("it got a place beyond the limit")
		}
		held.Release()
		if len(f.Reserved()) != 0 {
			t.Error("something stays reserved")
		}
	})
	t.Run("all of many get a place in turn", func(t *testing.T) {
		f := newFixture(t)
		l := f.Limiter("a", 2)
		var group sync.WaitGroup
		for range 200 {
			group.Go(func() {
				r, ok := l.ReserveWait(t.Context(), "k", time.Hour)
				if !ok {
					t.Error("refused")
				}
				r.Release()
			})
		}
		group.Wait()
	})
}

// untilWaits waits until a call waits for a reservation to end.
func (f *fixture) untilWaits(t *testing.T) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !f.Waits(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("no call waits")
		}
	}
}
