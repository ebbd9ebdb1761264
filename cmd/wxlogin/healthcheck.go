package main

import (
	"context"
	"fmt"
	"io"

	"wxlogin/internal/probe"
	"wxlogin/internal/server"
)

// healthcheck asks the server on this machine whether it is ready. Containers run it as their health check.
func healthcheck(ctx context.Context, environ []string, stdout, stderr io.Writer) int {
	config, err := server.LoadHealthConfig(environ)
	if err != nil {
		return misconfigured(stderr, environ, err)
	}
	if err := probe.Get(ctx, config.InternalAddr, "/readyz"); err != nil {
		return fail(stderr, fmt.Errorf("not ready: %w", err))
	}
	fmt.Fprintln(stdout, "ready")
	return exitOK
}
