// Command wxlogin is the login server and its tools:
//
//	wxlogin [serve]       serve mini-programs
//	wxlogin migrate       migrate the database to this version
//	wxlogin sweep         delete pictures that no user has
//	wxlogin healthcheck   check that the server at INTERNAL_ADDR is ready
//	wxlogin version       print the version
//	wxlogin help          print the commands and the environment variables
//
// It is configured by environment variables. The exit code is 0 on success, 1 on failure, and 2 if the command line or
// the configuration is invalid.
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

	"wxlogin/internal/config"
	"wxlogin/internal/server"
)

const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

// command is a subcommand. It runs until it is done or ctx ends, and returns the exit code.
type command func(ctx context.Context, args, environ []string, stdout, stderr io.Writer) int

var commands = map[string]command{
	"serve":       withoutArguments(serve),
	"migrate":     withoutArguments(migrate),
	"sweep":       sweep,
	"healthcheck": withoutArguments(healthcheck),
	"version":     withoutArguments(printVersion),
}

// withoutArguments makes a command of a function that takes no arguments.
func withoutArguments(run func(ctx context.Context, environ []string, stdout, stderr io.Writer) int) command {
	return func(ctx context.Context, args, environ []string, stdout, stderr io.Writer) int {
		if len(args) > 0 {
			fmt.Fprint(stderr, usage)
			return exitUsage
		}
		return run(ctx, environ, stdout, stderr)
	}
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	code := run(ctx, os.Args[1:], os.Environ(), os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

func run(ctx context.Context, args, environ []string, stdout, stderr io.Writer) int {
	name := "serve"
	if len(args) > 0 {
		name, args = args[0], args[1:]
	}
	switch name {
	case "help", "-h", "-help", "--help":
		fmt.Fprint(stdout, usage)
		return exitOK
	}
	cmd, ok := commands[name]
	if !ok {
		fmt.Fprint(stderr, usage)
		return exitUsage
	}
	return cmd(ctx, args, environ, stdout, stderr)
}

// parseFlags parses a command's flags. If that ends the command, it returns the exit code and false.
func parseFlags(flags *flag.FlagSet, args []string, usage string, stdout, stderr io.Writer) (code int, ok bool) {
	out := stderr
	flags.Usage = func() {
		fmt.Fprint(out, usage)
		flags.SetOutput(out)
		flags.PrintDefaults()
	}
	flags.SetOutput(io.Discard)
	err := flags.Parse(args)
	if errors.Is(err, flag.ErrHelp) {
		out = stdout
		flags.Usage()
		return exitOK, false
	}
	if err != nil || flags.NArg() > 0 {
		flags.Usage()
		return exitUsage, false
	}
	return 0, true
}

// misconfigured prints every error of the configuration, and the variables of environ that are probably misspelt.
func misconfigured(stderr io.Writer, environ []string, err error) int {
	fmt.Fprintf(stderr, "wxlogin: invalid configuration:\n%v\n", err)
	for _, unknown := range config.UnknownVariables(environ) {
		fmt.Fprintln(stderr, unknown)
	}
	return exitUsage
}

// fail prints the error that ended a command. The exit code is exitUsage if only another configuration can help.
func fail(stderr io.Writer, err error) int {
	if errors.Is(err, server.ErrMisconfigured) {
		return misconfigured(stderr, nil, err) // unknown variables are in the log already
	}
	fmt.Fprintf(stderr, "wxlogin: %v\n", err)
	return exitFailed
}
