package server

import "github.com/prometheus/client_golang/prometheus"

// poolFigures shows the pool of connections that sessions use. It looks at the pool once for all of its figures.
type poolFigures func() redisPool

var (
	poolConnections = prometheus.NewDesc("wxlogin_redis_pool_connections", "Connections to Redis, by state.", []string{"state"}, nil)
	poolSizeLimit   = prometheus.NewDesc("wxlogin_redis_pool_size_limit",
		"Connections to Redis that may be made, in a Cluster to each node.", nil, nil)
	poolTimedOut = prometheus.NewDesc("wxlogin_redis_pool_waits_timed_out_total",
		"Commands that got no connection to Redis in time.", nil, nil)
)

// Describe implements prometheus.Collector.
func (poolFigures) Describe(descs chan<- *prometheus.Desc) {
	descs <- poolConnections
	descs <- poolSizeLimit
	descs <- poolTimedOut
}

// Collect implements prometheus.Collector.
func (f poolFigures) Collect(figures chan<- prometheus.Metric) {
	pool := f()
	gauge := func(desc *prometheus.Desc, value int, labels ...string) {
		figures <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, float64(value), labels...)
	}
	gauge(poolConnections, pool.idle, "idle")
	gauge(poolConnections, pool.inUse, "in_use")
	gauge(poolSizeLimit, pool.limit)
	figures <- prometheus.MustNewConstMetric(poolTimedOut, prometheus.CounterValue, float64(pool.timedOut))
}
