package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/signal"
	"syscall"
	"time"
)

var (
	errUsage  = errors.New("wrong command line")
	errFailed = errors.New("failed")
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(exitCode(err))
}

// exitCode is 0, 1 for a failure, or 2 for a wrong command line or a missing program. What run has not said is said here.
func exitCode(err error) int {
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
		return 0
	case errors.Is(err, errFailed):
		return 1
	case errors.Is(err, errUsage):
		return 2
	}
	fmt.Fprintln(os.Stderr, "wxfaults:", err)
	if errors.Is(err, errMissing) {
		return 2
	}
	return 1
}

// options are the flags of both modes.
type options struct {
	seed     uint64
	rounds   int
	keep     bool
	verbose  bool
	duration time.Duration // of the overload
	latency  time.Duration // of WeChat, under overload
	logins   int           // in flight
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	mode := faults
	if len(args) > 0 && args[0] == "overload" {
		mode, args = overload, args[1:]
	}
	o, err := parse(args, stderr)
	if err != nil {
		return err
	}
	if !supported {
		return fmt.Errorf("an operating system other than Linux: what it needs is %w", errMissing)
	}
	if err := checkInstalled(); err != nil {
		return err
	}
	return mode(ctx, o, stdout)
}

// parse reads the flags. What is wrong has been written then.
func parse(args []string, stderr io.Writer) (options, error) {
	var o options
	flags := flag.NewFlagSet("wxfaults [overload]", flag.ContinueOnError)
	flags.SetOutput(stderr)
	seed := rand.Uint64N(1_000_000)
	flags.Uint64Var(&o.seed, "seed", seed, "`number` that decides the order of the faults and what phones do")
	flags.IntVar(&o.rounds, "rounds", defaultRounds, "how often each fault is committed: 1 to 3")
	flags.BoolVar(&o.keep, "keep", false, "keep logs and data")
	flags.BoolVar(&o.verbose, "v", false, "tell what happens")
	flags.DurationVar(&o.duration, "duration", time.Minute, "how long the overload lasts: 15s to 3m")
	flags.DurationVar(&o.latency, "latency", 50*time.Millisecond, "how long WeChat takes for an exchange, under overload")
	flags.IntVar(&o.logins, "logins", 32, "how many logins the server takes at a time, under overload")
	err := flags.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return options{}, err
	case err != nil:
		return options{}, errUsage
	case flags.NArg() > 0 || o.rounds < 1 || o.rounds > 3 || o.duration < 15*time.Second || o.duration > 3*time.Minute || o.latency < 0 || o.logins < 1:
		flags.Usage()
		return options{}, errUsage
	}
	return o, nil
}

// teller says what happens, with the time, where that is wanted.
func teller(w io.Writer, verbose bool) func(format string, args ...any) {
	start := time.Now()
	return func(format string, args ...any) {
		if verbose {
			fmt.Fprintf(w, "%7.3f  %s\n", time.Since(start).Seconds(), fmt.Sprintf(format, args...))
		}
	}
}
