package tracing

import (
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	"go.opentelemetry.io/otel"
)

// faultPause is how long nothing more is said after a fault: a collector that is away fails with every batch.
const faultPause = time.Minute

// RouteFaults sends what OpenTelemetry has to complain about to a logger, once a minute at most. It is a global of that
// library: a command calls this once.
func RouteFaults(logger *slog.Logger) {
	otel.SetLogger(logr.Discard()) // it tells the same, and more
	otel.SetErrorHandler(&faults{logger: logger, now: time.Now})
}

type faults struct {
	logger *slog.Logger
	now    func() time.Time
	quiet  atomic.Int64 // until when, in nanoseconds of Unix time
}

// Handle implements otel.ErrorHandler.
func (f *faults) Handle(err error) {
	now, quiet := f.now(), f.quiet.Load()
	if now.UnixNano() < quiet || !f.quiet.CompareAndSwap(quiet, now.Add(faultPause).UnixNano()) {
		return
	}
	f.logger.Warn("traces are lost", "cause", err)
}
