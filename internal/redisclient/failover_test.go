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
			client := newClient(t, redisclient.Options{URL: "redis://" + server.Addr})
			sessions := newSessions(t, client, 0)
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
		admin := newClient(t, redisclient.Options{URL: cluster.URL(), Mode: o.Mode})
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
	client := newClient(t, failFastOptions(o))
	m := &mover{traffic: newTraffic(t, o), cluster: cluster, counter: newCounter(client, failFastTimeout, slog.New(slog.DiscardHandler))}
	t.Cleanup(func() { m.counter.Close() })
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
	want := 0
	count := func() {
		want++
		m.counter.Limiter("test", 10).Allow("moving")
		waitForCount(t, m.client, "test:moving", want)
		if m.counter.Limiter("test", want).Allow("moving") || m.counter.Degraded() {
			t.Errorf("fewer than %d are counted, or degraded is %v", want, m.counter.Degraded())
		}
	}
	count()
	m.move(t, countKey("test:moving"), count)
}

// The master is killed. No session is available until the Sentinels promote its replica, and then all are, without a
// restart. The users have the documented rights.
func TestSentinel_Failover(t *testing.T) {
	sentinels := redistest.RunSentinels(t)
	user, password, _ := strings.Cut(redistest.User, ":")
	o := redisclient.Options{ // the Sentinels' user is before the @, that of Redis in the options
		Mode: redisclient.Sentinel,
		URL: strings.Replace(sentinels.URL(), "redis://", "redis://"+redistest.SentinelUser+"@", 1) +
			"&username=" + user + "&password=" + password,
	}
	tr := newTraffic(t, o)
	if err := redistest.WaitForReplica(t.Context(), sentinels.Master); err != nil {
		t.Fatal(err)
	}
	limits := newLimitTraffic(t, o)

	stop, stopLimits := tr.run(), limits.run()
	killed := time.Now()
	if err := sentinels.Master.Kill(t.Context()); err != nil {
		t.Fatal(err)
	}
	tr.waitForRefusal()
	if tr.store.Ready(t.Context()) == nil {
		t.Error("ready without a master")
	}
	tr.waitForAll()
	stop()
	stopLimits()

	tr.report(killed)
	tr.wantNewSessions()
	limits.wantBack(t)
	admin := newClient(t, redisclient.Options{URL: sentinels.URL(), Mode: o.Mode})
	wantExpiries(t, admin)
	wantPools(t, o)
}

// Both passwords are required, and no error contains one.
func TestSentinel_Passwords(t *testing.T) {
	sentinels := redistest.RunSentinels(t)
	right := "redis://" + redistest.SentinelUser + "@" + strings.TrimPrefix(sentinels.URL(), "redis://") +
		"&username=" + strings.Replace(redistest.User, ":", "&password=", 1)
	for name, test := range map[string]struct {
		url   string
		works bool
	}{
		"right":                   {right, true},
		"wrong for the Sentinels": {strings.Replace(right, "watch-only", "wrong-secret", 1), false},
		"wrong for Redis":         {strings.Replace(right, "only-what-is-needed", "wrong-secret", 1), false},
	} {
		t.Run(name, func(t *testing.T) {
			client := newClient(t, redisclient.Options{URL: test.url, Mode: redisclient.Sentinel})
			err := newSessions(t, client, 0).Ready(t.Context())
			if (err == nil) != test.works {
				t.Errorf("%v, want success %v", err, test.works)
			}
			if err != nil && strings.Contains(err.Error(), "wrong-secret") {
				t.Errorf("the error shows a password: %v", err)
			}
		})
	}
}
