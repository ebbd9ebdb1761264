// Command wxsim runs the WeChat simulator of package wechattest on a port: a replacement of https://api.weixin.qq.com
// for development without a WeChat account.
//
//	wxsim -addr 127.0.0.1:8089 &
//	WECHAT_API_BASE=http://127.0.0.1:8089 WECHAT_APPID=wx000000000000demo WECHAT_SECRET=… wxlogin
//	curl -X POST 'http://127.0.0.1:8089/sim/login?user=alice'     # simulates wx.login: {"code":"…"}
//
// If -appid or -secret is not set, it is WECHAT_APPID or WECHAT_SECRET; if that is not set either, it is the demo's, which
// "wxsim -help" prints. The apps of WECHAT_APPS (appid:AppSecret,appid:AppSecret) are valid too.
//
// It logs in every user for every caller: run it on a laptop or in a test only.
//
// The exit code is 0 on success, 1 on failure, and 2 if the command line is invalid.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"wxlogin/internal/probe"
	"wxlogin/wechat/wechattest"
)

// stopTimeout is how long a stop waits for requests in flight.
const stopTimeout = 5 * time.Second

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(exitCode(err))
}

// exitCode prints err, unless it is errUsage, which run has printed.
func exitCode(err error) int {
	switch {
	case err == nil:
		return 0
	case errors.Is(err, errUsage):
		return 2
	default:
		fmt.Fprintln(os.Stderr, "wxsim:", err)
		return 1
	}
}

// run serves the simulator until ctx ends and requests in flight have finished.
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
	fmt.Fprintf(stdout, "wxsim: simulating WeChat at http://%s for %s\n", listener.Addr(), c.appID)
	return serve(ctx, listener, wechattest.New(wechattest.Options{
		Apps:    c.apps,
		Latency: c.latency,
	}))
}

func serve(ctx context.Context, listener net.Listener, handler http.Handler) error {
	server := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 5 * time.Second,
		IdleTimeout:       2 * time.Minute, // longer than that of clients, so that they close first
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	stopCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	if err := server.Shutdown(stopCtx); err != nil {
		server.Close() // the remaining requests wait because of an injected fault
	}
	return nil
}
