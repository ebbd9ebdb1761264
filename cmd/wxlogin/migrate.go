package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"wxlogin/internal/app"
)

// migrateTimeout bounds the whole migration.
const migrateTimeout = 5 * time.Minute

// migrate applies schema.sql.
func migrate(ctx context.Context, environ []string, stdout, stderr io.Writer) int {
	config, err := app.LoadMigrateConfig(environ)
	if err != nil {
		return misconfigured(stderr, err)
	}
	ctx, cancel := context.WithTimeout(ctx, migrateTimeout)
	defer cancel()
	if err := app.Migrate(ctx, config.MySQLDSN, app.NewLogger(config.Log, stderr)); err != nil {
		return fail(stderr, err)
	}
	fmt.Fprintln(stdout, "schema.sql is applied")
	return exitOK
}
