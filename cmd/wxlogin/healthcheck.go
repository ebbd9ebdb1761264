package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"wxlogin/internal/app"
)

// healthcheckTimeout leaves /readyz the second that its own checks take.
const healthcheckTimeout = 3 * time.Second

// healthcheck asks the server on this machine whether it is ready. Containers run it as their health check.
func healthcheck(ctx context.Context, environ []string, stdout, stderr io.Writer) int {
	config, err := app.LoadHealthConfig(environ)
	if err != nil {
		return misconfigured(stderr, err)
	}
	ctx, cancel := context.WithTimeout(ctx, healthcheckTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+localAddr(config.InternalAddr)+"/readyz", nil)
	if err != nil {
		return fail(stderr, err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return fail(stderr, err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		body, _ := io.ReadAll(io.LimitReader(res.Body, 4<<10)) // half an answer still says more than none
		return fail(stderr, fmt.Errorf("not ready: %s", body))
	}
	fmt.Fprintln(stdout, "ready")
	return exitOK
}

// localAddr is where a server that listens on addr can be reached from its own machine.
func localAddr(addr string) string {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return addr
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port)
}
