package main

import (
	"context"
	"encoding/json"
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
	context.AfterFunc(ctx, stop) // a second signal ends it at once
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	os.Exit(exitCode(err))
}

// exitCode is 0, 1 for a failure, or 2 for a wrong command line. What run has not said is said here.
func exitCode(err error) int {
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
		return 0
	case errors.Is(err, errUsage):
		return 2
	case errors.Is(err, errFailed): // the result says how
		return 1
	}
	fmt.Fprintln(os.Stderr, "wxload:", err)
	return 1
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	c, err := parse(args, stdout, stderr)
	if err != nil {
		return err
	}
	return runWith(ctx, c, transports{newTransport(c.phones), newTransport(simulatorCalls)}, stdout, stderr)
}

func runWith(ctx context.Context, c config, t transports, stdout, stderr io.Writer) error {
	l, err := newLoad(c, t)
	if err != nil {
		return err
	}
	output, err := create(c.json) // before the run, which would be in vain
	if err != nil {
		return err
	}
	if output != nil {
		defer output.Close() // what counts is Sync
	}
	res, err := l.play(ctx, stderr)
	if err != nil {
		return err // a file stays empty: there is no result
	}
	if err := write(res, c.json, stdout, output); err != nil {
		return err
	}
	if !res.passed() {
		return errFailed
	}
	return nil
}

// create makes the file for the JSON; nil where there is to be none.
func create(name string) (*os.File, error) {
	if name == "" || name == "-" {
		return nil, nil
	}
	return os.Create(name)
}

// write writes a result as a table, as JSON, or both.
func write(r result, name string, stdout io.Writer, file *os.File) error {
	if name == "-" {
		return writeJSON(r, stdout)
	}
	printTable(stdout, r)
	if file == nil {
		return nil
	}
	return errors.Join(writeJSON(r, file), file.Sync())
}

func writeJSON(r result, w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(r)
}
