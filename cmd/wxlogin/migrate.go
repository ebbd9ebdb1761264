package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"wxlogin/internal/server"
)

// migrateTimeout bounds the whole migration. An index on a table of many millions of rows takes minutes.
const migrateTimeout = time.Hour

// migrate brings the database up to this server's version.
func migrate(ctx context.Context, environ []string, stdout, stderr io.Writer) int {
	config, err := server.LoadMigrateConfig(environ)
	if err != nil {
		return misconfigured(stderr, environ, err)
	}
	ctx, cancel := context.WithTimeout(ctx, migrateTimeout)
	defer cancel()
	logger := server.NewLogger(config.Log, stderr)
	server.WarnUnknownVariables(ctx, environ, logger)
	done, err := server.Migrate(ctx, config, logger)
	if err != nil {
		return fail(stderr, err)
	}
	if done.From == done.To {
		fmt.Fprintf(stdout, "the database is of version %d already: nothing to do\n", done.To)
		return exitOK
	}
	fmt.Fprintf(stdout, "the database was of version %d and is now of version %d\n", done.From, done.To)
	return exitOK
}
