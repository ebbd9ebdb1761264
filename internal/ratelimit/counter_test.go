package ratelimit_test

import (
	"fmt"
	"math"
	"strings"
	"sync"
	"testing"
	"time"

	"wxlogin/internal/ratelimit"
)

func TestCounter_KeysAndWindows(t *testing.T) {
	type count struct {
		key    string
		window time.Time
		amount int
	}
	tests := map[string]struct {
		counts      []count
		now, before int // of the key "a"
		keys        int // in Redis
	}{
		"nothing":                         {nil, 0, 0, 0},
		"one":                             {[]count{{"a", current, 1}}, 1, 0, 1},
		"several":                         {[]count{{"a", current, 1}, {"a", current, 4}}, 5, 0, 1},
		"both windows":                    {[]count{{"a", previous, 2}, {"a", current, 3}}, 3, 2, 2},
		"an event of the previous window": {[]count{{"a", current, 3}, {"a", previous, 2}}, 3, 2, 2},
		"the window before":               {[]count{{"a", previous, 2}}, 0, 2, 1},
		"an older window":                 {[]count{{"a", previous.Add(-window), 7}}, 0, 0, 1},
		"a gap":                           {[]count{{"a", previous.Add(-window), 7}, {"a", current, 1}}, 1, 0, 1},
		"another key":                     {[]count{{"b", current, 9}, {"a", current, 1}}, 1, 0, 2},
		"a key with braces":               {[]count{{"a}:1", current, 9}, {"{a", current, 1}}, 0, 0, 2},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			for _, c := range test.counts {
				f.countIn(t, c.window, c.key, c.amount)
			}
			f.want(t, "a", test.now, test.before)
			f.Flush()
			f.want(t, "a", test.now, test.before)
			f.wantKeys(t, test.keys)
			f.wantChanges(t)
		})
	}
}

// A count that would overflow stays at the maximum.
func TestCounter_MaxCount(t *testing.T) {
	f := newFixture(t)
	f.count(t, "a", 1)
	f.Flush()
	for key := range f.redis.Dump(t) {
		if err := f.client.IncrBy(t.Context(), key, 3*math.MaxInt32).Err(); err != nil {
			t.Fatal(err)
		}
	}
	for range 3 {
		f.count(t, "a", 1)
		f.Flush()
		f.want(t, "a", math.MaxInt32, 0)
	}
	f.count(t, "a", 1)
	f.want(t, "a", math.MaxInt32, 0)
}

func TestCounter_NoRoundTrip(t *testing.T) {
	f := newFixture(t)
	for n := range 100 {
		f.count(t, fmt.Sprint(n%7), 1)
		f.want(t, "never counted", 0, 0)
	}
	if pipelines, commands := f.server.received(); pipelines != 0 || len(commands) != 0 {
		t.Errorf("Redis was asked %d times: %v", pipelines, commands)
	}
}

// Counts are sent once. If nothing was counted, nothing is sent.
func TestCounter_Commands(t *testing.T) {
	f := newFixture(t)
	f.Flush()
	for n := range 1000 {
		f.count(t, fmt.Sprint(n), 1)
		f.count(t, fmt.Sprint(n), 2)
	}
	f.Flush()
	f.wantAsked(t, 2, map[string]int{"set": 1000, "incrby": 1000, "get": 1000})
	f.Flush()
	f.wantAsked(t, 0, map[string]int{})

	for n := range ratelimit.BatchSize {
		f.count(t, fmt.Sprint(n), 1)
	}
	f.Flush()
	f.wantAsked(t, 1, map[string]int{"set": ratelimit.BatchSize, "incrby": ratelimit.BatchSize})

	f.countIn(t, previous, "0", 1)
	f.Flush()
	f.wantAsked(t, 1, map[string]int{"set": 1, "incrby": 1})
	if sum := f.sum(t); sum != 3000+ratelimit.BatchSize+1 {
		t.Errorf("%d in Redis", sum)
	}
	f.wantKeys(t, 1001)
}

func (f *fixture) wantAsked(t testing.TB, pipelines int, commands map[string]int) {
	t.Helper()
	gotPipelines, got := f.server.received()
	if gotPipelines != pipelines || fmt.Sprint(got) != fmt.Sprint(commands) {
		t.Errorf("%d pipelines of %v, want %d of %v", gotPipelines, got, pipelines, commands)
	}
}

// Windows older than the previous one are dropped.
func TestCounter_TwoWindows(t *testing.T) {
	f := newFixture(t)
	const keys = 1000
	for n := range 5 {
		for key := range keys {
			f.countIn(t, current.Add(time.Duration(n)*window), fmt.Sprint(n, "-", key), 1)
		}
		if n%2 == 0 {
			f.Flush()
		}
		if kept, want := f.Kept(), min(n+1, 2)*keys; kept != want {
			t.Errorf("window %d: %d counts are kept, want %d", n, kept, want)
		}
	}
	f.wantIn(t, current.Add(4*window), "4-0", 1, 0)
	f.wantIn(t, current.Add(4*window), "3-0", 0, 1)
	f.wantIn(t, current.Add(4*window), "2-0", 0, 0)
}

// If the clock is set back, limits must not stay exhausted until it has caught up.
func TestCounter_ClockSetBack(t *testing.T) {
	f := newFixture(t)
	f.countIn(t, current.Add(time.Hour), "a", 9)
	f.Flush()
	f.count(t, "a", 2)
	f.want(t, "a", 2, 0)
	f.Flush()
	f.want(t, "a", 2, 0)
	if kept := f.Kept(); kept != 1 {
		t.Errorf("%d counts in memory", kept)
	}
}

// Many goroutines count while the Counter flushes. Redis has each event once.
func TestCounter_Concurrent(t *testing.T) {
	f := newFixture(t)
	instances := []*fixture{f.running(t), f.running(t)}
	instances[1].setClock(next)
	const callers, events = 8, 500
	var group sync.WaitGroup
	for n := range callers {
		group.Go(func() {
			g := instances[n%len(instances)]
			for event := range events {
				g.unlimited.Allow(fmt.Sprint("key", event%100))
				if now, before := g.unlimited.Counts("key0", next); now+before > callers*events {
					t.Errorf("%d and %d", now, before)
				}
			}
		})
	}
	group.Wait()
	for _, g := range instances {
		g.close(t)
		g.wantChanges(t)
	}
	if sum := f.sum(t); sum != callers*events {
		t.Errorf("%d counted in Redis, of %d events", sum, callers*events)
	}
	f.wantKeys(t, 200)
}

func TestCounter_Sharing(t *testing.T) {
	// An instance learns what others have sent when it sends something for the same key.
	t.Run("counts together with other instances", func(t *testing.T) {
		f := newFixture(t)
		g := f.another(t)
		f.count(t, "a", 2)
		g.count(t, "a", 3)
		f.Flush()
		f.want(t, "a", 2, 0)
		g.want(t, "a", 3, 0)
		g.Flush()
		g.want(t, "a", 5, 0)
		f.want(t, "a", 2, 0)

		f.count(t, "a", 1)
		f.want(t, "a", 3, 0)
		f.Flush()
		f.want(t, "a", 6, 0)
		g.count(t, "a", 10)
		g.want(t, "a", 15, 0)
		g.Flush()
		g.want(t, "a", 16, 0)
	})

	t.Run("flushes in the background", func(t *testing.T) {
		f := newFixture(t)
		g, h := f.running(t), f.running(t)
		g.count(t, "a", 1)
		deadline := time.Now().Add(10 * time.Second)
		for f.sum(t) == 0 {
			if time.Now().After(deadline) {
				t.Fatal("nothing is sent")
			}
		}
		for own := 1; ; own++ { // it learns when it counts
			h.count(t, "a", 1)
			if seen, _ := h.unlimited.Counts("a", current); seen > own {
				break
			}
			if time.Now().After(deadline) {
				t.Fatal("it does not learn")
			}
		}
	})

	// The previous window is read once, whether this instance or others have counted in it.
	t.Run("reads the previous window", func(t *testing.T) {
		f := newFixture(t)
		g := f.another(t)
		f.countIn(t, previous, "a", 4)
		g.countIn(t, previous, "b", 1)
		g.Flush()
		f.countIn(t, previous, "b", 6)
		f.Flush()
		for _, key := range []string{"a", "b"} {
			g.count(t, key, 1)
		}
		g.want(t, "a", 1, 0)
		g.want(t, "b", 1, 1)
		g.Flush()
		g.want(t, "a", 1, 4)
		g.want(t, "b", 1, 7)

		g.server.received()
		g.count(t, "a", 1)
		g.Flush()
		g.wantAsked(t, 1, map[string]int{"set": 1, "incrby": 1})
		g.want(t, "a", 2, 4)
	})

	t.Run("keeps the counts over the end of a window", func(t *testing.T) {
		f := newFixture(t)
		f.count(t, "a", 3)
		f.Flush()
		f.count(t, "a", 2) // is not sent before the window ends
		f.wantIn(t, next, "a", 0, 5)
		f.countIn(t, next, "a", 1)
		f.wantIn(t, next, "a", 1, 5)
		f.Flush()
		f.wantIn(t, next, "a", 1, 5)
		f.want(t, "a", 5, 0)
		g := f.another(t)
		g.countIn(t, next, "a", 1)
		g.Flush()
		g.wantIn(t, next, "a", 2, 5)
	})
}

func TestCounter_RedisKeys(t *testing.T) {
	// The keys are those of earlier versions, which may run at the same time.
	t.Run("have a stable form", func(t *testing.T) {
		f := newFixture(t)
		start := time.Unix(1800000000, 0)
		logins := f.Unlimited("login")
		countIn := func(start time.Time, events int) {
			f.setClock(start)
			for range events {
				logins.Allow("192.0.2.77")
			}
		}
		countIn(start, 3)
		countIn(start.Add(window), 2)
		f.Flush()
		name := f.redis.Prefix + prefix + "{WUpCB0T69NoLnkBq}:"
		got := f.redis.Dump(t)
		if len(got) != 2 || got[name+"1800000000"] != "3" || got[name+"1800000060"] != "2" {
			t.Errorf("got %v", got)
		}
		if err := f.client.IncrBy(t.Context(), name+"1800000060", 4).Err(); err != nil {
			t.Fatal(err)
		}
		countIn(start.Add(window), 1)
		f.Flush()
		if now, before := logins.Counts("192.0.2.77", start.Add(window)); now != 7 || before != 3 {
			t.Errorf("%d and %d, want 7 and 3", now, before)
		}
	})

	// Keys contain no addresses, and the windows of a key share a hash tag, so that a Cluster keeps them on one node.
	t.Run("contain only a hash, and share a slot", func(t *testing.T) {
		f := newFixture(t)
		const address = "192.0.2.77"
		f.countIn(t, previous, address, 1)
		f.count(t, address, 1)
		f.Flush()
		tags := make(map[string]bool)
		for key := range f.redis.Dump(t) {
			rest, ok := strings.CutPrefix(key, f.redis.Prefix+prefix+"{")
			tag, window, both := strings.Cut(rest, "}:")
			if !ok || !both || tag == "" || window == "" || strings.Contains(key, address) {
				t.Errorf("the key %s", key)
			}
			tags[tag] = true
		}
		if len(tags) != 1 {
			t.Errorf("%d hash tags, want one", len(tags))
		}
	})

	// A count outlives the two windows in which it matters, and then expires.
	t.Run("expire", func(t *testing.T) {
		f := newFixture(t)
		f.count(t, "a", 1)
		f.Flush()
		f.wantKeys(t, 1)
		f.redis.FastForward(t, window+window/2)
		f.count(t, "a", 1)
		f.Flush()
		if sum := f.sum(t); sum != 2 {
			t.Errorf("%d in Redis, want 2", sum)
		}
		f.redis.FastForward(t, window+window/2)
		if dump := f.redis.Dump(t); len(dump) != 0 {
			t.Errorf("it does not expire: %v", dump)
		}
	})
}

// If Redis has lost its keys, a new key gets an expiry, and this process keeps what it knows.
func TestCounter_RedisKeysLost(t *testing.T) {
	f := newFixture(t)
	f.count(t, "a", 5)
	f.Flush()
	f.redis.FastForward(t, 4*window)
	f.count(t, "a", 1)
	f.Flush()
	f.want(t, "a", 6, 0)
	f.wantKeys(t, 1)
}
