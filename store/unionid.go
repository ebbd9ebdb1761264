package store

import (
	"context"
	"errors"
)

// learnUnionID deals with a UnionID that is not the one on record for a user that has logged in before. It comes from
// WeChat's answer to a login, and from nowhere else: data that the client brings has no MAC, and a forged unionid would
// hand somebody else's account over.
func (u *Users) learnUnionID(ctx context.Context, row userRow, id Identity) (userRow, error) {
	if row.UnionID != nil {
		// Both cannot be this person's. Following the new one could hand somebody else's account over; staying is safe.
		u.db.log.WarnContext(ctx, "store: WeChat gave another unionid than the one on record; kept the latter", "user", row.ID)
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
