package server

import (
	"context"
	"math"
	"runtime"

	"github.com/prometheus/client_golang/prometheus/collectors"

	"wxlogin/handlers"
	"wxlogin/internal/config"
	"wxlogin/internal/redisclient"
)

// registerMetrics adds the metrics of the components to /metrics.
func (p *components) registerMetrics(c config.Config, version string) {
	p.metrics.Gauge("build_info", "1; the labels identify the build.",
		map[string]string{"version": version, "go_version": runtime.Version()}, func() float64 { return 1 })
	for name, pool := range p.db.Pools() {
		p.metrics.Register(collectors.NewDBStatsCollector(pool, name))
	}
	p.metrics.Register(redisclient.NewPoolCollector(p.redis))
	p.metrics.Gauge("redis_keys", "Keys in Redis (DBSIZE), over all masters; NaN if Redis does not respond.", nil, p.redisKeys)
	p.metrics.Gauge("rate_limits_local", "1 while Redis is unavailable and this instance counts rate limits locally.", nil,
		func() float64 { return boolToFloat(p.counter.Degraded()) })
	p.metrics.Gauge("login_days_pending", "Logins that are counted and not yet in the table login_days.", nil,
		func() float64 { return float64(p.db.PendingLoginDays()) })
	p.metrics.Counter("login_days_failures_total", "Failed writes to the table login_days. The counts are retried.", nil,
		func() float64 { return float64(p.db.LoginDaysFailures()) })
	p.registerUnionIDMetrics(c)
}

// registerUnionIDMetrics adds a counter for each app.
func (p *components) registerUnionIDMetrics(c config.Config) {
	for _, app := range c.AllApps() {
		p.metrics.Counter("unionid_conflicts_total",
			"Logins at which WeChat returned another unionid than the stored one, which was kept.",
			map[string]string{"appid": app.AppID}, func() float64 { return float64(p.db.UnionIDConflicts(app.AppID)) })
	}
}

func (p *components) redisKeys() float64 {
	n, err := redisclient.DBSize(context.Background(), p.redis)
	if err != nil {
		return math.NaN()
	}
	return float64(n)
}

// registerMetrics adds the certificate's expiry to /metrics.
func (c *certificate) registerMetrics(m *handlers.Metrics) {
	m.Gauge("tls_certificate_expiry_timestamp_seconds", "When the public listener's certificate expires, in Unix time.",
		nil, func() float64 { return float64(c.current.Load().Leaf.NotAfter.Unix()) })
}

func boolToFloat(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
