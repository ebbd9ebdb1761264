package main

import (
	"context"
	"io"
	"log/slog"
	"time"

	"wxlogin/internal/tracing"
)

// lastSpansTimeout is how long a stop waits for the collector of traces.
const lastSpansTimeout = 3 * time.Second

// startTracing makes traces where the environment asks for them.
func startTracing(ctx context.Context, version string, console io.Writer, logger *slog.Logger) (*tracing.Provider, error) {
	tracing.LogErrors(logger)
	provider, err := tracing.FromEnvironment(ctx, version, console)
	if provider != nil {
		logger.InfoContext(ctx, "tracing")
	}
	return provider, err
}

// stopTracing exports what is left.
func stopTracing(ctx context.Context, provider *tracing.Provider, logger *slog.Logger) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastSpansTimeout)
	defer cancel()
	if err := provider.Shutdown(ctx); err != nil {
		logger.WarnContext(ctx, "the last traces were not exported", "cause", err)
	}
}
