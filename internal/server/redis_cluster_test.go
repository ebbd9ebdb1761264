package server

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"wxlogin/internal/ratelimit"
	"wxlogin/internal/testenv"
	"wxlogin/internal/testenv/redistest"
)

// On a real Cluster, as a user with the documented rights.
func TestRedis_Cluster(t *testing.T) {
	cluster := redistest.RunCluster(t)
	c := Config{
		RedisURL: strings.Replace(cluster.URL(), "redis://", "redis://"+redistest.User+"@", 1), Redis: RedisConfig{Mode: redisCluster},
	}
	t.Run("all_parts", func(t *testing.T) { useAll(t, c) })
	t.Run("asked_as_single", func(t *testing.T) {
		for _, server := range cluster.Servers { // a replica refuses like a master
			client, err := openRedis(Config{RedisURL: "redis://" + server.Addr})
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			sessions := newSessions(t, client)
			wantFault(t, checkRedis(t.Context(), client, sessions, redisSingle), "REDIS_MODE", "set REDIS_MODE=cluster")
			if err := sessions.Ready(t.Context()); !redis.HasErrorPrefix(err, "MOVED") {
				t.Errorf("%v, want MOVED", err)
			}
		}
	})
	t.Run("slots_that_move", func(t *testing.T) { clusterMoves(t, cluster, c) })
	t.Run("first_master_hangs", func(t *testing.T) { clusterFailsOver(t, cluster, c, 0, (*redistest.Server).Hang) })
	t.Run("last_master_is_killed", func(t *testing.T) { clusterFailsOver(t, cluster, c, 2, (*redistest.Server).Kill) })
	t.Run("every_key_expires", func(t *testing.T) {
		admin, err := openRedis(Config{RedisURL: cluster.URL(), Redis: c.Redis})
		if err != nil {
			t.Fatal(err)
		}
		defer admin.Close()
		wantExpiries(t, admin)
	})
}

// useAll does all that the server does with Redis.
func useAll(t *testing.T, c Config) {
	t.Helper()
	client, err := openRedis(c)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if err := newSessions(t, client).Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	useSessions(t, client)
	useAccessTokens(t, client)
	useCounter(t, c)
	if n, err := dbSize(t.Context(), client); err != nil || n == 0 {
		t.Errorf("%d keys, %v", n, err)
	}
}

// One master of three ends. What it had is unavailable until its replica takes over, and then there, without a restart
// of anything; what the others have goes on all the time.
func clusterFailsOver(
	t *testing.T, cluster *redistest.Cluster, c Config, number int, end func(*redistest.Server, context.Context) error,
) {
	tr := newTraffic(t, c)
	victim := tr.settle(cluster, number)
	limits := newLimitTraffic(t, c)

	stop, stopLimits := tr.run(), limits.run()
	ended := time.Now()
	if err := end(victim, t.Context()); err != nil {
		t.Fatal(err)
	}
	tr.waitForRefusal()
	wantReady(t, tr.client)
	tr.waitForAll()
	stop()
	stopLimits()
	if err := victim.Kill(t.Context()); err != nil { // what hangs, too
		t.Fatal(err)
	}

	tr.report(ended)
	for token := range tr.refused {
		if token != "" && tr.settled[token] != "" && !tr.lost[token] {
			t.Error("a session on a master that lived was unavailable")
		}
	}
	tr.wantNewSessions()
	limits.wantBack(t)
	wantPools(t, c)
}

// wantReady fails if GET /readyz would, which waits for a second. Most masters answer, though not always in time on a busy machine:
// one try of a few must succeed, all of them before a replica has taken over.
func wantReady(t *testing.T, client redis.UniversalClient) {
	t.Helper()
	sessions := newSessions(t, client)
	var err error
	for range 4 {
		ctx, cancel := context.WithTimeout(t.Context(), 900*time.Millisecond)
		err = sessions.Ready(ctx)
		cancel()
		if err == nil {
			return
		}
	}
	t.Error(err)
}

// settle chooses the master that is to end, and waits until its replica has all.
func (tr *traffic) settle(cluster *redistest.Cluster, number int) (victim *redistest.Server) {
	tr.Helper()
	masters, err := cluster.Masters(tr.Context())
	if err != nil {
		tr.Fatal(err)
	}
	victim = masters[number]
	if err := redistest.WaitForReplica(tr.Context(), victim); err != nil {
		tr.Fatal(err)
	}
	tr.lost = make(map[string]bool)
	for token := range tr.settled {
		master, err := cluster.MasterOf(tr.Context(), recordKey(token))
		if err != nil {
			tr.Fatal(err)
		}
		tr.lost[token] = master == victim
	}
	return victim
}

// limitTraffic counts for rate limits meanwhile.
type limitTraffic struct {
	*testing.T
	counter *ratelimit.Counter
	log     *testenv.Log
}

// newLimitTraffic gives its counter more time than the server's has: on a busy machine a node that is well does not always answer
// within counterTimeout, and that is an outage of its own.
func newLimitTraffic(t *testing.T, c Config) *limitTraffic {
	t.Helper()
	client, err := newRedis(c, redisBounds{wait: stepTimeout, fixed: true, once: true})
	if err != nil {
		t.Fatal(err)
	}
	l := &limitTraffic{T: t, log: &testenv.Log{}}
	l.counter = newCounter(client, stepTimeout, slog.New(slog.NewTextHandler(l.log, &slog.HandlerOptions{Level: slog.LevelDebug})))
	t.Cleanup(func() { l.counter.Close(); client.Close() })
	return l
}

// run counts for many keys, on all nodes, and fails for a step that waits longer than it may.
func (l *limitTraffic) run() (stop func()) {
	ending, ended := make(chan struct{}), make(chan struct{})
	limiter := l.counter.Limiter("test", 1) // shares each count at once
	go func() {
		defer close(ended)
		for n := 0; ; n++ {
			select {
			case <-ending:
				return
			default:
			}
			key, begin := fmt.Sprint("key", n), time.Now()
			limiter.Allow(key)
			if took := time.Since(begin); took > 4*counterTimeout { // the machine is busy
				l.Errorf("a rate limit made its request wait for %v", took)
			}
			pause(l.Context(), time.Millisecond)
		}
	}()
	return func() { close(ending); <-ended }
}

// wantBack waits until all instances count together again, and wants that this was told once and not at every key.
func (l *limitTraffic) wantBack(t *testing.T) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); l.counter.Degraded(); {
		if time.Now().After(deadline) {
			t.Fatal("rate limits stay local")
		}
	}
	if away := strings.Count(l.log.String(), "countedLocally=true"); away != 1 {
		t.Errorf("logged %d times that limits are counted locally:\n%s", away, l.log)
	}
}

// wantPools looks at what the metrics say of a client and its Redis.
func wantPools(t *testing.T, c Config) {
	t.Helper()
	client, err := openRedis(c)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	keys, err := dbSize(t.Context(), client)
	if err != nil || keys < settledUsers {
		t.Errorf("%d keys, %v; want those of all masters", keys, err)
	}
	pool := redisPoolOf(client)()
	if pool.limit == 0 || pool.idle == 0 || pool.inUse != 0 || pool.timedOut != 0 {
		t.Errorf("after a command on each node: %+v", pool)
	}
}
