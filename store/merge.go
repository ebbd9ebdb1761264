package store

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"gorm.io/gorm"
)

// merge makes one user of two who turned out to be one person: row, who has just logged in with the UnionID, and the user
// who holds it. The package documentation has the rules.
func (u *Users) merge(ctx context.Context, rowID, holderID uint64, id Identity) (survivor userRow, err error) {
	var left userRow
	err = u.db.gorm.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		row, holder, err := lockBoth(ctx, u.db.direct.in(tx.Statement.ConnPool), rowID, holderID)
		if err != nil {
			return err
		}
		if row.UnionID != nil || row.Status != StatusActive ||
			holder.Status == StatusMerged || deref(holder.UnionID) != id.UnionID {
			return errAgain
		}
		survivor, left = byAge(row, holder, u.db.now())
		return u.mergeLocked(tx, &survivor, left, id)
	})
	if errors.Is(err, ErrNotFound) {
		return userRow{}, errAgain // deleted by hand since it was read
	}
	if err == nil {
		u.db.log.InfoContext(ctx, "store: merged two users with one unionid", "user", survivor.ID, "merged", left.ID)
	}
	return survivor, err
}

// lockBoth reads two users and keeps others from changing them. All lock in one order, so that nobody waits in a circle.
func lockBoth(ctx context.Context, tx direct, aID, bID uint64) (a, b userRow, err error) {
	if aID > bID {
		b, a, err = lockBoth(ctx, tx, bID, aID)
		return a, b, err
	}
	if a, err = tx.one(ctx, selectForUpdate, aID); err != nil {
		return a, b, err
	}
	b, err = tx.one(ctx, selectForUpdate, bID)
	return a, b, err
}

// byAge returns the user who was there first before the other one. A created_at in the future comes from a clock that was
// wrong: then the numbers alone say it.
func byAge(a, b userRow, now time.Time) (older, younger userRow) {
	d := a.CreatedAt.Compare(b.CreatedAt)
	if a.CreatedAt.After(now) || b.CreatedAt.After(now) {
		d = 0
	}
	if d < 0 || d == 0 && a.ID < b.ID {
		return a, b
	}
	return b, a
}

// mergeLocked writes what a merge changes; the transaction holds both rows. The younger gives its UnionID up before the
// survivor takes it: two rows cannot have the same one.
func (u *Users) mergeLocked(tx *gorm.DB, survivor *userRow, left userRow, id Identity) error {
	now := u.db.now()
	if err := tx.Model(&userRow{}).Where("id = ?", left.ID).UpdateColumns(map[string]any{
		"status": StatusMerged, "merged_into": survivor.ID, "unionid": nil, "updated_at": now,
	}).Error; err != nil {
		return err
	}
	if columns := survivor.takeOver(left, id.UnionID, now); len(columns) > 0 {
		if err := tx.Model(&userRow{}).Where("id = ?", survivor.ID).UpdateColumns(columns).Error; err != nil {
			return err
		}
	}
	if err := tx.Model(&identityRow{}).Where("user_id = ?", left.ID).
		UpdateColumn("user_id", survivor.ID).Error; err != nil {
		return err
	}
	return tx.Create(&mergeRow{
		SurvivorID: survivor.ID, MergedID: left.ID, UnionID: id.UnionID, AppID: id.AppID, MergedAt: now,
	}).Error
}

// takeOver gives a user what it lacks of another one, the UnionID, and the other's status unless that is active, and returns the columns to write
// for it: none where nothing changes.
func (r *userRow) takeOver(other userRow, unionID string, now time.Time) map[string]any {
	columns := r.fillFrom(other, now)
	if r.PhoneNumber == nil && other.PhoneNumber != nil {
		r.PhoneCountryCode, r.PhoneNumber, r.PhoneBoundAt = other.PhoneCountryCode, other.PhoneNumber, other.PhoneBoundAt
		columns["phone_country_code"], columns["phone_number"] = r.PhoneCountryCode, r.PhoneNumber
		columns["phone_bound_at"] = r.PhoneBoundAt
	}
	if deref(r.UnionID) != unionID {
		r.UnionID = &unionID
		columns["unionid"] = unionID
	}
	if other.Status != StatusActive && r.Status == StatusActive {
		r.Status = other.Status
		columns["status"] = other.Status
	}
	if len(columns) > 0 {
		r.UpdatedAt = now
		columns["updated_at"] = now
	}
	return columns
}

// fillFrom gives a user what it lacks of another one's profile, and returns the columns to write for it.
func (r *userRow) fillFrom(other userRow, now time.Time) map[string]any {
	old := r.profile()
	filled := old.filledFrom(other.profile())
	if (filled.NickName != old.NickName || filled.AvatarURL != old.AvatarURL) && other.ProfileSource == SourceUser {
		filled.Source = SourceUser // one of the two was typed now
	}
	columns := map[string]any{}
	for i, value := range old.changes(filled) {
		if value != nil {
			columns[profileColumns[i]] = value
		}
	}
	if len(columns) == 0 {
		return columns
	}
	r.setProfile(filled, r.changedAt(now))
	if r.ProfileAsOf == nil {
		r.ProfileAsOf = other.ProfileAsOf
	}
	columns["profile_as_of"] = r.ProfileAsOf
	columns["profile_updated_at"] = r.ProfileUpdatedAt
	return columns
}

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
