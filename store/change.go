package store

import "context"

// optimisticAttempts is how often a change is tried without a lock in the database.
const optimisticAttempts = 3

// rowChange changes the row of an active user, and returns it as it then stands. It writes with w, on the condition that the
// row is as it was read, and returns errAgain if it is not. It may be called several times.
type rowChange func(ctx context.Context, w *profileWrites, row userRow) (userRow, error)

// changeUser has the row of the user with this identity changed. A user who is not active is returned unchanged.
//
// Changes of one identity run one after another in this process: they could only fail against each other. Against those of
// other servers, a change is read and written without a transaction at first, and after a few conflicts under a lock of the
// row, for which the database lets everybody queue. So conflicts end, however many servers write.
func (u *Users) changeUser(ctx context.Context, id identity, change rowChange) (row userRow, err error) {
	if err := u.db.userLocks.lock(ctx, id); err != nil {
		return userRow{}, err
	}
	defer u.db.userLocks.unlock(id)
	attempts := 0
	err = retry(ctx, func() (err error) {
		if row, err = u.byIdentity(ctx, id.appID, id.openID); err != nil || row.Status != StatusActive {
			return err
		}
		if attempts++; attempts <= optimisticAttempts {
			row, err = change(ctx, u.db.profiles, row)
		} else {
			row, err = u.changeLocked(ctx, row.ID, change)
		}
		return err
	})
	return row, err
}

// changeLocked is a change in a transaction that keeps others from the row. It returns errAgain if the user is not active any
// more: a merge may have given the identity to another one.
func (u *Users) changeLocked(ctx context.Context, id uint64, change rowChange) (row userRow, err error) {
	err = u.db.transaction(ctx, func(tx direct) (err error) {
		if row, err = tx.one(ctx, selectForUpdate, id); err != nil {
			return err
		}
		if row.Status != StatusActive {
			return errAgain
		}
		row, err = change(ctx, &profileWrites{direct: tx}, row)
		return err
	})
	return row, err
}
