package server

import (
	"context"
	"log/slog"
	"math"
	"runtime"
	"sync"
	"time"

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
		func() float64 {
			if p.counter.Degraded() {
				return 1
			}
			return 0
		})
	p.metrics.Gauge("login_days_pending", "Logins that are counted and not yet in the table login_days.", nil,
		func() float64 { return float64(p.db.PendingLoginDays()) })
	p.metrics.Counter("login_days_failures_total", "Failed writes to the table login_days. The counts are retried.", nil,
		func() float64 { return float64(p.db.LoginDaysFailures()) })
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

const (
	outageInterval = 2 * time.Second // between two checks of a dependency
	outageTimeout  = time.Second     // of one check
)

// checks returns the readiness checks of the server's dependencies, as /readyz runs them.
func (p *components) checks() []handlers.Check {
	return []handlers.Check{{Name: "mysql", Func: p.mysqlReady()}, {Name: "redis", Func: p.sessions.Ready}}
}

// logOutages runs each check immediately and then every outageInterval, and logs when a dependency stops being ready and
// when it is ready again. It returns after the first run. stop ends the checks and waits for them.
func logOutages(checks []handlers.Check, logger *slog.Logger) (stop func()) {
	var first sync.WaitGroup
	first.Add(len(checks))
	stop = startBackground(func(ctx context.Context) {
		var running sync.WaitGroup
		for _, check := range checks {
			o := &outage{target: check, logger: logger}
			running.Go(func() {
				o.check(ctx)
				first.Done()
				every(ctx, outageInterval, func() { o.check(ctx) })
			})
		}
		running.Wait()
	})
	first.Wait()
	return stop
}

// outage is the state of one dependency. It is used by one goroutine.
type outage struct {
	target    handlers.Check
	logger    *slog.Logger
	down      bool
	downSince time.Time // when a check failed first
}

// check runs the check once and logs a change.
func (o *outage) check(ctx context.Context) {
	began := time.Now()
	checkCtx, cancel := context.WithTimeout(ctx, outageTimeout)
	err := o.target.Func(checkCtx)
	cancel()
	switch {
	case ctx.Err() != nil: // the server is being stopped, and the check was cut short
	case err != nil && !o.down:
		o.down, o.downSince = true, began
		o.logger.WarnContext(ctx, o.target.Name+" is not ready; waiting for it", "check", o.target.Name, "cause", err)
	case err == nil && o.down:
		o.down = false
		o.logger.InfoContext(ctx, o.target.Name+" is ready again", "check", o.target.Name,
			"awaySeconds", time.Since(o.downSince).Round(time.Millisecond).Seconds())
	}
}
