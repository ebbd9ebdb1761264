package ratelimit_test

import (
	"strings"
	"testing"
	"time"
)

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
			if !ok || !both || tag == "" || window == "" || strings.Contains(key, "192") {
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
