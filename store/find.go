package store

import "context"

// Find returns the user with this identity as the database has it.
//
// Errors: ErrNotFound, ErrIdentity, ErrUnavailable, context.Canceled; anything else is a fault of the installation.
func (u *Users) Find(ctx context.Context, appID, openID string) (User, error) {
	if err := (Identity{AppID: appID, OpenID: openID}).validate(); err != nil {
		return User{}, err
	}
	var row userRow
	err := retry(ctx, func() (err error) {
		row, err = u.byIdentity(ctx, appID, openID)
		return err
	})
	if err != nil {
		return User{}, u.db.fault(ctx, "find", err)
	}
	return row.user(), nil
}
