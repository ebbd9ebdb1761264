package testenv_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"wxlogin/internal/testenv/redistest"
)

// sharedCluster starts a Cluster that plays the one that other processes use too.
func sharedCluster(t *testing.T) *redis.ClusterClient {
	t.Helper()
	cluster := redistest.RunCluster(t)
	t.Setenv("TEST_REDIS_MODE", "cluster")
	t.Setenv("TEST_REDIS_URL", cluster.URL())
	t.Setenv("TEST_REDIS_USER", "")
	o, err := redis.ParseClusterURL(cluster.URL())
	if err != nil {
		t.Fatal(err)
	}
	client := redis.NewClusterClient(o)
	t.Cleanup(func() { client.Close() })
	return client
}

// fill writes keys to all nodes.
func fill(t *testing.T, client redis.UniversalClient, value string) {
	t.Helper()
	for _, key := range []string{"a", "b", "c", "d", "e", "f"} { // two for each of the three nodes
		if err := client.Set(t.Context(), key, value, 0).Err(); err != nil {
			t.Fatal(err)
		}
	}
}

func dbSize(t *testing.T, client *redis.ClusterClient) int64 {
	t.Helper()
	n, err := client.DBSize(t.Context()).Result()
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestClusterLease(t *testing.T) {
	server := sharedCluster(t)
	const lock, used = "wxlogin:test:db:0", "wxlogin:test:used:0"

	t.Run("empties the Cluster and hides its keys", func(t *testing.T) {
		ft, r := leaseRedis(t)
		fill(t, r.Client, "ours")
		if d := r.Dump(t); len(d) != 6 {
			t.Errorf("the keys are %q", d)
		}
		for _, key := range []string{lock, used} {
			if r.TTL(t, key) <= 0 {
				t.Errorf("%s has no TTL and would stay if the run were killed", key)
			}
		}
		ft.finish()
		if n := dbSize(t, server); n != 0 || len(ft.failures) != 0 {
			t.Errorf("%d keys are left, failures %q", n, ft.failures)
		}
	})

	t.Run("is shared within a process", func(t *testing.T) {
		outer, first := leaseRedis(t)
		fill(t, first.Client, "ours")
		inner, second := leaseRedis(t)
		if d := second.Dump(t); len(d) != 6 {
			t.Errorf("the second sees %q", d)
		}
		inner.finish()
		if d := first.Dump(t); len(d) != 6 {
			t.Errorf("the first sees %q after the second has ended", d)
		}
		outer.finish()
		if n := dbSize(t, server); n != 0 {
			t.Errorf("%d keys are left", n)
		}
	})

	t.Run("removes keys of a killed test", func(t *testing.T) {
		fill(t, server, "old")
		server.Set(t.Context(), used, "x", 0)
		ft, r := leaseRedis(t)
		if d := r.Dump(t); len(d) != 0 {
			t.Errorf("not empty: %q", d)
		}
		ft.finish()
	})

	t.Run("keeps foreign keys", func(t *testing.T) {
		fill(t, server, "theirs")
		ft, r := leaseRedis(t)
		if r != nil || !slices.ContainsFunc(ft.failures, func(f string) bool { return strings.Contains(f, "left alone") }) {
			t.Errorf("leased, failures %q", ft.failures)
		}
		if n := dbSize(t, server); n != 6 {
			t.Errorf("%d keys are left, want the 6 foreign ones", n)
		}
		for _, key := range []string{"a", "b", "c", "d", "e", "f"} {
			server.Del(t.Context(), key)
		}
	})

	t.Run("does not empty the Cluster after losing its lock", func(t *testing.T) {
		ft, r := leaseRedis(t)
		server.Set(t.Context(), lock, "another process's", 0)
		fill(t, r.Client, "theirs")
		ft.finish()
		if len(ft.failures) != 1 || !strings.Contains(ft.failures[0], "lock was lost") || dbSize(t, server) != 8 {
			t.Errorf("failures %q, %d keys", ft.failures, dbSize(t, server))
		}
	})
}
