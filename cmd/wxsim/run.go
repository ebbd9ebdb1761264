package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	"wxlogin/wechat/wechattest"
)

const (
	stopTimeout  = 5 * time.Second
	probeTimeout = 3 * time.Second
)

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
		return healthcheck(ctx, c.addr)
	}
	listener, err := net.Listen("tcp", c.addr)
	if err != nil {
		return err
	}
	fmt.Fprintf(stdout, "wxsim: WeChat is played at http://%s for %s\n", listener.Addr(), c.appID)
	return serve(ctx, listener, wechattest.New(wechattest.Options{
		Apps:    map[string]string{c.appID: c.secret},
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

// healthcheck asks the simulator at addr whether it is up, for containers that have no curl.
func healthcheck(ctx context.Context, addr string) error {
	target, err := healthURL(addr)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	if err != nil {
		return err
	}
	direct := &http.Client{Transport: &http.Transport{}} // no proxy
	resp, err := direct.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("health check: HTTP status %d", resp.StatusCode)
	}
	return nil
}

// healthURL is where the simulator that listens on addr answers this machine: an address that means every interface
// is no address to call.
func healthURL(addr string) (string, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return "", err
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	u := url.URL{Scheme: "http", Host: net.JoinHostPort(host, port), Path: "/sim/healthz"}
	return u.String(), nil
}
