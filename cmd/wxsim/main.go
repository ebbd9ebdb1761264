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
// With -push, which is WECHAT_PUSH if it is not set, it pushes events about users to the server at -push-url:
//
//	curl -X POST 'http://127.0.0.1:8089/sim/event?user=alice&event=user_authorization_revoke&revoke=8'
//
// It logs in every user for every caller: run it on a laptop or in a test only.
//
// The exit code is 0 on success, 1 on failure, and 2 if the command line is invalid.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
	"unicode"

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
		Pushes:  c.pushes,
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

var errUsage = errors.New("invalid command line")

type config struct {
	addr          string
	appID, secret string
	apps          map[string]string // AppSecret by appid: appID and those of WECHAT_APPS
	latency       time.Duration
	push, pushURL string
	pushes        map[string]wechattest.Push // by appid: those of push
	healthcheck   bool
}

// parse parses the command line. If a flag is missing, its value comes from the environment. If parse fails, it has printed
// the help, and the error is flag.ErrHelp, or the reason, and the error is errUsage.
func parse(args []string, stdout, stderr io.Writer) (config, error) {
	var c config
	flags := flag.NewFlagSet("wxsim", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.StringVar(&c.addr, "addr", "127.0.0.1:8089", "listen on this `address`; port 0 is any free port")
	flags.StringVar(&c.appID, "appid", "", "`appid` of the mini-program (default $WECHAT_APPID, or "+wechattest.DemoAppID+")")
	flags.StringVar(&c.secret, "secret", "", "its `AppSecret` (default $WECHAT_SECRET, or "+wechattest.DemoSecret+")")
	flags.DurationVar(&c.latency, "latency", 0, "delay every call by this `time`, such as 80ms")
	flags.StringVar(&c.push, "push", "", "Token and EncodingAESKey of pushes to the server: `appid:Token[:EncodingAESKey]`, separated by "+
		"commas (default $WECHAT_PUSH)")
	flags.StringVar(&c.pushURL, "push-url", "http://127.0.0.1:8080", "`URL` of the server, which gets pushes at /wechatPush/ and the appid")
	flags.BoolVar(&c.healthcheck, "healthcheck", false, "only check that the simulator at -addr is running")
	err := flags.Parse(args)
	if err == nil && flags.NArg() > 0 {
		err = errors.New("unexpected arguments")
	}
	if err == nil && c.latency < 0 {
		err = errors.New("-latency is negative")
	}
	switch {
	case errors.Is(err, flag.ErrHelp):
		printHelp(flags, stdout)
		return config{}, flag.ErrHelp
	case err != nil:
		fmt.Fprintf(stderr, "wxsim: %v\nRun \"wxsim -help\" for its flags.\n", err)
		return config{}, errUsage
	}
	if err := c.readApps(); err != nil {
		fmt.Fprintf(stderr, "wxsim: %v\n", err)
		return config{}, errUsage
	}
	return c, nil
}

// readApps sets apps and pushes. What the flags leave out comes from the environment.
func (c *config) readApps() (err error) {
	c.appID = cmp.Or(c.appID, os.Getenv("WECHAT_APPID"), wechattest.DemoAppID)
	c.secret = cmp.Or(c.secret, os.Getenv("WECHAT_SECRET"), wechattest.DemoSecret)
	if c.apps, err = parseApps(c.appID, c.secret, os.Getenv("WECHAT_APPS")); err != nil {
		return err
	}
	c.pushes, err = parsePushes(cmp.Or(c.push, os.Getenv("WECHAT_PUSH")), c.pushURL, c.apps)
	return err
}

// parseApps returns the AppSecrets by appid of the single mini-program and of a list in the form of the server's
// WECHAT_APPS. Its error contains no secret.
func parseApps(appID, secret, list string) (map[string]string, error) {
	apps := map[string]string{appID: secret}
	for _, entry := range entries(list) {
		parts := strings.Split(entry, ":")
		if len(parts) < 2 || len(parts) > 3 || parts[0] == "" || parts[1] == "" {
			return nil, errors.New("WECHAT_APPS: an entry is not of the form appid:AppSecret")
		}
		apps[parts[0]] = parts[1]
	}
	return apps, nil
}

// parsePushes returns the servers by appid of a list in the form of the server's WECHAT_PUSH. Its error contains no Token and
// no key.
func parsePushes(list, server string, apps map[string]string) (map[string]wechattest.Push, error) {
	pushes := make(map[string]wechattest.Push)
	for _, entry := range entries(list) {
		parts := append(strings.Split(entry, ":"), "")
		if len(parts) < 3 || len(parts) > 4 || parts[1] == "" || apps[parts[0]] == "" {
			return nil, errors.New("-push: an entry is not of the form appid:Token[:EncodingAESKey], or is for another mini-program")
		}
		p := wechattest.Push{
			URL: strings.TrimRight(server, "/") + "/wechatPush/" + parts[0], Token: parts[1], EncodingAESKey: parts[2],
		}
		if err := p.Validate(); err != nil {
			return nil, fmt.Errorf("-push, -push-url: %w", err)
		}
		pushes[parts[0]] = p
	}
	return pushes, nil
}

// entries splits a list at commas and white space.
func entries(list string) []string {
	return strings.FieldsFunc(list, func(r rune) bool { return r == ',' || unicode.IsSpace(r) })
}

func printHelp(flags *flag.FlagSet, stdout io.Writer) {
	fmt.Fprint(stdout, "Usage: wxsim [flags]\n\nSimulates WeChat's API for development.\n\nFlags:\n")
	flags.SetOutput(stdout)
	flags.PrintDefaults()
}
