package session_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"wxlogin/session"
)

func TestStore_Ready(t *testing.T) {
	t.Run("leaves only keys that expire", func(t *testing.T) {
		f := newFixture(t)
		for range 3 {
			if err := f.Ready(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		keys := f.redis.Dump(t)
		if n := len(keys); n != 2 && !(isCluster(f.redis.Client) && n > 0 && n%2 == 0) { // on each master of a Cluster
			t.Errorf("%d keys, want a record's and an index's", n)
		}
		for key := range keys {
			ttl := f.redis.TTL(t, key)
			if !strings.HasPrefix(key, session.DefaultKeyPrefix+"ready:") || ttl <= 0 || ttl > time.Minute {
				t.Errorf("%s expires in %v", key, ttl)
			}
		}
		f.advance(t, time.Minute)
		if n := len(f.redis.Dump(t)); n != 0 {
			t.Errorf("%d keys are left a minute later", n)
		}
		f.mustLog(t)
	})

	t.Run("costs one round trip", func(t *testing.T) {
		f := newFixture(t)
		f.login(t, openID, sessionKey) // now Redis knows the script
		var sent [][]string
		client := f.client(t, recordingHook{&sent})
		f = f.restart(t, func(o *session.Options) { o.Redis = client })
		f.login(t, openID, sessionKey) // now the connection exists
		sent = nil
		if err := f.Ready(t.Context()); err != nil || len(sent) > 1 && !isCluster(client) {
			t.Errorf("%d round trips, %v", len(sent), err)
		}
	})

	t.Run("instances do not interfere", func(t *testing.T) {
		f := newFixture(t)
		var wg sync.WaitGroup
		for range 16 {
			g := f.restart(t)
			wg.Go(func() {
				for range 20 {
					if err := g.Ready(context.Background()); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
	})

	t.Run("unreachable redis is an error", func(t *testing.T) {
		if err := newFixture(t, unreachable).Ready(t.Context()); !errors.Is(err, session.ErrUnavailable) {
			t.Errorf("%v, want ErrUnavailable", err)
		}
	})
}

func isCluster(client redis.UniversalClient) bool {
	_, ok := client.(*redis.ClusterClient)
	return ok
}

// If Redis replies but cannot be used, it is not ready, and the error wraps its reply.
func TestStore_ReadyErrors(t *testing.T) {
	for _, reply := range []string{
		"READONLY You can't write against a read only replica.", "OOM command not allowed when used memory > 'maxmemory'.",
		"MISCONF Redis is configured to save RDB snapshots", "LOADING Redis is loading the dataset in memory",
		"MASTERDOWN Link with MASTER is down", "NOREPLICAS Not enough good replicas to write.", "NOAUTH Authentication required.",
		"NOPERM this user has no permissions", "MOVED 1 127.0.0.1:1", "CLUSTERDOWN The cluster is down",
	} {
		server := miniredis.RunT(t)
		client := redis.NewClient(&redis.Options{Addr: server.Addr(), MaxRetries: -1})
		defer client.Close()
		f := newFixture(t, func(o *session.Options) { o.Redis = client })
		server.SetError(reply)
		err := f.Ready(t.Context())
		if word, _, _ := strings.Cut(reply, " "); !errors.Is(err, session.ErrUnavailable) || !redis.HasErrorPrefix(err, word) {
			t.Errorf("%s: %v", reply, err)
		}
		server.SetError("")
		if err := f.Ready(t.Context()); err != nil {
			t.Errorf("after the error is gone: %v", err)
		}
	}
}

// A Cluster is ready if most of its masters accept the commands of a login.
func TestStore_ReadyCluster(t *testing.T) {
	c := newCluster(t, 3)
	f := newFixture(t, func(o *session.Options) { o.Redis = c.ClusterClient })
	for n, want := range []bool{true, true, false, false} {
		if n > 0 {
			c.nodes[n-1].SetError("READONLY You can't write against a read only replica.")
		}
		err := f.Ready(t.Context())
		if (err == nil) != want || err != nil && (!errors.Is(err, session.ErrUnavailable) || !redis.HasErrorPrefix(err, "READONLY")) {
			t.Errorf("%d of 3 masters refuse: %v", n, err)
		}
	}
	for _, node := range c.nodes {
		node.SetError("")
	}
	for _, node := range c.nodes {
		if len(node.Keys()) > 2 {
			t.Errorf("a master has %d keys", len(node.Keys()))
		}
		for _, key := range node.Keys() {
			if node.TTL(key) <= 0 {
				t.Error("a key that never expires")
			}
		}
	}
}
