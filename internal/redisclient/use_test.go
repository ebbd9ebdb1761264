package redisclient_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"wxlogin/internal/ratelimit"
	"wxlogin/internal/redisclient"
	"wxlogin/internal/testenv"
	"wxlogin/session"
	"wxlogin/wechat/accesstoken"
)

const (
	rateWindow = time.Minute

	// failFastTimeout is the time-out of the server's client for rate limits.
	failFastTimeout = 250 * time.Millisecond
)

// failFastOptions returns the options of a client for rate limits.
func failFastOptions(o redisclient.Options) redisclient.Options {
	o.Timeout, o.OverrideURL, o.NoRetry = failFastTimeout, true, true
	return o
}

// rateStart is when a window of the rate limits begins. Their clock stands there, so that no window ends during a test.
var rateStart = time.Now().UTC().Truncate(rateWindow)

// newCounter returns a counter like the server's.
func newCounter(client redis.UniversalClient, timeout time.Duration, logger *slog.Logger) *ratelimit.Counter {
	return ratelimit.New(ratelimit.Options{
		Redis: client, Prefix: session.DefaultKeyPrefix + "rate:", Window: rateWindow, Timeout: timeout,
		Now:        func() time.Time { return rateStart },
		OnDegraded: func(degraded bool) { logger.Debug("rate limits", "countedLocally", degraded) },
	})
}

// newClient returns a client that is closed at the end of the test.
func newClient(t *testing.T, o redisclient.Options) redis.UniversalClient {
	t.Helper()
	client, err := redisclient.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	return client
}

// waitUntil waits until done returns true.
func waitUntil(t *testing.T, failure string, done func() bool) {
	t.Helper()
	err := testenv.Poll(t.Context(), time.Minute, func(context.Context) error {
		if !done() {
			return errors.New(failure)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// sleep waits for d or until ctx ends.
func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

// newSessions returns a Store. maxPerUser 0 is the default.
func newSessions(t *testing.T, client redis.UniversalClient, maxPerUser int) *session.Store {
	t.Helper()
	store, err := session.New(session.Options{
		Redis: client, Apps: []session.App{{AppID: trafficApp, Secret: "0123456789abcdef0123456789abcdef"}}, MaxPerUser: maxPerUser,
	})
	if err != nil {
		t.Fatal(err)
	}
	return store
}

// useSessions calls each method of a session.Store.
func useSessions(t *testing.T, client redis.UniversalClient) {
	t.Helper()
	ctx := t.Context()
	store := newSessions(t, client, 2)
	create := func(openID string, n int) string {
		token, err := store.Create(ctx, session.Session{AppID: trafficApp, OpenID: openID, SessionKey: fmt.Sprint("key", n)})
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	client.Set(ctx, session.DefaultKeyPrefix+"sessions:"+trafficApp+":alice", "no index", time.Hour) // a login replaces it
	oldest := create("alice", 1)
	client.PExpire(ctx, recordKey(oldest), time.Hour) // as if it had not been used for days: the nodes' replies are not simultaneous
	second, newest := create("alice", 2), create("alice", 3)
	if _, err := store.Lookup(ctx, oldest); !errors.Is(err, session.ErrNotFound) {
		t.Errorf("the oldest of three sessions: %v", err)
	}
	sess, err := store.Lookup(ctx, newest)
	if err != nil {
		t.Fatal(err)
	}
	if keys, err := store.OtherSessionKeys(ctx, sess); err != nil || len(keys) != 1 || keys[0] != "key2" {
		t.Errorf("the other session keys: %v, %v", keys, err)
	}
	if err := errors.Join(store.Revoke(ctx, second), store.RevokeAll(ctx, trafficApp, "alice")); err != nil {
		t.Error(err)
	}
	create("bob", 4)
}

// useAccessTokens gets a token, gets it from the cache, and replaces it by force, once.
func useAccessTokens(t *testing.T, client redis.UniversalClient) {
	t.Helper()
	fetched, forced := 0, 0
	cache, err := accesstoken.New(accesstoken.Options{
		Redis: client, AppID: trafficApp, Secret: "0123456789abcdef0123456789abcdef",
		Fetch: func(_ context.Context, force bool) (string, time.Duration, error) {
			fetched++
			if force {
				forced++
			}
			return fmt.Sprint("token", forced), 2 * time.Hour, nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, refused := range []string{"", "", "token0"} {
		if _, err := cache.Token(t.Context(), refused); err != nil {
			t.Error(err)
		}
	}
	for range 2 {
		if _, err := cache.Token(t.Context(), "token1"); !errors.Is(err, accesstoken.ErrRefused) {
			t.Errorf("got %v, want ErrRefused", err)
		}
	}
	if fetched != 4 || forced != 1 {
		t.Errorf("fetched %d times, %d by force, want 4 and 1", fetched, forced)
	}
}

// useCounter counts for a rate limit.
func useCounter(t *testing.T, o redisclient.Options) {
	t.Helper()
	client := newClient(t, failFastOptions(o))
	counter := newCounter(client, failFastTimeout, slog.New(slog.DiscardHandler))
	defer counter.Close()
	for range 2 {
		counter.Limiter("test", 10).Allow("a")
	}
	waitForCount(t, client, "test:a", 2)
	if counter.Limiter("test", 2).Allow("a") || counter.Degraded() {
		t.Errorf("fewer than 2 are counted, or degraded is %v", counter.Degraded())
	}
}

// countKey returns the Redis key of a rate limit's count.
func countKey(key string) string {
	hash := sha256.Sum256([]byte(key))
	return fmt.Sprintf("%srate:{%s}:%d", session.DefaultKeyPrefix, base64.RawURLEncoding.EncodeToString(hash[:12]), rateStart.Unix())
}

// waitForCount waits until the count of a key in Redis is want.
func waitForCount(t *testing.T, client redis.UniversalClient, key string, want int) {
	t.Helper()
	waitUntil(t, fmt.Sprintf("the count in Redis is not %d", want), func() bool {
		n, err := client.Get(t.Context(), countKey(key)).Int()
		return err == nil && n == want
	})
}

// useAll uses Redis in every way in which the server does.
func useAll(t *testing.T, o redisclient.Options) {
	t.Helper()
	client := newClient(t, o)
	if err := newSessions(t, client, 0).Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	useSessions(t, client)
	useAccessTokens(t, client)
	useCounter(t, o)
	if n, err := redisclient.DBSize(t.Context(), client); err != nil || n == 0 {
		t.Errorf("%d keys, %v", n, err)
	}
}

// limitTraffic counts for rate limits during a failover.
type limitTraffic struct {
	*testing.T
	counter *ratelimit.Counter
	log     *testenv.Log
}

// newLimitTraffic returns a counter with a longer time-out than the server's: on a busy machine even a healthy node does not
// always reply within failFastTimeout.
func newLimitTraffic(t *testing.T, o redisclient.Options) *limitTraffic {
	t.Helper()
	o.Timeout, o.OverrideURL, o.NoRetry = stepTimeout, true, true
	client := newClient(t, o)
	l := &limitTraffic{T: t, log: &testenv.Log{}}
	l.counter = newCounter(client, stepTimeout, slog.New(slog.NewTextHandler(l.log, &slog.HandlerOptions{Level: slog.LevelDebug})))
	t.Cleanup(func() { l.counter.Close() })
	return l
}

// run counts for many keys, on all nodes, and fails if a call is slow.
func (l *limitTraffic) run() (stop func()) {
	stopping, stopped := make(chan struct{}), make(chan struct{})
	limiter := l.counter.Limiter("test", 1) // flushes each count immediately
	go func() {
		defer close(stopped)
		for n := 0; ; n++ {
			select {
			case <-stopping:
				return
			default:
			}
			key, begin := fmt.Sprint("key", n), time.Now()
			limiter.Allow(key)
			if took := time.Since(begin); took > 4*failFastTimeout { // the machine is busy
				l.Errorf("Allow took %v", took)
			}
			sleep(l.Context(), time.Millisecond)
		}
	}()
	return func() { close(stopping); <-stopped }
}

// wantBack waits until the counter is shared again, and fails unless the outage was logged once, not for every key.
func (l *limitTraffic) wantBack(t *testing.T) {
	t.Helper()
	waitUntil(t, "the counter stays degraded", func() bool { return !l.counter.Degraded() })
	if away := strings.Count(l.log.String(), "countedLocally=true"); away != 1 {
		t.Errorf("the outage is logged %d times:\n%s", away, l.log)
	}
}

// wantPools checks the metrics of a client and its Redis.
func wantPools(t *testing.T, o redisclient.Options) {
	t.Helper()
	client := newClient(t, o)
	keys, err := redisclient.DBSize(t.Context(), client)
	if err != nil || keys < settledUsers {
		t.Errorf("%d keys, %v; want those of all masters", keys, err)
	}
	pool := redisclient.PoolStatsOf(client)()
	if pool.Limit == 0 || pool.Idle == 0 || pool.InUse != 0 || pool.TimedOut != 0 {
		t.Errorf("after a command on each node: %+v", pool)
	}
}
