package server

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"wxlogin/handlers"
)

const (
	outageInterval = 2 * time.Second // between two checks of a part
	outageTimeout  = time.Second     // for one check
)

// checks are the parts that the server waits for, as /readyz asks them.
func (p *parts) checks() []handlers.Check {
	return []handlers.Check{{Name: "mysql", Func: p.mysqlReady()}, {Name: "redis", Func: p.sessions.Ready}}
}

// logOutages checks each part now and then every outageInterval, and logs a line when it is no longer ready and a line when it is
// again. It returns after the first checks. The function that it returns ends the checks and waits for them.
func logOutages(checks []handlers.Check, logger *slog.Logger) (stop func()) {
	var first sync.WaitGroup
	first.Add(len(checks))
	stop = startBackground(func(ctx context.Context) {
		var running sync.WaitGroup
		for _, check := range checks {
			o := &outage{check: check, logger: logger}
			running.Go(func() {
				o.look(ctx)
				first.Done()
				o.run(ctx)
			})
		}
		running.Wait()
	})
	first.Wait()
	return stop
}

// outage is the state of one part. It is used by one goroutine.
type outage struct {
	check  handlers.Check
	logger *slog.Logger
	away   bool
	since  time.Time // when it was first found away
}

func (o *outage) run(ctx context.Context) {
	ticker := time.NewTicker(outageInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			o.look(ctx)
		case <-ctx.Done():
			return
		}
	}
}

// look checks the part once, and logs a change.
func (o *outage) look(ctx context.Context) {
	began := time.Now()
	checkCtx, cancel := context.WithTimeout(ctx, outageTimeout)
	err := o.check.Func(checkCtx)
	cancel()
	switch {
	case ctx.Err() != nil: // the server is being stopped: the check says nothing
	case err != nil && !o.away:
		o.away, o.since = true, began
		o.logger.WarnContext(ctx, o.check.Name+" is not ready; waiting for it", "check", o.check.Name, "cause", err)
	case err == nil && o.away:
		o.away = false
		o.logger.InfoContext(ctx, o.check.Name+" is ready again", "check", o.check.Name,
			"awaySeconds", time.Since(o.since).Round(time.Millisecond).Seconds())
	}
}
