package store

import (
	"context"
	"errors"

	"gorm.io/gorm"
)

// firstLogin is for an identity that is not there yet: it joins the user who holds the UnionID, or makes a new one.
// Where another login inserts the same identity or UnionID first, the keys of the tables refuse the second, and the
// login starts over with errAgain.
func (u *Users) firstLogin(ctx context.Context, id Identity) (userRow, bool, error) {
	if id.UnionID != "" {
		holder, err := u.byUnionID(ctx, id.UnionID)
		if err == nil {
			row, err := u.join(ctx, holder, id)
			return row, false, err
		}
		if !errors.Is(err, ErrNotFound) {
			return userRow{}, false, err
		}
	}
	row, err := u.insert(ctx, id)
	return row, err == nil, err
}

// join gives an existing user one more identity. The user is locked meanwhile, so that no merge leaves the identity with a
// user who is gone.
func (u *Users) join(ctx context.Context, holder userRow, id Identity) (userRow, error) {
	err := u.db.gorm.WithContext(ctx).Transaction(func(tx *gorm.DB) (err error) {
		holder, err = one(tx, selectForUpdate, holder.ID)
		if errors.Is(err, ErrNotFound) || err == nil && deref(holder.UnionID) != id.UnionID {
			return errAgain
		}
		if err != nil {
			return err
		}
		return tx.Create(&identityRow{AppID: id.AppID, OpenID: id.OpenID, UserID: holder.ID, CreatedAt: u.db.now()}).Error
	})
	if duplicate(err) {
		return userRow{}, errAgain
	}
	if err != nil {
		return userRow{}, err
	}
	return u.recordLogin(ctx, holder)
}

// insert makes a new user with its identity: both rows or none.
func (u *Users) insert(ctx context.Context, id Identity) (userRow, error) {
	now := u.db.now()
	row := userRow{Status: StatusActive, CreatedAt: now, UpdatedAt: now, LastLoginAt: now}
	if id.UnionID != "" {
		row.UnionID = &id.UnionID
	}
	err := u.db.gorm.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		if err := tx.Create(&row).Error; err != nil {
			return err
		}
		return tx.Create(&identityRow{AppID: id.AppID, OpenID: id.OpenID, UserID: row.ID, CreatedAt: now}).Error
	})
	if duplicate(err) {
		return userRow{}, errAgain
	}
	return row, err
}
