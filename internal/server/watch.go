package server

import (
	"context"
	"math"
	"runtime"

	"github.com/prometheus/client_golang/prometheus/collectors"
)

// watch adds the figures of the parts to /metrics.
func (p *parts) watch(c Config) {
	p.metrics.Gauge("build_info", "1; the labels say which build this is.",
		map[string]string{"version": c.Version, "go_version": runtime.Version()}, func() float64 { return 1 })
	for name, pool := range p.db.Pools() {
		p.metrics.Register(collectors.NewDBStatsCollector(pool, name))
	}
	p.metrics.Register(poolFigures(redisPoolOf(p.redis)))
	p.metrics.Gauge("redis_keys", "Keys in Redis (DBSIZE), over all masters; NaN where it cannot be asked.", nil, p.redisKeys)
	p.metrics.Gauge("rate_limits_local", "1 while Redis is away and this instance counts rate limits for itself.", nil,
		func() float64 { return oneIf(p.counter.Degraded()) })
	p.metrics.Gauge("login_days_pending", "Logins that are counted and not yet in the table login_days.", nil,
		func() float64 { return float64(p.db.PendingLoginDays()) })
	p.metrics.Counter("login_days_failures_total", "Failed writes to the table login_days; the counts wait for the next.", nil,
		func() float64 { return float64(p.db.LoginDaysFailures()) })
	p.watchUnionIDs(c)
}

// watchUnionIDs adds a counter for each app.
func (p *parts) watchUnionIDs(c Config) {
	for _, app := range c.allApps() {
		p.metrics.Counter("unionid_conflicts_total", "Logins at which WeChat gave another unionid than the one on record, which was kept.",
			map[string]string{"appid": app.AppID}, func() float64 { return float64(p.db.UnionIDConflicts(app.AppID)) })
	}
}

func (p *parts) redisKeys() float64 {
	n, err := dbSize(context.Background(), p.redis)
	if err != nil {
		return math.NaN()
	}
	return float64(n)
}

// watch adds the figure of the certificate to /metrics.
func (c *certificate) watch(p *parts) {
	p.metrics.Gauge("tls_certificate_expiry_timestamp_seconds", "When the public listener's certificate expires, in Unix time.",
		nil, func() float64 { return float64(c.current.Load().Leaf.NotAfter.Unix()) })
}

func oneIf(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}
