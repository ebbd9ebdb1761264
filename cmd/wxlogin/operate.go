package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"time"

	"wxlogin/internal/config"
	"wxlogin/internal/probe"
	"wxlogin/internal/server"
)

// migrateTimeout bounds a migration. An index on a table of many millions of rows takes minutes.
const migrateTimeout = time.Hour

// migrate migrates the database to this server's version.
func migrate(ctx context.Context, environ []string, stdout, stderr io.Writer) int {
	c, err := config.LoadMigrate(environ)
	if err != nil {
		return misconfigured(stderr, environ, err)
	}
	ctx, cancel := context.WithTimeout(ctx, migrateTimeout)
	defer cancel()
	logger := c.Log.NewLogger(stderr)
	config.WarnUnknownVariables(ctx, environ, logger)
	done, err := server.Migrate(ctx, c, logger)
	if err != nil {
		return fail(stderr, err)
	}
	if done.From == done.To {
		fmt.Fprintf(stdout, "database is already at version %d\n", done.To)
		return exitOK
	}
	fmt.Fprintf(stdout, "database migrated from version %d to version %d\n", done.From, done.To)
	return exitOK
}

const sweepUsage = `Usage: wxlogin sweep [-dry-run]

Deletes uploaded pictures that no user has and that are older than a day: those of interrupted uploads, replaced pictures
and deleted rows. Safe to run at any time, also while servers run; once a day is enough.

Environment variables: MYSQL_DSN, MYSQL_TLS_…_FILE, and AVATAR_DIR with PUBLIC_URL or the AVATAR_S3 variables, as for the
server.

Flags:
`

// sweep deletes the pictures that no user has.
func sweep(ctx context.Context, args, environ []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("wxlogin sweep", flag.ContinueOnError)
	dryRun := flags.Bool("dry-run", false, "count the pictures, but delete nothing")
	if code, ok := parseFlags(flags, args, sweepUsage, stdout, stderr); !ok {
		return code
	}
	c, err := config.LoadSweep(environ)
	if err != nil {
		return misconfigured(stderr, environ, err)
	}
	swept, err := server.Sweep(ctx, c, *dryRun, c.Log.NewLogger(stderr))
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

// healthcheck checks that the server on this machine is ready. It is the health check of containers.
func healthcheck(ctx context.Context, environ []string, stdout, stderr io.Writer) int {
	c, err := config.LoadHealth(environ)
	if err != nil {
		return misconfigured(stderr, environ, err)
	}
	if err := probe.Get(ctx, c.InternalAddr, "/readyz"); err != nil {
		return fail(stderr, fmt.Errorf("not ready: %w", err))
	}
	fmt.Fprintln(stdout, "ready")
	return exitOK
}
