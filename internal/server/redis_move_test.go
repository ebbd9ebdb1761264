package server

import (
	"log/slog"
	"slices"
	"testing"
	"time"

	"wxlogin/internal/ratelimit"
	"wxlogin/internal/testenv/redistest"
	"wxlogin/session"
)

// clusterMoves moves slots to another master. Nobody notices, at no step.
func clusterMoves(t *testing.T, cluster *redistest.Cluster, c Config) {
	m := newMover(t, cluster, c)
	t.Run("record", func(t *testing.T) {
		token := m.mustBegin(t, "mover")
		m.move(t, recordKey(token), func() {
			if _, err := m.store.Lookup(t.Context(), token); err != nil {
				t.Errorf("Lookup: %v", err)
			}
		})
	})
	t.Run("index", func(t *testing.T) {
		m.mustBegin(t, "index-mover")
		sess := session.Session{AppID: trafficApp, OpenID: "index-mover"}
		m.move(t, indexKey("index-mover"), func() {
			token := m.mustBegin(t, "index-mover")
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

// mover uses sessions and counts while it moves their keys.
type mover struct {
	*traffic
	cluster *redistest.Cluster
	counter *ratelimit.Counter
}

func newMover(t *testing.T, cluster *redistest.Cluster, c Config) *mover {
	t.Helper()
	client, err := openCounterRedis(c)
	if err != nil {
		t.Fatal(err)
	}
	m := &mover{traffic: newTraffic(t, c), cluster: cluster, counter: newCounter(client, counterTimeout, slog.New(slog.DiscardHandler))}
	t.Cleanup(func() { m.counter.Close(); client.Close() })
	return m
}

// move moves a key's slot to the next master.
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
		t.Errorf("it has not moved: %v", err)
	}
}

// moveCount moves what was counted for a key.
func (m *mover) moveCount(t *testing.T) {
	window := time.Now().UTC().Truncate(time.Minute)
	want := 0
	count := func() {
		want++
		m.counter.Limiter("test", 10).Allow("moving")
		waitForCount(t, m.client, "test:moving", window, want)
		if m.counter.Limiter("test", want).Allow("moving") || m.counter.Degraded() {
			t.Errorf("fewer than %d are counted here, or degraded is %v", want, m.counter.Degraded())
		}
	}
	count()
	m.move(t, countKey("test:moving", window), count)
}
