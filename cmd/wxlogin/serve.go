package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"wxlogin/internal/server"
)

// serve runs the server until ctx ends or a listener breaks, then stops it in order.
func serve(ctx context.Context, environ []string, stdout, stderr io.Writer) int {
	config, err := server.LoadConfig(environ)
	if err != nil {
		return misconfigured(stderr, environ, err)
	}
	tuneGC()
	logger := server.NewLogger(config.Log, stderr)
	server.RouteRedisLog(logger)
	server.WarnUnknownVariables(ctx, environ, logger)
	config.Version = versionText()
	if config.Tracing, err = startTracing(ctx, config.Version, stdout, logger); err != nil {
		return misconfigured(stderr, nil, err)
	}
	defer stopTracing(ctx, config.Tracing, logger)
	srv, err := server.Start(ctx, config, logger)
	switch {
	case errors.Is(err, server.ErrMisconfigured), errors.Is(err, server.ErrCertificate):
		return misconfigured(stderr, nil, err) // unknown variables are in the log already
	case err != nil && ctx.Err() != nil:
		logger.Info("stopped before it served")
		return exitOK
	case err != nil:
		return fail(stderr, err)
	}
	select {
	case <-ctx.Done():
	case err = <-srv.Failed():
		logger.Error("a listener broke", "cause", err)
	}
	return stop(ctx, srv, err, logger)
}

// stop drains the server and shuts it down. A second signal cuts the drain short; requests in flight keep their time.
// failure is why the server stops, where nobody told it to.
func stop(ctx context.Context, srv *server.Server, failure error, logger *slog.Logger) int {
	ctx = context.WithoutCancel(ctx) // what ended is the time to serve, not the time to stop
	drainCtx, cancelDrain := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer cancelDrain()
	logger.Info("stopping")
	srv.Drain(drainCtx)
	logger.Info("closing the ports")
	stopCtx, cancelStop := context.WithTimeout(ctx, server.ShutdownTimeout)
	defer cancelStop()
	if err := errors.Join(failure, srv.Shutdown(stopCtx)); err != nil {
		logger.Error("stopped badly", "cause", err)
		return exitFailed
	}
	logger.Info("stopped")
	return exitOK
}
