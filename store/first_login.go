package store

import (
	"context"
	"errors"
)

// firstLogin is for an identity that is not there yet: it joins the user who holds the UnionID, or makes a new one.
// Where another login inserts the same identity or UnionID first, the keys of the tables refuse the second, and the
// login starts over with errAgain.
func (u *Users) firstLogin(ctx context.Context, id Identity) (userRow, visit, error) {
	if id.UnionID != "" {
		holder, err := u.byUnionID(ctx, id.UnionID)
		if err == nil {
			return u.join(ctx, holder, id)
		}
		if !errors.Is(err, ErrNotFound) {
			return userRow{}, visit{}, err
		}
	}
	row, err := u.db.signUps.insert(ctx, id)
	return row, visit{at: row.CreatedAt, newUser: err == nil, active: err == nil}, err
}

// join gives an existing user one more identity. The user is locked meanwhile, so that no merge leaves the identity with a
// user who is gone.
func (u *Users) join(ctx context.Context, holder userRow, id Identity) (userRow, visit, error) {
	err := u.db.transaction(ctx, func(tx direct) (err error) {
		holder, err = tx.one(ctx, selectForUpdate, holder.ID)
		if errors.Is(err, ErrNotFound) || err == nil && deref(holder.UnionID) != id.UnionID {
			return errAgain
		}
		if err != nil {
			return err
		}
		_, err = tx.insert(ctx, insertIdentities, id.AppID, id.OpenID, holder.ID, u.db.now())
		return err
	})
	if err != nil {
		return userRow{}, visit{}, err
	}
	return u.recordLogin(ctx, holder)
}
