package app

import (
	"context"
	"errors"
	"log/slog"

	"wxlogin/store"
)

// Migrate brings the database of a DSN up to the version that this server needs, from any earlier one and from nothing.
// It tells the versions before and after, and may be run again at any time; see store.DB.Migrate.
func Migrate(ctx context.Context, dsn string, logger *slog.Logger) (store.Migration, error) {
	db, err := store.Open(dsn, store.Options{Logger: logger})
	if err != nil {
		return store.Migration{}, err
	}
	done, err := db.Migrate(ctx)
	return done, errors.Join(err, db.Close())
}
