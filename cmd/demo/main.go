// Command demo shows wxlogin whole, in one process and on loopback only: an embedded MySQL and Redis, the WeChat
// simulator, and the server that cmd/wxlogin runs. It walks one mini-program through the two-phase login, printing
// every step, and then stays up for your own requests, with a web page on which a phone runs the example mini-program.
//
//	go run ./cmd/demo          walk, then stay up until Ctrl-C
//	go run ./cmd/demo -once    walk, then exit: 0, or 1 if a step failed
//
// It is for trying out: whatever it stores ends with it, and its MySQL is slow beyond a few thousand users.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"wxlogin/internal/embedded"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// options are the command line. Port 0 takes a free port.
type options struct {
	once                                        bool
	public, internal, mysql, redis, wxsim, page string
}

func parseOptions(args []string, stderr io.Writer) (options, error) {
	var o options
	fs := flag.NewFlagSet("demo", flag.ContinueOnError)
	fs.SetOutput(stderr)
	fs.BoolVar(&o.once, "once", false, "exit after the walk")
	fs.StringVar(&o.public, "addr", "127.0.0.1:0", "`address` for mini-programs")
	fs.StringVar(&o.internal, "internal", "127.0.0.1:0", "`address` of health checks and metrics")
	fs.StringVar(&o.mysql, "mysql", "127.0.0.1:0", "`address` of the embedded MySQL")
	fs.StringVar(&o.redis, "redis", "127.0.0.1:0", "`address` of the embedded Redis")
	fs.StringVar(&o.wxsim, "wxsim", "127.0.0.1:0", "`address` of the WeChat simulator")
	fs.StringVar(&o.page, "page", "127.0.0.1:0", "`address` of the web page")
	if err := fs.Parse(args); err != nil {
		return options{}, err
	}
	if fs.NArg() > 0 {
		fmt.Fprintf(stderr, "demo: unexpected argument %q\n", fs.Arg(0))
		return options{}, errors.New("unexpected argument")
	}
	if err := o.requireLoopback(); err != nil {
		fmt.Fprintf(stderr, "demo: %v\n", err)
		return options{}, err
	}
	return o, nil
}

// requireLoopback keeps everything on this machine: the demo's MySQL has no password, and its WeChat lets anybody log in
// as anybody.
func (o options) requireLoopback() error {
	var faults []error
	for _, addr := range []string{o.public, o.internal, o.mysql, o.redis, o.wxsim, o.page} {
		faults = append(faults, embedded.RequireLoopback(addr))
	}
	return errors.Join(faults...)
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	o, err := parseOptions(args, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	if err != nil {
		return 2
	}
	if err := show(ctx, o, stdout, stderr); err != nil {
		fmt.Fprintf(stderr, "demo: %v\n", err)
		return 1
	}
	return 0
}

// show starts everything, walks, and stays up unless told otherwise.
func show(ctx context.Context, o options, stdout, stderr io.Writer) (err error) {
	s, err := startStack(ctx, o, stderr)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	w := &walk{stack: s, out: printer{stdout}}
	if err := w.run(ctx); err != nil || o.once {
		return err
	}
	s.showRequests()
	w.printHowToGoOn()
	select {
	case <-ctx.Done():
		return nil
	case err := <-s.server.Failed():
		return err
	}
}
