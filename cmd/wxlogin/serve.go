package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	"time"

	"wxlogin/internal/config"
	"wxlogin/internal/redisclient"
	"wxlogin/internal/server"
	"wxlogin/internal/tracing"
)

// serve runs the server until ctx ends or a listener fails, and then stops it orderly.
func serve(ctx context.Context, environ []string, stdout, stderr io.Writer) int {
	c, err := config.Load(environ)
	if err != nil {
		return misconfigured(stderr, environ, err)
	}
	tuneGC()
	logger := c.Log.NewLogger(stderr)
	redisclient.RouteLogs(logger)
	config.WarnUnknownVariables(ctx, environ, logger)
	o := server.Options{Logger: logger, Version: versionText()}
	if o.Tracing, err = startTracing(ctx, o.Version, stdout, logger); err != nil {
		return misconfigured(stderr, nil, err)
	}
	defer stopTracing(ctx, o.Tracing, logger)
	srv, err := server.Start(ctx, c, o)
	switch {
	case errors.Is(err, server.ErrMisconfigured), errors.Is(err, server.ErrCertificate):
		return misconfigured(stderr, nil, err) // unknown variables are in the log already
	case err != nil && ctx.Err() != nil:
		logger.Info("stopped during startup")
		return exitOK
	case err != nil:
		return fail(stderr, err)
	}
	select {
	case <-ctx.Done():
	case err = <-srv.Failed():
		logger.Error("listener failed", "cause", err)
	}
	return stop(ctx, srv, err, logger)
}

// stop drains the server and shuts it down. A second signal cuts the drain short, but not the time of requests in flight.
// failure is the reason for the stop if it was not a signal.
func stop(ctx context.Context, srv *server.Server, failure error, logger *slog.Logger) int {
	ctx = context.WithoutCancel(ctx)
	drainCtx, cancelDrain := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer cancelDrain()
	logger.Info("stopping")
	srv.Drain(drainCtx)
	logger.Info("closing listeners")
	stopCtx, cancelStop := context.WithTimeout(ctx, server.ShutdownTimeout)
	defer cancelStop()
	if err := errors.Join(failure, srv.Shutdown(stopCtx)); err != nil {
		logger.Error("shutdown failed", "cause", err)
		return exitFailed
	}
	logger.Info("stopped")
	return exitOK
}

const (
	// gcPercent is the growth of the heap before a garbage collection, in percent of the live heap. The live heap of this
	// server is small: with Go's default of 100 % it would collect some twenty times a second under load. This costs some
	// tens of megabytes instead.
	gcPercent = 400

	// memoryLimit is the memory at which Go collects regardless of gcPercent: pictures make hundreds of megabytes of
	// garbage. It is less than four fifths of the documented size of an instance, because one picture may take 128 MiB, and
	// sockets and the program itself need memory too.
	memoryLimit = 400 << 20
)

// tuneGC sets gcPercent and memoryLimit, unless GOGC or GOMEMLIMIT is set.
func tuneGC() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(memoryLimit)
	}
}

// lastSpansTimeout is how long a stop waits for the collector of traces.
const lastSpansTimeout = 3 * time.Second

// startTracing returns nil if OpenTelemetry's environment variables ask for no traces.
func startTracing(ctx context.Context, version string, console io.Writer, logger *slog.Logger) (*tracing.Provider, error) {
	tracing.LogErrors(logger)
	provider, err := tracing.FromEnvironment(ctx, version, console)
	if provider != nil {
		logger.InfoContext(ctx, "tracing")
	}
	return provider, err
}

// stopTracing exports the remaining traces.
func stopTracing(ctx context.Context, provider *tracing.Provider, logger *slog.Logger) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastSpansTimeout)
	defer cancel()
	if err := provider.Shutdown(ctx); err != nil {
		logger.WarnContext(ctx, "exporting the last traces failed", "cause", err)
	}
}

// version is set by the linker (-X main.version=v1.2.3). By default it is the revision that Go has recorded.
var version string

func printVersion(_ context.Context, _ []string, stdout, _ io.Writer) int {
	fmt.Fprintln(stdout, "wxlogin", versionText())
	return exitOK
}

func versionText() string {
	info, ok := debug.ReadBuildInfo()
	if version != "" || !ok {
		return version
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			return s.Value
		}
	}
	return info.Main.Version
}
