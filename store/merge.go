package store

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"
)

// attachUnionID handles a UnionID that is not the one on record of a user that has logged in before. It must come from
// WeChat's response to a login: data from the client has no MAC, and a forged unionid would hand over another user's
// account.
func (u *Users) attachUnionID(ctx context.Context, row userRow, id Identity) (userRow, error) {
	if row.UnionID != nil {
		// Only one of the two can be right. Following the new one could hand over another user's account; keeping is
		// safe.
		u.db.unionIDs.record(ctx, id.AppID, row.ID, u.db.now())
		return row, nil
	}
	if row.Status != StatusActive && row.Status != StatusDisabled {
		return row, nil // an identity of a merged user, by a manual edit, or a status that this version does not know
	}
	holder, err := u.byUnionID(ctx, id.UnionID)
	switch {
	case errors.Is(err, ErrNotFound):
		return u.setUnionID(ctx, row, id.UnionID)
	case err != nil:
		return userRow{}, err
	case holder.ID == row.ID:
		return holder, nil // a concurrent login has set it
	case row.Status == StatusDisabled:
		return row, nil // a merge would let a disabled user in again
	case holder.Status == StatusMerged:
		return row, nil // a manual edit: there is no user to merge with
	}
	return u.merge(ctx, row.ID, holder.ID, id)
}

func (u *Users) setUnionID(ctx context.Context, row userRow, unionID string) (userRow, error) {
	now := u.db.now()
	err := mustAffect(u.db.queries.gorm(ctx).Model(&userRow{}).
		Where("id = ? AND unionid IS NULL AND status = ?", row.ID, row.Status).
		UpdateColumns(map[string]any{"unionid": unionID, "updated_at": now}))
	if isDuplicateKey(err) {
		err = errConflict
	}
	if err != nil {
		return userRow{}, err
	}
	row.UnionID, row.UpdatedAt = &unionID, now
	return row, nil
}

// merge merges two users who turned out to be one person: the user that has just logged in with the UnionID, and the
// holder of that UnionID. The package documentation has the rules.
func (u *Users) merge(ctx context.Context, rowID, holderID uint64, id Identity) (survivor userRow, err error) {
	var loser userRow
	err = u.db.transaction(ctx, func(tx queries) error {
		row, holder, err := lockPair(ctx, tx, rowID, holderID)
		if err != nil {
			return err
		}
		if row.UnionID != nil || row.Status != StatusActive ||
			holder.Status == StatusMerged || deref(holder.UnionID) != id.UnionID {
			return errConflict
		}
		survivor, loser = olderFirst(row, holder, u.db.now())
		return u.mergeLocked(ctx, tx, &survivor, loser, id)
	})
	if errors.Is(err, ErrNotFound) {
		return userRow{}, errConflict // deleted by hand since it was read
	}
	if err == nil {
		u.db.log.InfoContext(ctx, "store: merged two users with one unionid", "user", survivor.ID, "merged", loser.ID)
	}
	return survivor, err
}

// lockPair locks two users. All callers lock in the order of ids, which avoids deadlocks.
func lockPair(ctx context.Context, tx queries, aID, bID uint64) (a, b userRow, err error) {
	if aID > bID {
		b, a, err = lockPair(ctx, tx, bID, aID)
		return a, b, err
	}
	if a, err = tx.lockUser(ctx, aID); err != nil {
		return a, b, err
	}
	b, err = tx.lockUser(ctx, bID)
	return a, b, err
}

// olderFirst orders two users by created_at, then by id. If a created_at is in the future, a clock was wrong, and only
// the ids count.
func olderFirst(a, b userRow, now time.Time) (older, younger userRow) {
	d := a.CreatedAt.Compare(b.CreatedAt)
	if a.CreatedAt.After(now) || b.CreatedAt.After(now) {
		d = 0
	}
	if d < 0 || d == 0 && a.ID < b.ID {
		return a, b
	}
	return b, a
}

// mergeLocked writes a merge while the transaction holds both rows. The loser gives up its UnionID before the survivor
// gets it, because the column is unique. So it does with its external id if the survivor has none; otherwise the loser keeps
// it, and who looks for it finds the survivor.
func (u *Users) mergeLocked(ctx context.Context, tx queries, survivor *userRow, loser userRow, id Identity) error {
	now, orm := u.db.now(), tx.gorm(ctx)
	lost := map[string]any{"status": StatusMerged, "merged_into": survivor.ID, "unionid": nil, "updated_at": now}
	if survivor.ExternalID == nil {
		lost["external_id"] = nil
	}
	if err := orm.Model(&userRow{}).Where("id = ?", loser.ID).UpdateColumns(lost).Error; err != nil {
		return err
	}
	if columns := survivor.absorb(loser, id.UnionID, now); len(columns) > 0 {
		if err := orm.Model(&userRow{}).Where("id = ?", survivor.ID).UpdateColumns(columns).Error; err != nil {
			return err
		}
	}
	if err := orm.Model(&identityRow{}).Where("user_id = ?", loser.ID).
		UpdateColumn("user_id", survivor.ID).Error; err != nil {
		return err
	}
	err := orm.Create(&mergeRow{
		SurvivorID: survivor.ID, MergedID: loser.ID, UnionID: &id.UnionID, AppID: &id.AppID, MergedAt: now,
	}).Error
	if err != nil {
		return err
	}
	change := newChange(changeMerged, loser.ID, Cause{}, now)
	change.SurvivorID = &survivor.ID
	return tx.record(ctx, change)
}

// mergeRow is a row of user_merges.
type mergeRow struct {
	ID         uint64 `gorm:"primaryKey;autoIncrement"`
	SurvivorID uint64
	MergedID   uint64
	UnionID    *string `gorm:"column:unionid"` // NULL = the person was erased
	AppID      *string `gorm:"column:appid"`
	MergedAt   time.Time
}

// TableName implements GORM's Tabler.
func (mergeRow) TableName() string { return "user_merges" }

// absorb gives the survivor the UnionID, what it lacks of the loser, and the loser's status unless that is active. It
// returns the columns to write; none if nothing changes.
func (r *userRow) absorb(loser userRow, unionID string, now time.Time) map[string]any {
	columns := r.absorbProfile(loser, now)
	if r.PhoneNumber == nil && loser.PhoneNumber != nil {
		r.PhoneCountryCode, r.PhoneNumber, r.PhoneBoundAt = loser.PhoneCountryCode, loser.PhoneNumber, loser.PhoneBoundAt
		columns["phone_country_code"], columns["phone_number"] = r.PhoneCountryCode, r.PhoneNumber
		columns["phone_bound_at"] = r.PhoneBoundAt
	}
	if deref(r.UnionID) != unionID {
		r.UnionID = &unionID
		columns["unionid"] = unionID
	}
	if r.ExternalID == nil && loser.ExternalID != nil {
		r.ExternalID = loser.ExternalID
		columns["external_id"] = r.ExternalID
	}
	if seen := loser.lastSeen(); seen.After(r.lastSeen()) {
		r.LastSeenAt = &seen
		columns["last_seen_at"] = seen
	}
	if loser.Status != StatusActive && r.Status == StatusActive {
		r.Status = loser.Status
		columns["status"] = loser.Status
	}
	if len(columns) > 0 {
		r.UpdatedAt = now
		columns["updated_at"] = now
	}
	return columns
}

// absorbProfile fills empty fields of the survivor's profile from the loser's, and returns the columns to write.
func (r *userRow) absorbProfile(loser userRow, now time.Time) map[string]any {
	old := r.profile()
	filled := old.withMissingFrom(loser.profile())
	if (filled.NickName != old.NickName || filled.AvatarURL != old.AvatarURL) && loser.ProfileSource == SourceUser {
		filled.Source = SourceUser // one of the two is from the user now
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
		r.ProfileAsOf = loser.ProfileAsOf
	}
	if filled.NickName != old.NickName {
		r.NickNameAsOf = loser.nickNameAsOf()
		columns["nickname_as_of"] = r.NickNameAsOf
	}
	if filled.AvatarURL != old.AvatarURL {
		r.AvatarAsOf = loser.avatarAsOf()
		columns["avatar_as_of"] = r.AvatarAsOf
	}
	columns["profile_as_of"] = r.ProfileAsOf
	columns["profile_updated_at"] = r.ProfileUpdatedAt
	return columns
}

// unionIDWarningInterval is the minimum time between two warnings about one app. If the app has moved to another Open
// Platform account, every login of every user has a conflict.
const unionIDWarningInterval = time.Hour

// unionIDConflicts counts logins with another unionid than the one on record, by app.
type unionIDConflicts struct {
	log *slog.Logger

	mu   sync.Mutex
	apps map[string]*appConflicts
}

type appConflicts struct {
	logins   uint64
	warnedAt time.Time
}

// record counts a login, and logs a warning unless there was one about the app within unionIDWarningInterval.
func (c *unionIDConflicts) record(ctx context.Context, appID string, userID uint64, now time.Time) {
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
	if app.logins == 1 || now.Sub(app.warnedAt) >= unionIDWarningInterval {
		app.warnedAt = now
		c.log.WarnContext(ctx, "store: WeChat sent another unionid than the one on record; keeping the one on record",
			"user", userID, "appid", appID, "logins", app.logins)
	}
}

// UnionIDConflicts returns the number of logins to an app, since Open, with another unionid than the one on record.
func (d *DB) UnionIDConflicts(appID string) uint64 {
	d.unionIDs.mu.Lock()
	defer d.unionIDs.mu.Unlock()
	if app := d.unionIDs.apps[appID]; app != nil {
		return app.logins
	}
	return 0
}
