package redisclient

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"
)

// dbSizeTimeout bounds DBSize. A Cluster's masters count at the same time.
const dbSizeTimeout = time.Second

// DBSize returns the number of keys in Redis, in a Cluster over all masters.
func DBSize(ctx context.Context, client redis.UniversalClient) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, dbSizeTimeout)
	defer cancel()
	return client.DBSize(ctx).Result()
}

var (
	poolConnections = prometheus.NewDesc("wxlogin_redis_pool_connections", "Connections to Redis, by state.", []string{"state"}, nil)
	poolSizeLimit   = prometheus.NewDesc("wxlogin_redis_pool_size_limit",
		"Maximum number of connections to Redis, in a Cluster to each node.", nil, nil)
	poolTimedOut = prometheus.NewDesc("wxlogin_redis_pool_waits_timed_out_total",
		"Commands that got no connection to Redis in time.", nil, nil)
)

// poolCollector collects the metrics of a client's connection pool. One call returns all values of a scrape.
type poolCollector func() poolStats

// NewPoolCollector returns a collector of the metrics of a client's connection pool.
func NewPoolCollector(client redis.UniversalClient) prometheus.Collector {
	return poolCollector(poolStatsOf(client))
}

// Describe implements prometheus.Collector.
func (poolCollector) Describe(descs chan<- *prometheus.Desc) {
	descs <- poolConnections
	descs <- poolSizeLimit
	descs <- poolTimedOut
}

// Collect implements prometheus.Collector.
func (c poolCollector) Collect(metrics chan<- prometheus.Metric) {
	pool := c()
	gauge := func(desc *prometheus.Desc, value int, labels ...string) {
		metrics <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, float64(value), labels...)
	}
	gauge(poolConnections, pool.idle, "idle")
	gauge(poolConnections, pool.inUse, "in_use")
	gauge(poolSizeLimit, pool.limit)
	metrics <- prometheus.MustNewConstMetric(poolTimedOut, prometheus.CounterValue, float64(pool.timedOut))
}

// poolStats is the state of a client's connections. In a Cluster, the counts are over all nodes and the limit is per node.
type poolStats struct {
	idle, inUse int
	limit       int
	timedOut    uint64 // waits for a connection that timed out since the start
}

// poolStatsOf returns a function that returns the state of a client's connections within DefaultTimeout. If a Cluster's
// state cannot be read in that time, it returns the previous values.
func poolStatsOf(client redis.UniversalClient) func() poolStats {
	limit := poolLimit(client)
	latest := make(chan poolStats, 1)
	latest <- poolStats{limit: limit}
	return func() poolStats {
		ctx, cancel := context.WithTimeout(context.Background(), DefaultTimeout)
		defer cancel()
		stats := make(chan *redis.PoolStats, 1)
		go func() { stats <- client.PoolStats() }() // a Cluster client without a state reads it, and takes no context
		result := <-latest
		select {
		case s := <-stats:
			result = newPoolStats(s, limit)
		case <-ctx.Done():
		}
		latest <- result
		return result
	}
}

// newPoolStats adds up both pools, if pipelines have a separate one.
func newPoolStats(s *redis.PoolStats, limit int) poolStats {
	p := poolStats{idle: int(s.IdleConns), limit: limit, timedOut: uint64(s.Timeouts)}
	total := int(s.TotalConns)
	if s.PipelineStats != nil {
		p.idle += int(s.PipelineStats.IdleConns)
		total += int(s.PipelineStats.TotalConns)
		p.timedOut += uint64(s.PipelineStats.Timeouts)
	}
	p.inUse = max(0, total-p.idle) // the two were not counted at the same moment
	return p
}

// poolLimit returns the maximum number of a client's connections, in a Cluster to each node.
func poolLimit(client redis.UniversalClient) int {
	switch c := client.(type) {
	case *redis.Client:
		return c.Options().PoolSize + max(0, c.Options().PipelinePoolSize)
	case *redis.ClusterClient:
		return c.Options().PoolSize + max(0, c.Options().PipelinePoolSize)
	}
	return 0
}
