package testenv

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// clusterMode tells whether TEST_REDIS_URL leads to a Cluster.
func clusterMode() bool { return os.Getenv("TEST_REDIS_MODE") == "cluster" }

// clusterDB is the number of a Cluster's one database.
const clusterDB = 0

// held is the lease of this process on the Cluster, which its tests share when they hold it at the same time: a fixture
// within a fixture.
var held struct {
	sync.Mutex
	lease *lease
	stop  func()
	tests int
}

// leaseCluster takes the whole Cluster at url for the length of a test.
func leaseCluster(t testing.TB, url string) *Redis {
	t.Helper()
	o, err := redis.ParseClusterURL(url)
	if err != nil {
		t.Fatal(unreadable)
	}
	o.DisableRoutingPolicies = true // as the server's client
	if err := hold(o); err != nil {
		t.Fatalf("testenv: TEST_REDIS_URL: %v", err)
	}
	t.Cleanup(func() {
		if err := letGo(); err != nil {
			t.Errorf("testenv: end of the lease of the Redis Cluster: %v", err)
		}
	})
	client := redis.NewClusterClient(o)
	t.Cleanup(func() { client.Close() })
	return &Redis{Client: client, URL: url}
}

// hold takes the lease for this process, unless it has it.
func hold(o *redis.ClusterOptions) error {
	held.Lock()
	defer held.Unlock()
	if held.tests == 0 {
		l, err := waitForCluster(o)
		if err != nil {
			return err
		}
		held.lease, held.stop = l, l.keep()
	}
	held.tests++
	return nil
}

// letGo gives the Cluster back with the last test that holds it.
func letGo() error {
	held.Lock()
	defer held.Unlock()
	held.tests--
	if held.tests > 0 {
		return nil
	}
	held.stop()
	return held.lease.end()
}

// waitForCluster waits until no other process has the Cluster.
func waitForCluster(o *redis.ClusterOptions) (*lease, error) {
	client := redis.NewClusterClient(o)
	l := &lease{locks: client, data: client, n: clusterDB, token: rand.Text()}
	ctx, cancel := context.WithTimeout(context.Background(), giveUp)
	defer cancel()
	for {
		err := l.take(ctx)
		if err == nil {
			return l, nil
		}
		if !errors.Is(err, errBusy) {
			l.close()
			return nil, err
		}
		select {
		case <-time.After(retryEvery):
		case <-ctx.Done():
			l.close()
			return nil, fmt.Errorf("the Cluster is not free within %v: %w", giveUp, err)
		}
	}
}
