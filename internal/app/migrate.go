package app

import (
	"context"
	"errors"
	"log/slog"

	"wxlogin"
	"wxlogin/store"
)

// Migrate applies schema.sql to the database of a DSN. It may be run again at any time: what is there stays as it is.
func Migrate(ctx context.Context, dsn string, logger *slog.Logger) error {
	db, err := store.Open(dsn, store.Options{Logger: logger})
	if err != nil {
		return err
	}
	return errors.Join(db.Migrate(ctx, wxlogin.Schema), db.Close())
}
