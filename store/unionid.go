package store

import (
	"context"
	"errors"
	"time"

	"gorm.io/gorm"
)

// learnUnionID deals with a UnionID that is not the one on record for a user that has logged in before.
func (u *Users) learnUnionID(ctx context.Context, row userRow, unionID string) (userRow, error) {
	if row.UnionID != nil {
		// Both cannot be this person's. Following the new one could hand somebody else's account over; staying is safe.
		u.db.log.WarnContext(ctx, "store: WeChat gave another unionid than the one on record; kept the latter", "user", row.ID)
		return row, nil
	}
	if row.Status == StatusMerged {
		return row, nil // only a hand edit leads here: merging moves the identities away
	}
	holder, err := u.byUnionID(ctx, unionID)
	switch {
	case errors.Is(err, ErrNotFound):
		return u.setUnionID(ctx, row, unionID)
	case err != nil:
		return userRow{}, err
	case holder.ID == row.ID:
		return holder, nil // another login has just set it
	case row.Status == StatusDisabled:
		return row, nil // merging would let a blocked person in again
	}
	return u.merge(ctx, row.ID, holder.ID, unionID)
}

func (u *Users) setUnionID(ctx context.Context, row userRow, unionID string) (userRow, error) {
	now := u.db.now()
	result := u.db.gorm.WithContext(ctx).Model(&userRow{}).
		Where("id = ? AND unionid IS NULL AND status <> ?", row.ID, StatusMerged).
		UpdateColumns(map[string]any{"unionid": unionID, "updated_at": now})
	if duplicate(result.Error) || result.Error == nil && result.RowsAffected == 0 {
		return userRow{}, errAgain
	}
	row.UnionID, row.UpdatedAt = &unionID, now
	return row, result.Error
}

// merge makes one user of two who turned out to be one person. The one who holds the UnionID survives: it gets the
// other's identities, and the parts of the profile that it lacks. The other stays as a row of status merged.
func (u *Users) merge(ctx context.Context, leftID, survivorID uint64, unionID string) (survivor userRow, err error) {
	err = u.db.gorm.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		left, err := one(tx, selectForUpdate, leftID)
		if err != nil {
			return err
		}
		survivor, err = one(tx, selectForUpdate, survivorID)
		if err != nil {
			return err
		}
		if left.UnionID != nil || left.Status != StatusActive || deref(survivor.UnionID) != unionID {
			return errAgain
		}
		return u.mergeLocked(tx, left, &survivor)
	})
	if errors.Is(err, ErrNotFound) {
		return userRow{}, errAgain // deleted by hand since it was read
	}
	if err == nil {
		u.db.log.InfoContext(ctx, "store: merged two users with one unionid", "user", survivorID, "merged", leftID)
	}
	return survivor, err
}

// mergeLocked writes what a merge changes; the transaction holds both rows.
func (u *Users) mergeLocked(tx *gorm.DB, left userRow, survivor *userRow) error {
	now := u.db.now()
	if err := tx.Model(&identityRow{}).Where("user_id = ?", left.ID).
		UpdateColumn("user_id", survivor.ID).Error; err != nil {
		return err
	}
	if err := tx.Model(&userRow{}).Where("id = ?", left.ID).
		UpdateColumns(map[string]any{"status": StatusMerged, "merged_into": survivor.ID, "updated_at": now}).Error; err != nil {
		return err
	}
	columns := survivor.fillFrom(left, now)
	if len(columns) == 0 {
		return nil
	}
	return tx.Model(&userRow{}).Where("id = ?", survivor.ID).UpdateColumns(columns).Error
}

// fillFrom gives a user what it lacks of another one's profile, and returns the columns to write for it.
func (r *userRow) fillFrom(other userRow, now time.Time) map[string]any {
	old := r.profile()
	filled := old.filledFrom(other.profile())
	columns := old.changes(filled)
	if len(columns) == 0 {
		return nil
	}
	r.setProfile(filled, now)
	if r.ProfileAsOf == nil {
		r.ProfileAsOf = other.ProfileAsOf
	}
	columns["profile_as_of"] = r.ProfileAsOf
	columns["profile_updated_at"] = now
	columns["updated_at"] = now
	return columns
}
