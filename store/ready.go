package store

import (
	"context"
	"errors"
)

// Ready reports whether logins can be served: nil where the database answers, is of SchemaVersion or later, and has the
// tables with the columns that this package reads. Errors: ErrSchema, ErrUnavailable, context.Canceled; anything else
// mostly says that the tables were changed by hand.
func (d *DB) Ready(ctx context.Context) error {
	if err := d.checkVersion(ctx); err != nil {
		return d.fault(ctx, "ready", err)
	}
	_, err := d.direct.one(ctx, selectByIdentity, "", "") // nobody's identity, so one look into an index
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	return d.fault(ctx, "ready", err)
}
