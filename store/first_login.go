package store

import (
	"context"
	"errors"
)

// firstLogin is for an identity that has no user yet: it joins the user who holds the UnionID, or gets a new one. old is the
// identity's row, if there is one: its user was deleted.
//
// If another login inserts the same identity or UnionID first, the keys of the tables refuse the second, and the login starts
// over with errAgain. The same goes for a row that another login has given a user.
func (u *Users) firstLogin(ctx context.Context, id Identity, old identityRow) (row userRow, v visit, err error) {
	holder, err := u.holderOf(ctx, id.UnionID)
	switch {
	case err == nil:
		row, v, err = u.join(ctx, holder, id, old)
	case !errors.Is(err, ErrNotFound):
		return userRow{}, visit{}, err
	default:
		row, err = u.newUser(ctx, id, old)
		v = visit{at: row.CreatedAt, newUser: err == nil, active: err == nil}
	}
	if err == nil && old.UserID != 0 {
		u.db.log.WarnContext(ctx, "store: an identity had no user; gave it one", "user", row.ID, "missing", old.UserID)
	}
	return row, v, err
}

// holderOf returns the user who holds a UnionID, or ErrNotFound, also if it is not known.
func (u *Users) holderOf(ctx context.Context, unionID string) (userRow, error) {
	if unionID == "" {
		return userRow{}, ErrNotFound
	}
	return u.byUnionID(ctx, unionID)
}

// newUser makes a user for an identity. The rare identity that has a row already goes in a transaction of its own.
func (u *Users) newUser(ctx context.Context, id Identity, old identityRow) (row userRow, err error) {
	if old.UserID == 0 {
		return u.db.signUps.insert(ctx, id)
	}
	up := signUp{id: id, at: u.db.now()}
	err = u.db.transaction(ctx, func(tx direct) (err error) {
		if row, err = up.insertUser(ctx, tx); err != nil {
			return err
		}
		return tx.repoint(ctx, old, row.ID, up.at)
	})
	return row, err
}

// join gives an existing user one more identity. The user is locked meanwhile, so that no merge leaves the identity with a
// user who is gone.
func (u *Users) join(ctx context.Context, holder userRow, id Identity, old identityRow) (userRow, visit, error) {
	err := u.db.transaction(ctx, func(tx direct) (err error) {
		holder, err = tx.one(ctx, selectForUpdate, holder.ID)
		if errors.Is(err, ErrNotFound) || err == nil && deref(holder.UnionID) != id.UnionID {
			return errAgain
		}
		if err != nil {
			return err
		}
		if old.UserID != 0 {
			return tx.repoint(ctx, old, holder.ID, u.db.now())
		}
		_, err = tx.insert(ctx, insertIdentities, id.AppID, id.OpenID, holder.ID, u.db.now())
		return err
	})
	if err != nil {
		return userRow{}, visit{}, err
	}
	return u.recordLogin(ctx, holder)
}
