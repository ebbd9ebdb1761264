package main

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
	"unicode"

	"wxlogin/wechat/wechattest"
)

var errUsage = errors.New("invalid command line")

type config struct {
	addr          string
	appID, secret string
	apps          map[string]string // AppSecret by appid: appID and those of WECHAT_APPS
	latency       time.Duration
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
	c.appID = cmp.Or(c.appID, os.Getenv("WECHAT_APPID"), wechattest.DemoAppID)
	c.secret = cmp.Or(c.secret, os.Getenv("WECHAT_SECRET"), wechattest.DemoSecret)
	if c.apps, err = parseApps(c.appID, c.secret, os.Getenv("WECHAT_APPS")); err != nil {
		fmt.Fprintf(stderr, "wxsim: %v\n", err)
		return config{}, errUsage
	}
	return c, nil
}

// parseApps returns the AppSecrets by appid of the single mini-program and of a list in the form of the server's
// WECHAT_APPS. Its error contains no secret.
func parseApps(appID, secret, list string) (map[string]string, error) {
	apps := map[string]string{appID: secret}
	for _, entry := range strings.FieldsFunc(list, func(r rune) bool { return r == ',' || unicode.IsSpace(r) }) {
		parts := strings.Split(entry, ":")
		if len(parts) < 2 || len(parts) > 3 || parts[0] == "" || parts[1] == "" {
			return nil, errors.New("WECHAT_APPS: an entry is not of the form appid:AppSecret")
		}
		apps[parts[0]] = parts[1]
	}
	return apps, nil
}

func printHelp(flags *flag.FlagSet, stdout io.Writer) {
	fmt.Fprint(stdout, "Usage: wxsim [flags]\n\nSimulates WeChat's API for development.\n\nFlags:\n")
	flags.SetOutput(stdout)
	flags.PrintDefaults()
}
