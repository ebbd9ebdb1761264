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
// UnionID is news (see the package documentation). A disabled user is returned as it is, and no login is recorded:
// whether it may go on is the caller's decision.
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
	err = retry(ctx, func() (err error) {
		row, v, err = u.login(ctx, id)
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

func (u *Users) login(ctx context.Context, id Identity) (row userRow, v visit, err error) {
	row, err = u.byIdentity(ctx, id.AppID, id.OpenID)
	if errors.Is(err, ErrNotFound) {
		return u.firstLogin(ctx, id)
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
