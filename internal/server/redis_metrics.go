package server

import (
	"context"
	"time"

	"github.com/redis/go-redis/v9"
)

// redisPool is the state of a client's connections. In a Cluster the counts are over all nodes, and the limit is for each.
type redisPool struct {
	idle, inUse int
	limit       int
	timedOut    uint64 // waits for a connection that were given up, since the start
}

// redisPoolOf returns a function that tells the state of a client's connections. It answers within redisTimeout: where
// nothing is known of a Cluster yet, with what it told before.
func redisPoolOf(client redis.UniversalClient) func() redisPool {
	limit := poolLimit(client)
	latest := make(chan redisPool, 1)
	latest <- redisPool{limit: limit}
	return func() redisPool {
		ctx, cancel := context.WithTimeout(context.Background(), redisTimeout)
		defer cancel()
		stats := make(chan *redis.PoolStats, 1)
		go func() { stats <- client.PoolStats() }() // a Cluster's reads its state, where it has none, without a bound of ours
		before := <-latest
		select {
		case s := <-stats:
			before = countPool(s, limit)
		case <-ctx.Done():
		}
		latest <- before
		return before
	}
}

// countPool adds up both pools, where pipelines have one of their own.
func countPool(s *redis.PoolStats, limit int) redisPool {
	p := redisPool{idle: int(s.IdleConns), limit: limit, timedOut: uint64(s.Timeouts)}
	total := int(s.TotalConns)
	if s.PipelineStats != nil {
		p.idle += int(s.PipelineStats.IdleConns)
		total += int(s.PipelineStats.TotalConns)
		p.timedOut += uint64(s.PipelineStats.Timeouts)
	}
	p.inUse = max(0, total-p.idle) // the two were not counted in the same moment
	return p
}

// poolLimit is how many connections a client makes at most, in a Cluster to each node.
func poolLimit(client redis.UniversalClient) int {
	switch c := client.(type) {
	case *redis.Client:
		return c.Options().PoolSize + max(0, c.Options().PipelinePoolSize)
	case *redis.ClusterClient:
		return c.Options().PoolSize + max(0, c.Options().PipelinePoolSize)
	}
	return 0
}

// dbSizeTimeout bounds the count of keys. A Cluster's masters count side by side.
const dbSizeTimeout = time.Second

// dbSize counts the keys in Redis, over all masters.
func dbSize(ctx context.Context, client redis.UniversalClient) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, dbSizeTimeout)
	defer cancel()
	return client.DBSize(ctx).Result()
}
