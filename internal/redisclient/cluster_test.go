package redisclient_test

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"wxlogin/internal/ratelimit"
	"wxlogin/internal/redisclient"
	"wxlogin/internal/testenv/redistest"
	"wxlogin/session"
)

// A real Cluster, with a user that has the documented rights.
func TestCluster(t *testing.T) {
	cluster := redistest.RunCluster(t)
	o := redisclient.Options{
		Mode: redisclient.Cluster, URL: strings.Replace(cluster.URL(), "redis://", "redis://"+redistest.User+"@", 1),
	}
	t.Run("serves all commands of the server", func(t *testing.T) { useAll(t, o) })
	t.Run("is recognized by a client of mode single", func(t *testing.T) {
		for _, server := range cluster.Servers { // a replica refuses like a master
			client, err := redisclient.New(redisclient.Options{URL: "redis://" + server.Addr})
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			sessions := newSessions(t, client)
			wantConfigError(t, redisclient.CheckConfig(t.Context(), client, redisclient.Single, sessions.Ready), "REDIS_MODE", "set REDIS_MODE=cluster")
			if err := sessions.Ready(t.Context()); !redis.HasErrorPrefix(err, "MOVED") {
				t.Errorf("%v, want MOVED", err)
			}
		}
	})
	t.Run("moves slots without an error", func(t *testing.T) { testMoves(t, cluster, o) })
	t.Run("fails over if a master hangs", func(t *testing.T) { testFailover(t, cluster, o, 0, (*redistest.Server).Hang) })
	t.Run("fails over if a master is killed", func(t *testing.T) { testFailover(t, cluster, o, 2, (*redistest.Server).Kill) })
	t.Run("has no key without a TTL", func(t *testing.T) {
		admin, err := redisclient.New(redisclient.Options{URL: cluster.URL(), Mode: o.Mode})
		if err != nil {
			t.Fatal(err)
		}
		defer admin.Close()
		wantExpiries(t, admin)
	})
}

// testFailover ends one master of three. Its sessions are unavailable until its replica takes over, and are found then,
// without a restart. Sessions on the other masters are never unavailable.
func testFailover(
	t *testing.T, cluster *redistest.Cluster, o redisclient.Options, number int, end func(*redistest.Server, context.Context) error,
) {
	tr := newTraffic(t, o)
	victim := tr.settle(cluster, number)
	limits := newLimitTraffic(t, o)

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
	if err := victim.Kill(t.Context()); err != nil { // also if it hangs
		t.Fatal(err)
	}

	tr.report(ended)
	for token := range tr.refused {
		if token != "" && tr.settled[token] != "" && !tr.lost[token] {
			t.Error("a session on another master was unavailable")
		}
	}
	tr.wantNewSessions()
	limits.wantBack(t)
	wantPools(t, o)
}

// testMoves moves slots to another master. No call fails, at any step.
func testMoves(t *testing.T, cluster *redistest.Cluster, o redisclient.Options) {
	m := newMover(t, cluster, o)
	t.Run("record", func(t *testing.T) {
		token := m.mustCreate(t, "mover")
		m.move(t, recordKey(token), func() {
			if _, err := m.store.Lookup(t.Context(), token); err != nil {
				t.Errorf("Lookup: %v", err)
			}
		})
	})
	t.Run("index", func(t *testing.T) {
		m.mustCreate(t, "index-mover")
		sess := session.Session{AppID: trafficApp, OpenID: "index-mover"}
		m.move(t, indexKey("index-mover"), func() {
			token := m.mustCreate(t, "index-mover")
			if keys, err := m.store.OtherSessionKeys(t.Context(), sess); err != nil || len(keys) == 0 {
				t.Errorf("OtherSessionKeys: %d, %v", len(keys), err)
			}
			if err := m.store.Revoke(t.Context(), token); err != nil {
				t.Errorf("Revoke: %v", err)
			}
		})
		if err := m.store.RevokeAll(t.Context(), trafficApp, "index-mover"); err != nil {
			t.Errorf("RevokeAll: %v", err)
		}
	})
	t.Run("count", func(t *testing.T) { m.moveCount(t) })
}

// mover moves keys of sessions and counts while they are used.
type mover struct {
	*traffic
	cluster *redistest.Cluster
	counter *ratelimit.Counter
}

func newMover(t *testing.T, cluster *redistest.Cluster, o redisclient.Options) *mover {
	t.Helper()
	client, err := redisclient.New(failFastOptions(o))
	if err != nil {
		t.Fatal(err)
	}
	m := &mover{traffic: newTraffic(t, o), cluster: cluster, counter: newCounter(client, failFastTimeout, slog.New(slog.DiscardHandler))}
	t.Cleanup(func() { m.counter.Close(); client.Close() })
	return m
}

// move moves a key's slot to the next master and calls between at each step.
func (m *mover) move(t *testing.T, key string, between func()) {
	t.Helper()
	from, err := m.cluster.MasterOf(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	masters, err := m.cluster.Masters(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	to := masters[(slices.Index(masters, from)+1)%len(masters)]
	if err := m.cluster.Move(t.Context(), key, to, between); err != nil {
		t.Fatal(err)
	}
	if now, err := m.cluster.MasterOf(t.Context(), key); err != nil || now != to {
		t.Errorf("the slot has not moved: %v", err)
	}
}

// moveCount moves the count of a key.
func (m *mover) moveCount(t *testing.T) {
	window := time.Now().UTC().Truncate(time.Minute)
	want := 0
	count := func() {
		want++
		m.counter.Limiter("test", 10).Allow("moving")
		waitForCount(t, m.client, "test:moving", window, want)
		if m.counter.Limiter("test", want).Allow("moving") || m.counter.Degraded() {
			t.Errorf("fewer than %d are counted, or degraded is %v", want, m.counter.Degraded())
		}
	}
	count()
	m.move(t, countKey("test:moving", window), count)
}
