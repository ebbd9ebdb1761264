package app

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

// masterTimeout bounds the look at a Cluster's state, and then the wait for each of its masters, which answer side by side.
const masterTimeout = 300 * time.Millisecond

var errFewMasters = errors.New("most masters of the Redis Cluster do not answer")

// pingRedis tells whether Redis can be used. A Cluster can where most of its masters answer: it elects a new one then, and
// an instance that took itself out of service for one master would be missed by the users of all others.
func pingRedis(ctx context.Context, client redis.UniversalClient) error {
	cluster, ok := client.(*redis.ClusterClient)
	if !ok {
		return client.Ping(ctx).Err()
	}
	var masters, answered atomic.Int32
	look, cancel := context.WithTimeout(ctx, masterTimeout)
	defer cancel()
	err := cluster.ForEachMaster(look, func(_ context.Context, master *redis.Client) error {
		ctx, cancel := context.WithTimeout(ctx, masterTimeout)
		defer cancel()
		masters.Add(1)
		err := master.Ping(ctx).Err()
		if err == nil {
			answered.Add(1)
		}
		return err
	})
	if 2*answered.Load() > masters.Load() {
		return nil
	}
	return errors.Join(errFewMasters, err)
}
