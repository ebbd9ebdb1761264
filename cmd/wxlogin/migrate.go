package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"wxlogin"
	"wxlogin/internal/app"
	"wxlogin/store"
)

// migrateTimeout bounds the whole migration.
const migrateTimeout = 5 * time.Minute

// migrate applies schema.sql. It may be run again at any time: what is there stays as it is.
func migrate(ctx context.Context, environ []string, stdout, stderr io.Writer) int {
	config, err := app.LoadMigrateConfig(environ)
	if err != nil {
		return misconfigured(stderr, err)
	}
	db, err := store.Open(config.MySQLDSN, store.Options{Logger: app.NewLogger(config.Log, stderr)})
	if err != nil {
		return fail(stderr, err)
	}
	defer db.Close()
	ctx, cancel := context.WithTimeout(ctx, migrateTimeout)
	defer cancel()
	if err := db.Migrate(ctx, wxlogin.Schema); err != nil {
		return fail(stderr, err)
	}
	fmt.Fprintln(stdout, "schema.sql is applied")
	return exitOK
}
