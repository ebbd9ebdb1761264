package server

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"wxlogin/handlers"
)

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
