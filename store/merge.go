package store

import (
	"context"
	"errors"
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
