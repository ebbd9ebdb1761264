package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"wxlogin/internal/probe"
	"wxlogin/wechat/wechattest"
)

const stopTimeout = 5 * time.Second

// run serves the simulator until ctx ends, and then lets the exchanges under way finish.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	c, err := parse(args, stdout, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return nil
	}
	if err != nil {
		return err
	}
	if c.healthcheck {
		return probe.Get(ctx, c.addr, "/sim/healthz")
	}
	listener, err := net.Listen("tcp", c.addr)
	if err != nil {
		return err
	}
	fmt.Fprintf(stdout, "wxsim: WeChat is played at http://%s for %s\n", listener.Addr(), c.appID)
	return serve(ctx, listener, wechattest.New(wechattest.Options{
		Apps:    c.apps,
		Latency: c.latency,
	}))
}

func serve(ctx context.Context, listener net.Listener, handler http.Handler) error {
	server := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 5 * time.Second,
		IdleTimeout:       2 * time.Minute, // longer than the clients' own, so that they close first
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	if err := server.Shutdown(stopping); err != nil {
		server.Close() // what is still under way waits for a fault of its own making
	}
	return nil
}
