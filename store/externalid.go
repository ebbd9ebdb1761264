package store

import (
	"context"
	"errors"
)

var (
	// ErrExternalID says that an external id is not 1 to MaxExternalID printable ASCII characters.
	ErrExternalID = errors.New("store: malformed external id")

	// ErrTaken says that another user has the external id.
	ErrTaken = errors.New("store: another user has this external id")
)

// ValidExternalID reports whether id may be the external id of a user: 1 to MaxExternalID printable ASCII characters.
func ValidExternalID(id string) bool { return id != "" && isPrintable(id, MaxExternalID) }

// SetExternalID gives a user an external id, or takes it away if id is "", and returns the user after that. user_changes
// gets a row if that changes anything.
//
// Errors: ErrNotFound, also if the user was merged or erased; ErrExternalID, ErrTaken, ErrUnavailable, context.Canceled; any
// other error is a defect of the installation.
func (u *Users) SetExternalID(ctx context.Context, userID uint64, id string, c Cause) (User, error) {
	if id != "" && !ValidExternalID(id) {
		return User{}, ErrExternalID
	}
	var row userRow
	err := u.inTransaction(ctx, "set external id", func(tx queries) (err error) {
		if row, err = tx.lockUser(ctx, userID); err != nil {
			return err
		}
		if row.Status == StatusMerged || row.Status == StatusErased {
			return ErrNotFound
		}
		if deref(row.ExternalID) == id {
			return nil
		}
		return u.setExternalIDLocked(ctx, tx, &row, id, c)
	})
	return row.user(), err
}

// setExternalIDLocked writes an external id, or NULL for "", while the row is locked.
func (u *Users) setExternalIDLocked(ctx context.Context, tx queries, row *userRow, id string, c Cause) error {
	if err := tx.releaseExternalID(ctx, row.ID, id); err != nil {
		return err
	}
	now := u.db.now()
	row.ExternalID, row.UpdatedAt = nonEmpty(id), now
	err := tx.gorm(ctx).Model(&userRow{}).Where("id = ?", row.ID).
		UpdateColumns(map[string]any{"external_id": row.ExternalID, "updated_at": now}).Error
	if err != nil {
		return err
	}
	return tx.record(ctx, newChange(changeExternalID, row.ID, c, now))
}

// releaseExternalID returns ErrTaken if another user has an external id. A user that was merged into this one gives it up.
func (q queries) releaseExternalID(ctx context.Context, userID uint64, id string) error {
	holder, survivor, err := q.externalIDHolder(ctx, id)
	if err != nil || holder == 0 {
		return err
	}
	if survivor != userID {
		return ErrTaken
	}
	return q.gorm(ctx).Model(&userRow{}).Where("id = ?", holder).UpdateColumn("external_id", nil).Error
}

// externalIDHolder returns the user that has an external id, and the user that it stands for: itself, or its survivor. Both
// are 0 if the external id is "" or if no user has it.
func (q queries) externalIDHolder(ctx context.Context, id string) (holder, survivor uint64, err error) {
	if id == "" {
		return 0, 0, nil
	}
	var holders []userRow
	if err := q.gorm(ctx).Where("external_id = ?", id).Limit(1).Find(&holders).Error; err != nil || len(holders) == 0 {
		return 0, 0, err
	}
	row, err := q.survivorOf(ctx, holders[0])
	return holders[0].ID, row.ID, err
}
