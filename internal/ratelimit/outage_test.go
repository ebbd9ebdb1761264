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

func TestCounter_counts_here_while_Redis_is_away(t *testing.T) {
	f := newFixture(t)
	f.count(t, "a", 5)
	f.Flush()
	f.server.away.Store(true)
	f.count(t, "a", 2)
	f.Flush() // these two are lost to the others
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

	f.server.away.Store(true) // and again
	f.count(t, "a", 1)
	f.Flush()
	f.wantChanges(t, true)
}

// A Redis that refuses the connection is away, too: no command of the pipeline is answered.
func TestCounter_counts_here_while_Redis_refuses_it(t *testing.T) {
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
	server.RequireAuth("wrong") // the password that it has
	counter.Flush()
	if counter.Degraded() {
		t.Error("degraded, and Redis takes it again")
	}
}

// Of many keys only those of one pipeline are on their way when Redis goes.
func TestCounter_keeps_what_was_not_on_its_way(t *testing.T) {
	f := newFixture(t)
	const keys = 3 * ratelimit.BatchSize
	for n := range keys {
		f.count(t, fmt.Sprint(n), 1)
	}
	f.server.away.Store(true)
	for range 3 {
		f.Flush()
	}
	if pipelines, _ := f.server.asked(); pipelines != 3 {
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
}

// What Redis did without an answer is not done again.
func TestCounter_counts_nothing_twice(t *testing.T) {
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
}

// It looks by itself whether Redis is back, whether or not something is counted.
func TestCounter_finds_Redis_again(t *testing.T) {
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
}

// What waits for Redis goes with its window.
func TestCounter_forgets_while_Redis_is_away(t *testing.T) {
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
		t.Errorf("%d in Redis, want what waited in two windows", sum)
	}
	if kept := f.Kept(); kept != 2 {
		t.Errorf("%d counts are kept", kept)
	}
}

// A node of a Cluster that is away makes the Counter degraded, until this node is back.
func TestCounter_some_keys_fail(t *testing.T) {
	f := newFixture(t)
	f.count(t, "a", 1)
	f.Flush()
	var mine string
	for mine = range f.redis.Dump(t) {
	}
	partly := partlyAway{key: mine}
	f.client.AddHook(&partly)
	f.server.asked()
	f.count(t, "a", 1)
	f.count(t, "b", 1)
	f.Flush()
	f.wantChanges(t, true)
	f.Flush()
	f.wantAsked(t, 2, map[string]int{"get": 1, "incrby": 3, "pexpire": 1, "set": 3}) // the second time it is a alone
	partly.key = ""
	f.Flush()
	f.wantChanges(t, false)
	f.want(t, "a", 2, 0)
	f.want(t, "b", 1, 0)
	if sum := f.sum(t); sum != 2 {
		t.Errorf("%d in Redis, want 2", sum)
	}
}

// One node answers again while another is away: that is one outage.
func TestCounter_nodes_fail_in_turn(t *testing.T) {
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
	for range 2 { // a is through, and b is not; then b is not
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

// partlyAway fails what is asked of one key, and does the rest.
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

// refusing is a Redis that is full, and finds memory after its first answer.
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

// What was counted without an expiry is given one.
func TestCounter_expiry_was_refused(t *testing.T) {
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

// What stands in a count's place spoils this count alone.
func TestCounter_foreign_value(t *testing.T) {
	for name, write := range map[string]func(redis.UniversalClient, string){
		"text":     func(r redis.UniversalClient, key string) { r.Set(t.Context(), key, "x", window) },
		"list":     func(r redis.UniversalClient, key string) { r.Del(t.Context(), key); r.RPush(t.Context(), key, "x") },
		"maximum":  func(r redis.UniversalClient, key string) { r.Set(t.Context(), key, "9223372036854775807", window) },
		"too_much": func(r redis.UniversalClient, key string) { r.Set(t.Context(), key, "92233720368547758070", window) },
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
			g.countIn(t, next, "a", 1) // and asks for what stands there
			g.Flush()
			if now, _ := g.unlimited.Counts("a", next); now != 1 {
				t.Errorf("%d in the next window, want 1", now)
			}
			f.wantChanges(t)
			g.wantChanges(t)
		})
	}
}
