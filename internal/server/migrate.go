package server

import (
	"context"
	"errors"
	"log/slog"

	"wxlogin/store"
)

// Migrate brings the database of c.MySQLDSN up to the version that this server needs, from any earlier one and from nothing.
// It returns the versions before and after, and may be run again at any time; see store.DB.Migrate. The error is ErrMisconfigured
// if only another MYSQL_DSN, or another account, helps.
func Migrate(ctx context.Context, c MigrateConfig, logger *slog.Logger) (store.Migration, error) {
	db, err := c.TLS.open(c.MySQLDSN, store.Options{Logger: logger})
	if err != nil {
		return store.Migration{}, err
	}
	done, err := db.Migrate(ctx)
	return done, errors.Join(databaseFault(db, err), db.Close())
}
