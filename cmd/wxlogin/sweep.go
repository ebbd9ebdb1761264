package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"

	"wxlogin/internal/server"
)

const sweepUsage = `Usage: wxlogin sweep [-dry-run]

Deletes the uploaded pictures that no user has and that are older than a day: what uploads that were cut off, replaced
pictures and deleted rows have left. It may run at any time, beside servers too; once a day is enough.

Environment: MYSQL_DSN, MYSQL_TLS_…_FILE, and AVATAR_DIR with PUBLIC_URL or the AVATAR_S3 variables, as for the server.

Flags:
`

// sweep deletes the pictures that no user has.
func sweep(ctx context.Context, args, environ []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("wxlogin sweep", flag.ContinueOnError)
	dryRun := flags.Bool("dry-run", false, "count what would be deleted, and delete nothing")
	if code, ok := parseFlags(flags, args, sweepUsage, stdout, stderr); !ok {
		return code
	}
	config, err := server.LoadSweepConfig(environ)
	if err != nil {
		return misconfigured(stderr, environ, err)
	}
	swept, err := server.Sweep(ctx, config, *dryRun, server.NewLogger(config.Log, stderr))
	if err != nil && swept.Files == 0 {
		return fail(stderr, err)
	}
	verb := "deleted"
	if *dryRun {
		verb = "would be deleted"
	}
	fmt.Fprintf(stdout, "%d files, %d of them (%d bytes) %s\n", swept.Files, swept.Removed, swept.RemovedBytes, verb)
	if err != nil {
		return fail(stderr, err)
	}
	return exitOK
}

// parseFlags parses a command's flags, and returns its exit code and false if that ends the command.
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
