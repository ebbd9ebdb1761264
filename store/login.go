package store

import (
	"context"
	"database/sql"
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

// signUp is a first login that nobody's unionid helps with.
type signUp struct {
	id Identity
	at time.Time
}

// signUps makes new users with their identities; those who come at the same time in one transaction.
type signUps struct {
	db     *DB
	shared *together[signUp, userRow]
}

func newSignUps(d *DB, now func() time.Time) *signUps {
	s := &signUps{db: d}
	s.shared = &together[signUp, userRow]{alone: s.one, many: s.several, fits: nobodyTwice, now: now}
	return s
}

// insert makes a new user: both rows or none. It returns errAgain where somebody else has made it, or gave the unionid to
// another one, in the meantime.
func (s *signUps) insert(ctx context.Context, id Identity) (userRow, error) {
	return s.shared.do(ctx, signUp{id: id, at: s.db.now()})
}

func (s *signUps) one(ctx context.Context, up signUp) (userRow, error) {
	rows, err := s.insertAll(ctx, []signUp{up})
	return rows[0], err
}

func (s *signUps) several(ctx context.Context, calls []*call[signUp, userRow]) error {
	rows, err := s.insertAll(ctx, filled(calls, len(calls)))
	for i, c := range calls {
		c.answer = rows[i]
	}
	return err
}

// nobodyTwice keeps logins apart of which the tables take only one.
func nobodyTwice(calls []*call[signUp, userRow], up signUp) bool {
	for _, c := range calls {
		id := c.asked.id
		if id.AppID == up.id.AppID && id.OpenID == up.id.OpenID || id.UnionID != "" && id.UnionID == up.id.UnionID {
			return false
		}
	}
	return true
}

// insertAll makes users with their identities, all or none. Each user is a statement of its own: only then is it certain
// which number the server gave whom.
func (s *signUps) insertAll(ctx context.Context, ups []signUp) ([]userRow, error) {
	rows := make([]userRow, len(ups))
	err := s.db.transaction(ctx, func(tx direct) (err error) {
		for i, up := range ups {
			if rows[i], err = up.insertUser(ctx, tx); err != nil {
				return err
			}
		}
		_, err = tx.insert(ctx, insertIdentities+query(len(ups)-1), identityArgs(ups, rows)...)
		return err
	})
	return rows, err
}

// identityArgs are the arguments of insertIdentities.
func identityArgs(ups []signUp, rows []userRow) []any {
	args := make([]any, 0, 4*len(ups))
	for i, up := range ups {
		args = append(args, up.id.AppID, up.id.OpenID, rows[i].ID, up.at)
	}
	return args
}

// insertUser makes the user, without an identity.
func (up signUp) insertUser(ctx context.Context, tx direct) (row userRow, err error) {
	row = userRow{Status: StatusActive, CreatedAt: up.at, UpdatedAt: up.at, LastLoginAt: up.at}
	if up.id.UnionID != "" {
		row.UnionID = &up.id.UnionID
	}
	row.ID, err = tx.insert(ctx, insertUser, row.UnionID, row.Status, up.at, up.at, up.at)
	return row, err
}

// orphan reads the row of an identity whose user is gone. If there is no such row, the result is zero.
func (u *Users) orphan(ctx context.Context, id Identity) (row identityRow, err error) {
	err = u.db.direct.read(ctx, selectOrphan, []any{id.AppID, id.OpenID}, func(rows *sql.Rows) error {
		row.AppID, row.OpenID = id.AppID, id.OpenID
		return rows.Scan(&row.UserID, &row.CreatedAt)
	})
	return row, err
}

// repoint gives an identity to another user, and returns errAgain if its row is not as it was read. created_at changes too: a
// new user may have the number of the missing one, if a restore has set the numbers back.
func (d direct) repoint(ctx context.Context, old identityRow, userID uint64, now time.Time) error {
	return d.updateRows(ctx, 1, updateIdentity, userID, now, old.AppID, old.OpenID, old.UserID, old.CreatedAt)
}
