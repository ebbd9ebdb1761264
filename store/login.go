package store

import (
	"context"
	"errors"
	"time"
)

// loginPrecision is how old users.last_login_at may get before a login writes it again.
const loginPrecision = time.Hour

// Login finds the user with this identity, or creates it. created is true for exactly one call per user: the one that
// inserted it, however many run at once; for none where the connection broke on the answer to that.
//
// A returning login is one indexed read. It writes only where the last login on record is an hour old, or where the
// UnionID is news (see the package documentation). A user who is not active is returned as it is, and no login is recorded:
// refusing it is up to the caller (User.Active).
//
// If the row of an identity's user is gone, deleted by hand or lost in a restore, the login makes a new user for it, or gives
// it to the user who holds the UnionID.
//
// Logins of active users are counted by day, in memory: see RunLoginDays.
//
// Errors: ErrIdentity, ErrUnavailable, context.Canceled; anything else is a fault of the installation.
func (u *Users) Login(ctx context.Context, id Identity) (user User, created bool, err error) {
	if err := id.validate(); err != nil {
		return User{}, false, err
	}
	var row userRow
	var v visit
	again := false
	err = retry(ctx, func() (err error) {
		row, v, err = u.login(ctx, id, again)
		again = true
		return err
	})
	if err != nil {
		return User{}, false, u.db.fault(ctx, "login", err)
	}
	if row.Status == StatusActive {
		u.db.days.count(id.AppID, v)
	}
	return row.user(), v.newUser, nil
}

// login is one attempt. again says that it is not the first: an identity that cannot be found and cannot be inserted either is
// one without a user.
func (u *Users) login(ctx context.Context, id Identity, again bool) (row userRow, v visit, err error) {
	row, err = u.byIdentity(ctx, id.AppID, id.OpenID)
	if errors.Is(err, ErrNotFound) {
		var old identityRow
		if again {
			if old, err = u.orphan(ctx, id); err != nil {
				return userRow{}, visit{}, err
			}
		}
		return u.firstLogin(ctx, id, old)
	}
	if err == nil && id.UnionID != "" && deref(row.UnionID) != id.UnionID {
		row, err = u.learnUnionID(ctx, row, id)
	}
	if err != nil {
		return userRow{}, visit{}, err
	}
	return u.recordLogin(ctx, row)
}

// recordLogin keeps last_login_at within the hour. The condition is repeated in the statement, so that of many logins
// at the same moment one writes; the one that moves it to another day makes the user active on that day.
func (u *Users) recordLogin(ctx context.Context, row userRow) (userRow, visit, error) {
	now := u.db.now()
	if row.Status != StatusActive || !row.loginDue(now) {
		return row, visit{at: now}, nil
	}
	rows, err := u.db.direct.update(ctx, updateLastLogin, now, row.ID, now.Add(-loginPrecision), now.Add(maxClockLead))
	v := visit{at: now, active: rows > 0 && dayOf(row.LastLoginAt) < dayOf(now)}
	row.LastLoginAt = now
	return row, v, err
}
