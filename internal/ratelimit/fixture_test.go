package ratelimit_test

import (
	"context"
	"net"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"wxlogin/internal/ratelimit"
	"wxlogin/internal/testenv/redistest"
)

const (
	prefix = "rate:" // follows the test's own
	window = time.Minute
)

// The current window, the previous one and the next one.
var (
	current  = time.Now().UTC().Truncate(window)
	previous = current.Add(-window)
	next     = current.Add(window)
)

// switched is a Redis that a test can make unavailable. It counts the commands.
type switched struct {
	away atomic.Bool // commands do not arrive
	deaf atomic.Bool // commands are executed, but replies are lost

	pipelines atomic.Int32
	mu        sync.Mutex
	commands  map[string]int
}

func (s *switched) DialHook(next redis.DialHook) redis.DialHook { return next }

func (s *switched) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		switch cmd.Name() {
		case "hello", "client", "select": // of a new connection
		default:
			s.note(cmd)
		}
		return next(ctx, cmd)
	}
}

func (s *switched) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		if !slices.ContainsFunc(cmds, func(cmd redis.Cmder) bool { return cmd.Name() == "incrby" }) {
			return next(ctx, cmds) // of a new connection
		}
		s.pipelines.Add(1)
		s.note(cmds...)
		if !s.away.Load() {
			if err := next(ctx, cmds); !s.deaf.Load() {
				return err
			}
		}
		for _, cmd := range cmds {
			cmd.SetErr(net.ErrClosed)
		}
		return net.ErrClosed
	}
}

func (s *switched) note(cmds ...redis.Cmder) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, cmd := range cmds {
		s.commands[cmd.Name()]++
	}
}

// received returns the number of pipelines and the commands since the last call.
func (s *switched) received() (pipelines int, commands map[string]int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	commands, s.commands = s.commands, make(map[string]int)
	return int(s.pipelines.Swap(0)), commands
}

// fixture is a Counter on a switched Redis, and a Limiter that allows everything. The Counter sends only in Flush.
type fixture struct {
	*ratelimit.Counter
	unlimited *ratelimit.Limiter
	clock     atomic.Int64 // in Unix nanoseconds

	redis   *redistest.Redis
	client  redis.UniversalClient
	server  *switched
	changes chan bool // arguments of OnDegraded
}

func newFixture(t testing.TB) *fixture {
	t.Helper()
	return (&fixture{redis: redistest.New(t)}).another(t)
}

// another returns another Counter on the same Redis.
func (f *fixture) another(t testing.TB) *fixture {
	t.Helper()
	return f.start(t, ratelimit.NewByHand)
}

// running returns another Counter, which flushes in the background.
func (f *fixture) running(t testing.TB) *fixture {
	t.Helper()
	return f.start(t, ratelimit.New)
}

func (f *fixture) start(t testing.TB, begin func(ratelimit.Options) *ratelimit.Counter) *fixture {
	t.Helper()
	g := &fixture{
		redis: f.redis, client: f.redis.NewClient(t),
		server: &switched{commands: make(map[string]int)}, changes: make(chan bool, 1000),
	}
	g.client.AddHook(g.server)
	g.setClock(current)
	g.Counter = begin(ratelimit.Options{
		Now:   func() time.Time { return time.Unix(0, g.clock.Load()) },
		Redis: g.client, Prefix: g.redis.Prefix + prefix, Window: window, Timeout: 5 * time.Second, FlushInterval: time.Millisecond,
		OnDegraded: func(degraded bool) { g.changes <- degraded },
	})
	g.unlimited = g.Unlimited("test")
	t.Cleanup(func() { g.close(t) })
	return g
}

func (f *fixture) close(t testing.TB) {
	t.Helper()
	if err := f.Close(); err != nil {
		t.Error(err)
	}
}

// count counts events in the current window.
func (f *fixture) count(t testing.TB, key string, amount int) {
	t.Helper()
	f.countIn(t, current, key, amount)
}

func (f *fixture) setClock(now time.Time) { f.clock.Store(now.UnixNano()) }

// countIn sets the clock to the start of a window, and counts events in it.
func (f *fixture) countIn(t testing.TB, window time.Time, key string, amount int) {
	t.Helper()
	f.setClock(window)
	for range amount {
		if !f.unlimited.Allow(key) {
			t.Fatal("a limiter without a limit refuses")
		}
	}
}

// want checks the counts of a key in the current and the previous window.
func (f *fixture) want(t testing.TB, key string, now, before int) {
	t.Helper()
	f.wantIn(t, current, key, now, before)
}

func (f *fixture) wantIn(t testing.TB, start time.Time, key string, now, before int) {
	t.Helper()
	gotNow, gotBefore := f.unlimited.Counts(key, start)
	if gotNow != now || gotBefore != before {
		t.Errorf("%s: %d and %d; want %d and %d", key, gotNow, gotBefore, now, before)
	}
}

// wantChanges waits for these calls of OnDegraded, and fails if there are more.
func (f *fixture) wantChanges(t testing.TB, want ...bool) {
	t.Helper()
	for _, degraded := range want {
		select {
		case got := <-f.changes:
			if got != degraded {
				t.Errorf("a change to degraded %v, want %v", got, degraded)
			}
		case <-time.After(10 * time.Second):
			t.Fatalf("no change to degraded %v", degraded)
		}
	}
	if len(want) > 0 && f.Degraded() != want[len(want)-1] {
		t.Errorf("Degraded %v", f.Degraded())
	}
	if len(f.changes) > 0 {
		t.Errorf("a change more, to degraded %v", <-f.changes)
	}
}

// sum returns the sum of all counts in Redis.
func (f *fixture) sum(t testing.TB) (sum int) {
	t.Helper()
	for key, value := range f.redis.Dump(t) {
		n, err := strconv.Atoi(value)
		if err != nil {
			t.Fatalf("%s: %v", key, err)
		}
		sum += n
	}
	return sum
}

// wantKeys checks the number of keys in Redis, and that each has an expiry.
func (f *fixture) wantKeys(t testing.TB, keys int) {
	t.Helper()
	dump := f.redis.Dump(t)
	if len(dump) != keys {
		t.Errorf("%d keys, want %d", len(dump), keys)
	}
	for key := range dump {
		if ttl := f.redis.TTL(t, key); ttl <= 2*window || ttl > 3*window {
			t.Errorf("%s expires in %v, want two windows to three", key, ttl)
		}
	}
}
