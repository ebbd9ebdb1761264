package store

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"
)

// unionIDWarningInterval is the least time between two warnings about unionids of one app: after a move of the app to another Open
// Platform account, each login of all its users brings another one than the one on record.
const unionIDWarningInterval = time.Hour

// unionIDConflicts are the logins at which WeChat gave another unionid than the one on record.
type unionIDConflicts struct {
	log *slog.Logger

	mu   sync.Mutex
	apps map[string]*appConflicts
}

type appConflicts struct {
	logins uint64
	warned time.Time
}

// conflict counts a login, and logs it unless the app was in the log a short time ago.
func (c *unionIDConflicts) conflict(ctx context.Context, appID string, userID uint64, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	app := c.apps[appID]
	if app == nil {
		app = &appConflicts{}
		if c.apps == nil {
			c.apps = map[string]*appConflicts{}
		}
		c.apps[appID] = app
	}
	app.logins++
	if app.logins == 1 || now.Sub(app.warned) >= unionIDWarningInterval {
		app.warned = now
		c.log.WarnContext(ctx, "store: WeChat gave another unionid than the one on record; kept the latter",
			"user", userID, "appid", appID, "logins", app.logins)
	}
}

// UnionIDConflicts is the number of logins to an app, since Open, at which WeChat gave another unionid than the one on record.
func (d *DB) UnionIDConflicts(appID string) uint64 {
	d.unionIDs.mu.Lock()
	defer d.unionIDs.mu.Unlock()
	if app := d.unionIDs.apps[appID]; app != nil {
		return app.logins
	}
	return 0
}

// learnUnionID deals with a UnionID that is not the one on record for a user that has logged in before. It comes from
// WeChat's answer to a login, and from nowhere else: data that the client brings has no MAC, and a forged unionid would
// hand somebody else's account over.
func (u *Users) learnUnionID(ctx context.Context, row userRow, id Identity) (userRow, error) {
	if row.UnionID != nil {
		// Both cannot be this person's. Following the new one could hand somebody else's account over; staying is safe.
		u.db.unionIDs.conflict(ctx, id.AppID, row.ID, u.db.now())
		return row, nil
	}
	if row.Status != StatusActive && row.Status != StatusDisabled {
		return row, nil // an identity of a merged user, by a hand edit, or a status that this version does not know
	}
	holder, err := u.byUnionID(ctx, id.UnionID)
	switch {
	case errors.Is(err, ErrNotFound):
		return u.setUnionID(ctx, row, id.UnionID)
	case err != nil:
		return userRow{}, err
	case holder.ID == row.ID:
		return holder, nil // another login has just set it
	case row.Status == StatusDisabled:
		return row, nil // merging would let a blocked person in again
	case holder.Status == StatusMerged:
		return row, nil // a hand edit: there is nothing left to merge with
	}
	return u.merge(ctx, row.ID, holder.ID, id)
}

func (u *Users) setUnionID(ctx context.Context, row userRow, unionID string) (userRow, error) {
	now := u.db.now()
	result := u.db.gorm.WithContext(ctx).Model(&userRow{}).
		Where("id = ? AND unionid IS NULL AND status = ?", row.ID, row.Status).
		UpdateColumns(map[string]any{"unionid": unionID, "updated_at": now})
	if duplicate(result.Error) || result.Error == nil && result.RowsAffected == 0 {
		return userRow{}, errAgain
	}
	row.UnionID, row.UpdatedAt = &unionID, now
	return row, result.Error
}
