package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"
)

const (
	maxPhones = 10_000
	maxUsers  = 10_000_000
	maxRate   = 1_000_000
)

var errUsage = errors.New("wrong command line")

// config is what the command line says.
type config struct {
	servers, internals []string // base URLs without a slash at the end
	wechat             string
	internalKey        string
	appID              string // "" leaves it to the server
	phones, users      int
	duration, warmup   time.Duration
	timeout, progress  time.Duration
	rate               float64 // actions a second; 0: closed loop
	mix                mix
	seed               uint64
	json               string // file; "" none, "-" stdout
	maxErrors          float64
}

// arguments are flags whose faults are gathered, in place of the first one ending all.
type arguments struct {
	flags  *flag.FlagSet
	faults []error
}

func (a *arguments) fault(name, format string, args ...any) {
	a.faults = append(a.faults, fmt.Errorf("-%s %s", name, fmt.Sprintf(format, args...)))
}

func (a *arguments) text(into *string, name, usage string) {
	a.flags.StringVar(into, name, *into, usage)
}

// urls reads base URLs, separated by commas or given by several flags.
func (a *arguments) urls(into *[]string, name, usage string) {
	a.flags.Func(name, usage, func(list string) error {
		for one := range strings.SplitSeq(list, ",") {
			one = strings.TrimRight(strings.TrimSpace(one), "/")
			u, err := url.Parse(one)
			if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.RawQuery != "" || u.User != nil {
				a.fault(name, "is not a list of http or https URLs without query and password")
				continue
			}
			*into = append(*into, one)
		}
		return nil
	})
}

// number reads a whole number between two others.
func (a *arguments) number(into *int, name string, low, high int, usage string) {
	a.flags.Func(name, fmt.Sprintf("%s (default %d)", usage, *into), func(text string) (err error) {
		if *into, err = strconv.Atoi(text); err != nil || *into < low || *into > high {
			a.fault(name, "is not a number from %d to %d", low, high)
		}
		return nil
	})
}

// share reads a number between 0 and another one, with decimals.
func (a *arguments) share(into *float64, name string, high float64, usage string) {
	a.flags.Func(name, fmt.Sprintf("%s (default %v)", usage, *into), func(text string) (err error) {
		if *into, err = strconv.ParseFloat(text, 64); err != nil || !(*into >= 0 && *into <= high) {
			a.fault(name, "is not a number from 0 to %v", high)
		}
		return nil
	})
}

// span reads a length of time.
func (a *arguments) span(into *time.Duration, name string, low time.Duration, usage string) {
	a.flags.Func(name, fmt.Sprintf("%s (default %v)", usage, *into), func(text string) (err error) {
		if *into, err = time.ParseDuration(text); err != nil || *into < low {
			a.fault(name, "is not a time such as 30s, of at least %v", low)
		}
		return nil
	})
}

// parse reads the command line. The error is flag.ErrHelp after -help, and otherwise errUsage; what is to be said has been
// written then.
func parse(args []string, stdout, stderr io.Writer) (config, error) {
	c := config{
		phones: 64, users: 1024, duration: 30 * time.Second, timeout: 10 * time.Second, progress: 5 * time.Second,
		seed: rand.Uint64N(1_000_000),
	}
	a := &arguments{flags: flag.NewFlagSet("wxload", flag.ContinueOnError)}
	a.flags.SetOutput(io.Discard)
	mixText, wechats := "", []string(nil)
	c.declare(a, &mixText, &wechats)
	err := a.flags.Parse(args)
	if errors.Is(err, flag.ErrHelp) {
		help(a.flags, stdout)
		return config{}, flag.ErrHelp
	}
	switch {
	case err != nil: // what comes after an unknown flag is not read
		a.faults = append(a.faults, err)
	case a.flags.NArg() > 0:
		a.faults = append(a.faults, errors.New("it takes no arguments but flags"))
	default:
		c.complete(a, mixText, wechats)
	}
	if len(a.faults) > 0 {
		for _, fault := range a.faults {
			fmt.Fprintln(stderr, "wxload:", fault)
		}
		fmt.Fprintln(stderr, `Run "wxload -help" for its flags.`)
		return config{}, errUsage
	}
	return c, nil
}

func (c *config) declare(a *arguments, mixText *string, wechats *[]string) {
	a.urls(&c.servers, "server", "`URL` of a server's public listener, or of a proxy; several, by commas or flags, share the load")
	a.urls(wechats, "wechat", "`URL` of the simulator that the servers take for WeChat")
	a.urls(&c.internals, "internal", "`URL` of a server's internal listener, for introspection; several share the load")
	a.text(&c.internalKey, "internal-key", "`key` of the internal listener (default $INTERNAL_API_KEY, which others do not see)")
	a.text(&c.appID, "appid", "the mini-program's `appid`, where server and simulator have several")
	a.number(&c.phones, "phones", 1, maxPhones, "`number` of mini-programs at once")
	a.number(&c.users, "users", 1, maxUsers, "`number` of users who come back")
	a.span(&c.duration, "duration", time.Millisecond, "how `long` to measure")
	a.span(&c.warmup, "warmup", 0, "how `long` to play before that")
	a.span(&c.timeout, "timeout", time.Millisecond, "how `long` a request may take")
	a.span(&c.progress, "progress", 0, "how `often` to say how it goes; 0s: never")
	a.share(&c.rate, "rate", maxRate, "open loop: `actions` a second in all, whatever the answers; 0: closed loop, as fast as answered")
	a.text(mixText, "mix", "`weights` of the actions (default "+defaultMix+"; introspect=0 without -internal)")
	a.flags.Uint64Var(&c.seed, "seed", c.seed, "`number` that decides who the users are and what phones do")
	a.text(&c.json, "json", "`file` for the result as JSON; -: standard output, in the place of the table")
	a.share(&c.maxErrors, "max-errors", 1, "`share` of failed requests, 0 to 1, above which the exit code is 1")
}

// complete fills in what depends on several flags and finds the faults between them.
func (c *config) complete(a *arguments, mixText string, wechats []string) {
	if c.internalKey == "" {
		c.internalKey = os.Getenv("INTERNAL_API_KEY")
	}
	c.completeMix(a, mixText)
	if c.users < c.phones && c.users > 0 {
		a.fault("users", "is less than -phones: nobody has two mini-programs in hand")
	}
	given := map[string]bool{}
	a.flags.Visit(func(f *flag.Flag) { given[f.Name] = true })
	for _, name := range []string{"server", "wechat"} {
		if !given[name] {
			a.fault(name, "is missing")
		}
	}
	switch len(wechats) {
	case 0: // said already
	case 1:
		c.wechat = wechats[0]
	default:
		a.fault("wechat", "names more than one simulator")
	}
}

func (c *config) completeMix(a *arguments, text string) {
	given := text != ""
	if !given {
		text = defaultMix
	}
	m, err := parseMix(text)
	if err != nil {
		a.fault("mix", "%v", err)
		return
	}
	if len(c.internals) == 0 && m[introspect] > 0 {
		if given {
			a.fault("mix", "has introspect, which needs -internal")
		}
		m[introspect] = 0
	}
	c.mix = m
}

func help(flags *flag.FlagSet, stdout io.Writer) {
	fmt.Fprint(stdout, "wxload plays mini-programs against a wxlogin server and says how it went. Flags:\n\n")
	flags.SetOutput(stdout)
	flags.PrintDefaults()
}
