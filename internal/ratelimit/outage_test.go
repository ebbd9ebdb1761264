package ratelimit_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"wxlogin/internal/ratelimit"
)

func TestCounter_Outage(t *testing.T) {
	t.Run("counts in this process while Redis is away", func(t *testing.T) {
		f := newFixture(t)
		f.count(t, "a", 5)
		f.Flush()
		f.server.away.Store(true)
		f.count(t, "a", 2)
		f.Flush() // other instances never learn of these two
		f.wantChanges(t, true)
		f.want(t, "a", 7, 0)
		f.count(t, "a", 1)
		f.Flush()
		f.want(t, "a", 8, 0)
		f.countIn(t, next, "a", 1)
		f.wantChanges(t)

		f.server.away.Store(false)
		f.Flush()
		f.wantChanges(t, false)
		f.wantIn(t, next, "a", 1, 8)
		if sum := f.sum(t); sum != 5+1+1 {
			t.Errorf("%d in Redis, want all but what was on its way", sum)
		}
		f.count(t, "a", 1)
		f.Flush()
		f.want(t, "a", 9, 0)
		f.wantKeys(t, 2)

		f.server.away.Store(true) // a second outage
		f.count(t, "a", 1)
		f.Flush()
		f.wantChanges(t, true)
	})

	// A Redis that rejects the connection is away, too: it replies to no command of the pipeline.
	t.Run("counts in this process while Redis rejects commands", func(t *testing.T) {
		server := miniredis.RunT(t)
		server.RequireAuth("right")
		client := redis.NewClient(&redis.Options{Addr: server.Addr(), Password: "wrong"})
		defer client.Close()
		counter := ratelimit.NewByHand(ratelimit.Options{Redis: client, Prefix: prefix, Window: window, Timeout: 5 * time.Second})
		defer counter.Close()
		counter.Unlimited("test").Allow("a")
		counter.Flush()
		if !counter.Degraded() {
			t.Error("not degraded")
		}
		server.RequireAuth("wrong") // the password that the client has
		counter.Flush()
		if counter.Degraded() {
			t.Error("degraded, although Redis accepts commands again")
		}
	})

	// If Redis fails, only the keys of one pipeline are in flight.
	t.Run("keeps the counts that were not in flight", func(t *testing.T) {
		f := newFixture(t)
		const keys = 3 * ratelimit.BatchSize
		for n := range keys {
			f.count(t, fmt.Sprint(n), 1)
		}
		f.server.away.Store(true)
		for range 3 {
			f.Flush()
		}
		if pipelines, _ := f.server.received(); pipelines != 3 {
			t.Errorf("Redis was asked %d times, want 3", pipelines)
		}
		f.server.away.Store(false)
		f.Flush()
		if sum := f.sum(t); sum != keys-ratelimit.BatchSize {
			t.Errorf("%d in Redis, want %d", sum, keys-ratelimit.BatchSize)
		}
		f.wantKeys(t, keys)
		for n := range keys {
			f.want(t, fmt.Sprint(n), 1, 0)
		}
		f.wantChanges(t, true, false)
	})

	// A command whose reply was lost is not sent again.
	t.Run("counts nothing twice", func(t *testing.T) {
		f := newFixture(t)
		g := f.another(t)
		f.server.deaf.Store(true)
		f.count(t, "a", 3)
		f.Flush()
		f.Flush()
		f.count(t, "a", 1)
		g.count(t, "a", 1)
		g.Flush()
		f.want(t, "a", 4, 0)
		f.server.deaf.Store(false)
		f.Flush()
		f.want(t, "a", 5, 0)
		if sum := f.sum(t); sum != 5 {
			t.Errorf("%d in Redis, want 5", sum)
		}
		f.wantChanges(t, true, false)
	})

	// The Counter notices on its own that Redis is back, even if nothing is counted.
	t.Run("notices that Redis is back", func(t *testing.T) {
		f := newFixture(t).running(t)
		f.server.away.Store(true)
		var group sync.WaitGroup
		for n := range 50 {
			group.Go(func() { f.count(t, fmt.Sprint(n), 1) })
		}
		group.Wait()
		f.wantChanges(t, true)
		f.server.away.Store(false)
		f.wantChanges(t, false)
	})

	// Pending counts are dropped with their window.
	t.Run("drops what is pending for a window that has ended", func(t *testing.T) {
		f := newFixture(t)
		f.server.away.Store(true)
		for n := range 10 {
			start := current.Add(time.Duration(n) * window)
			f.countIn(t, start, "a", 1)
			f.Flush()
			f.countIn(t, start, "a", 1)
			f.wantIn(t, start, "a", 2, min(2*n, 2))
		}
		f.server.away.Store(false)
		f.Flush()
		if sum := f.sum(t); sum != 2+2 {
			t.Errorf("%d in Redis, want the pending counts of two windows", sum)
		}
		if kept := f.Kept(); kept != 2 {
			t.Errorf("%d counts in memory", kept)
		}
	})
}

// If one node of a Cluster is away, the Counter is degraded until that node is back.
func TestCounter_PartialOutage(t *testing.T) {
	f := newFixture(t)
	f.count(t, "a", 1)
	f.Flush()
	var mine string
	for mine = range f.redis.Dump(t) {
	}
	partly := partlyAway{key: mine}
	f.client.AddHook(&partly)
	f.server.received()
	f.count(t, "a", 1)
	f.count(t, "b", 1)
	f.Flush()
	f.wantChanges(t, true)
	f.Flush()
	f.wantAsked(t, 2, map[string]int{"get": 1, "incrby": 3, "pexpire": 1, "set": 3}) // only a the second time
	partly.key = ""
	f.Flush()
	f.wantChanges(t, false)
	f.want(t, "a", 2, 0)
	f.want(t, "b", 1, 0)
	if sum := f.sum(t); sum != 2 {
		t.Errorf("%d in Redis, want 2", sum)
	}
}

// If one node recovers while another fails, that is one outage.
func TestCounter_AlternatingOutage(t *testing.T) {
	f := newFixture(t)
	keys := make(map[string]string)
	for _, name := range []string{"a", "b"} {
		f.count(t, name, 1)
		f.Flush()
		for key := range f.redis.Dump(t) {
			if key != keys["a"] {
				keys[name] = key
			}
		}
	}
	partly := partlyAway{key: keys["a"]}
	f.client.AddHook(&partly)
	f.count(t, "a", 1)
	f.Flush()
	f.wantChanges(t, true)
	partly.key = keys["b"]
	f.count(t, "b", 1)
	for range 2 { // a succeeds and b fails, then b fails
		f.Flush()
		f.wantChanges(t)
		if !f.Degraded() {
			t.Error("not degraded")
		}
	}
	partly.key = ""
	f.Flush()
	f.wantChanges(t, false)
	if sum := f.sum(t); sum != 1+1 {
		t.Errorf("%d in Redis, want what was not lost", sum)
	}
}

// partlyAway fails the commands for one key.
type partlyAway struct{ key string }

func (p *partlyAway) DialHook(next redis.DialHook) redis.DialHook          { return next }
func (p *partlyAway) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }

func (p *partlyAway) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) (err error) {
		var rest []redis.Cmder
		for _, cmd := range cmds {
			if cmd.Args()[1] == p.key {
				err = errors.New("this node is away")
				cmd.SetErr(err)
				continue
			}
			rest = append(rest, cmd)
		}
		if len(rest) == 0 {
			return err
		}
		return errors.Join(err, next(ctx, rest))
	}
}

// refusing is a Redis that is full, and has memory again after its first reply.
type refusing struct{ partlyAway }

func (r *refusing) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		if r.key == "" {
			return next(ctx, cmds)
		}
		r.key = ""
		err := errors.New("OOM command not allowed when used memory > 'maxmemory'.")
		cmds[0].SetErr(err)
		return errors.Join(err, next(ctx, cmds[1:]))
	}
}

// A key that was created without an expiry gets one.
func TestCounter_ExpiryRejected(t *testing.T) {
	f := newFixture(t)
	f.client.AddHook(&refusing{partlyAway{key: "any"}})
	f.count(t, "a", 2)
	f.Flush()
	f.wantChanges(t, true)
	for key := range f.redis.Dump(t) {
		if ttl := f.redis.TTL(t, key); ttl != -1 {
			t.Fatalf("it has an expiry: %v", ttl)
		}
	}
	f.Flush()
	f.wantChanges(t, false)
	f.wantKeys(t, 1)
	if sum := f.sum(t); sum != 2 {
		t.Errorf("%d in Redis, want 2", sum)
	}
}

// A key with another kind of value affects only its own count.
func TestCounter_InvalidValue(t *testing.T) {
	for name, write := range map[string]func(redis.UniversalClient, string){
		"text":     func(r redis.UniversalClient, key string) { r.Set(t.Context(), key, "x", window) },
		"list":     func(r redis.UniversalClient, key string) { r.Del(t.Context(), key); r.RPush(t.Context(), key, "x") },
		"maximum":  func(r redis.UniversalClient, key string) { r.Set(t.Context(), key, "9223372036854775807", window) },
		"too much": func(r redis.UniversalClient, key string) { r.Set(t.Context(), key, "92233720368547758070", window) },
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			f.count(t, "a", 1)
			f.Flush()
			for key := range f.redis.Dump(t) {
				write(f.redis.Client, key)
			}
			f.count(t, "a", 1)
			f.count(t, "b", 2)
			f.Flush()
			f.want(t, "a", 2, 0)
			f.want(t, "b", 2, 0)

			g := f.another(t)
			g.countIn(t, next, "a", 1) // and reads the previous window
			g.Flush()
			if now, _ := g.unlimited.Counts("a", next); now != 1 {
				t.Errorf("%d in the next window, want 1", now)
			}
			f.wantChanges(t)
			g.wantChanges(t)
		})
	}
}
