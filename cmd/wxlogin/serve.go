package main

import (
	"context"
	"errors"
	"io"

	"wxlogin/internal/app"
	"wxlogin/store"
)

// serve runs the server until ctx ends or a listener breaks, then stops it in order.
func serve(ctx context.Context, environ []string, _, stderr io.Writer) int {
	config, err := app.LoadConfig(environ)
	if err != nil {
		return misconfigured(stderr, err)
	}
	logger := app.NewLogger(config.Log, stderr)
	app.RouteRedisLog(logger)
	server, err := app.Start(ctx, config, logger)
	if errors.Is(err, store.ErrCharset) {
		return misconfigured(stderr, err)
	}
	if err != nil {
		return fail(stderr, err)
	}
	select {
	case <-ctx.Done():
	case err = <-server.Failed():
		logger.Error("a listener broke", "cause", err)
	}
	logger.Info("stopping")
	stopCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), app.ShutdownTimeout)
	defer cancel()
	if err := errors.Join(err, server.Shutdown(stopCtx)); err != nil {
		logger.Error("stopped badly", "cause", err)
		return exitFailed
	}
	logger.Info("stopped")
	return exitOK
}
