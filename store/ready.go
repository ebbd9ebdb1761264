package store

import (
	"context"
	"errors"
)

// Ready reports whether logins can be served: nil where the database answers and has the tables of schema.sql with the
// columns that this package reads. Errors: ErrUnavailable, context.Canceled; anything else mostly says that the schema
// was not applied.
func (d *DB) Ready(ctx context.Context) error {
	_, err := one(d.gorm.WithContext(ctx), selectByIdentity, "", "") // nobody's identity, so one look into an index
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	return d.fault(ctx, "ready", err)
}
