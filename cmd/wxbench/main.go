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
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	c, err := parse(args, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	if err != nil {
		fmt.Fprintf(stderr, "wxbench: %v\n", err)
		return 2
	}
	if err := bench(ctx, c, stdout, stderr); err != nil {
		fmt.Fprintf(stderr, "wxbench: %v\n", err)
		return 1
	}
	return 0
}

// bench sets everything up, measures, and takes everything down again.
func bench(ctx context.Context, c config, stdout, stderr io.Writer) (err error) {
	w, err := newWorld(ctx, c, stderr)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.close()) }()
	if len(c.growth) > 0 {
		return w.grow(ctx, stdout)
	}
	return w.compare(ctx, stdout)
}
