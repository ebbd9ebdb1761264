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

// isCluster reports whether TEST_REDIS_URL is the URL of a Cluster.
func isCluster() bool { return os.Getenv("TEST_REDIS_MODE") == "cluster" }

// clusterDB is the number of a Cluster's one database.
const clusterDB = 0

// clusterLease is this process's lease of the Cluster. Its tests share it if they use it at the same time, such as a
// fixture within a fixture.
var clusterLease struct {
	sync.Mutex
	lease *lease
	stop  func()
	tests int
}

// leaseCluster leases the whole Cluster at url until the end of the test.
func leaseCluster(t testing.TB, url string) *Redis {
	t.Helper()
	o, err := redis.ParseClusterURL(url)
	if err != nil {
		t.Fatal(unreadableURL)
	}
	o.DisableRoutingPolicies = true // like the server's client
	if err := acquireCluster(o); err != nil {
		t.Fatalf("testenv: TEST_REDIS_URL: %v", err)
	}
	t.Cleanup(func() {
		if err := releaseCluster(); err != nil {
			t.Errorf("testenv: release the Redis Cluster: %v", err)
		}
	})
	client := redis.NewClusterClient(o)
	t.Cleanup(func() { client.Close() })
	return &Redis{Client: client, URL: url}
}

// acquireCluster acquires the lease, unless this process holds it.
func acquireCluster(o *redis.ClusterOptions) error {
	clusterLease.Lock()
	defer clusterLease.Unlock()
	if clusterLease.tests == 0 {
		l, err := waitForCluster(o)
		if err != nil {
			return err
		}
		clusterLease.lease, clusterLease.stop = l, l.keepAlive()
	}
	clusterLease.tests++
	return nil
}

// releaseCluster releases the lease when the last test of this process ends.
func releaseCluster() error {
	clusterLease.Lock()
	defer clusterLease.Unlock()
	clusterLease.tests--
	if clusterLease.tests > 0 {
		return nil
	}
	clusterLease.stop()
	return clusterLease.lease.release()
}

// waitForCluster waits until no other process holds the lease.
func waitForCluster(o *redis.ClusterOptions) (*lease, error) {
	client := redis.NewClusterClient(o)
	l := &lease{locks: client, data: client, n: clusterDB, token: rand.Text()}
	ctx, cancel := context.WithTimeout(context.Background(), waitLimit)
	defer cancel()
	for {
		err := l.acquire(ctx)
		if err == nil {
			return l, nil
		}
		if !errors.Is(err, errBusy) {
			l.close()
			return nil, err
		}
		select {
		case <-time.After(retryInterval):
		case <-ctx.Done():
			l.close()
			return nil, fmt.Errorf("the Cluster was not free within %v: %w", waitLimit, err)
		}
	}
}
