package store

import (
	"context"
	"database/sql"
	"time"
)

// orphan reads the row of an identity whose user is gone. If there is no such row, the result is zero.
func (u *Users) orphan(ctx context.Context, id Identity) (row identityRow, err error) {
	err = u.db.direct.read(ctx, selectOrphan, []any{id.AppID, id.OpenID}, func(rows *sql.Rows) error {
		row.AppID, row.OpenID = id.AppID, id.OpenID
		return rows.Scan(&row.UserID, &row.CreatedAt)
	})
	return row, err
}

// repoint gives an identity to another user, and returns errAgain if its row is not as it was read. created_at changes too: a
// new user may have the number of the missing one, if a restore has set the numbers back.
func (d direct) repoint(ctx context.Context, old identityRow, userID uint64, now time.Time) error {
	return d.updateRows(ctx, 1, updateIdentity, userID, now, old.AppID, old.OpenID, old.UserID, old.CreatedAt)
}
