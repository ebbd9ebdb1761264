package store

import (
	"context"
	"errors"
	"time"

	"wxlogin/internal/batch"
)

// Login finds the user with this identity or creates it. created is true for exactly one call per user, the one that
// inserted it, however many run at once. It is true for none if the connection breaks before the COMMIT is confirmed.
//
// A returning login is one indexed read. It writes only if the last login on record is an hour old, if it is the user's
// first request of a day, or if the UnionID is new (see the package documentation). A user that is not active is returned unchanged, and no login is recorded:
// rejecting it is up to the caller (see [User.Active]).
//
// If the row of an identity's user is missing, because it was deleted by hand or lost in a restore, the login creates a
// new user for the identity, or links it to the user with the UnionID.
//
// Logins of active users are counted by day, in memory: see [DB.RunLoginDays].
//
// Errors: ErrIdentity, ErrUnavailable, context.Canceled; any other error is a defect of the installation.
func (u *Users) Login(ctx context.Context, id Identity) (user User, created bool, err error) {
	if err := id.validate(); err != nil {
		return User{}, false, err
	}
	var row userRow
	var event loginEvent
	isRetry := false
	err = retry(ctx, func() (err error) {
		row, event, err = u.login(ctx, id, isRetry)
		isRetry = true
		return err
	})
	if err != nil {
		return User{}, false, u.db.wrapError(ctx, "login", err)
	}
	if row.Status == StatusActive {
		u.db.countLogin(id.AppID, event)
	}
	return row.user(), event.newUser, nil
}

// login is one attempt. If isRetry is set and the identity is not found, its row may exist without a user, which would
// explain why the first attempt could not insert it.
func (u *Users) login(ctx context.Context, id Identity, isRetry bool) (row userRow, event loginEvent, err error) {
	row, err = u.byIdentity(ctx, id.AppID, id.OpenID)
	if errors.Is(err, ErrNotFound) {
		var orphan identityRow
		if isRetry {
			if orphan, err = u.orphan(ctx, id); err != nil {
				return userRow{}, loginEvent{}, err
			}
		}
		return u.firstLogin(ctx, id, orphan)
	}
	if err == nil && id.UnionID != "" && deref(row.UnionID) != id.UnionID {
		row, err = u.attachUnionID(ctx, row, id)
	}
	if err != nil {
		return userRow{}, loginEvent{}, err
	}
	return u.recordLogin(ctx, row)
}

// firstLogin handles an identity without a user: it is linked to the user with the UnionID, or a new user is created.
// orphan is the identity's row, if there is one whose user is missing.
//
// If another login inserts the same identity or UnionID first, or assigns the orphan, firstLogin returns errConflict.
func (u *Users) firstLogin(ctx context.Context, id Identity, orphan identityRow) (row userRow, event loginEvent, err error) {
	holder, err := u.holderOf(ctx, id.UnionID)
	switch {
	case err == nil:
		row, event, err = u.linkIdentity(ctx, holder, id, orphan)
	case !errors.Is(err, ErrNotFound):
		return userRow{}, loginEvent{}, err
	default:
		row, err = u.createUser(ctx, id, orphan)
		event = loginEvent{at: row.CreatedAt, newUser: err == nil, active: err == nil}
	}
	if err == nil && orphan.UserID != 0 {
		u.db.log.WarnContext(ctx, "store: an identity had no user, assigned one", "user", row.ID, "missing", orphan.UserID)
	}
	return row, event, err
}

// holderOf returns the user with a UnionID, or ErrNotFound. It is ErrNotFound too if unionID is "".
func (u *Users) holderOf(ctx context.Context, unionID string) (userRow, error) {
	if unionID == "" {
		return userRow{}, ErrNotFound
	}
	return u.byUnionID(ctx, unionID)
}

// createUser creates a user for an identity. The rare orphan is handled in a transaction of its own, not in a batch.
func (u *Users) createUser(ctx context.Context, id Identity, orphan identityRow) (row userRow, err error) {
	if orphan.UserID == 0 {
		return u.db.creator.create(ctx, id)
	}
	user := newUser{id: id, at: u.db.now()}
	err = u.db.transaction(ctx, func(tx queries) (err error) {
		if row, err = user.insert(ctx, tx); err != nil {
			return err
		}
		return tx.reassign(ctx, orphan, row.ID, user.at)
	})
	return row, err
}

// linkIdentity adds an identity, of which this is the first login, to an existing user.
func (u *Users) linkIdentity(ctx context.Context, holder userRow, id Identity, orphan identityRow) (userRow, loginEvent, error) {
	holder, err := u.link(ctx, holder.ID, id, orphan, u.db.now())
	if err != nil {
		return userRow{}, loginEvent{}, err
	}
	return u.recordLogin(ctx, holder)
}

// link adds an identity that has been known since a time to the user with the UnionID. It locks the user, so that a
// concurrent merge cannot leave the identity with a user that is merged away.
func (u *Users) link(
	ctx context.Context, holderID uint64, id Identity, orphan identityRow, since time.Time,
) (holder userRow, err error) {
	err = u.db.transaction(ctx, func(tx queries) (err error) {
		holder, err = tx.lockUser(ctx, holderID)
		if errors.Is(err, ErrNotFound) || err == nil && deref(holder.UnionID) != id.UnionID {
			return errConflict
		}
		if err != nil {
			return err
		}
		if orphan.UserID != 0 {
			return tx.reassign(ctx, orphan, holder.ID, since)
		}
		row := identityRow{AppID: id.AppID, OpenID: id.OpenID, UserID: holder.ID, CreatedAt: since}
		return tx.gorm(ctx).Create(&row).Error
	})
	return holder, err
}

// orphan returns the row of an identity whose user is missing, or the zero value if there is no such row.
func (u *Users) orphan(ctx context.Context, id Identity) (row identityRow, err error) {
	err = u.db.queries.gorm(ctx).Joins("LEFT JOIN users ON users.id = wechat_identities.user_id").
		Where("appid = ? AND openid = ? AND users.id IS NULL", id.AppID, id.OpenID).Limit(1).Find(&row).Error
	return row, err
}

// reassign moves an orphan to another user, and returns errConflict if the row is no longer as it was read. created_at
// changes too, because a new user may have the id of the missing one if a restore has set AUTO_INCREMENT back.
func (q queries) reassign(ctx context.Context, orphan identityRow, userID uint64, now time.Time) error {
	return mustAffect(q.gorm(ctx).Model(&identityRow{}).
		Where("appid = ? AND openid = ? AND user_id = ? AND created_at = ?",
			orphan.AppID, orphan.OpenID, orphan.UserID, orphan.CreatedAt).
		UpdateColumns(map[string]any{"user_id": userID, "created_at": now}))
}

// userCreator creates users with their identities. Concurrent calls share a transaction.
type userCreator struct {
	db      *DB
	batcher *batch.Batcher[newUser, userRow]
}

// newUser is a user to create: no existing user matches the openid or unionid.
type newUser struct {
	id Identity
	at time.Time
}

func newUserCreator(d *DB, now func() time.Time) *userCreator {
	c := &userCreator{db: d}
	c.batcher = &batch.Batcher[newUser, userRow]{
		Single: c.createOne, Batch: c.createMany, Joinable: distinctIdentities, Retryable: retryable,
		Timeout: readTimeout, Now: now,
	}
	return c
}

// create inserts the user and its identity, or neither. It returns errConflict if another login has inserted the
// identity or the unionid first.
func (c *userCreator) create(ctx context.Context, id Identity) (userRow, error) {
	return c.batcher.Do(ctx, newUser{id: id, at: c.db.now()})
}

func (c *userCreator) createOne(ctx context.Context, user newUser) (userRow, error) {
	rows, err := c.createMany(ctx, []newUser{user})
	return rows[0], err
}

// distinctIdentities reports whether two new users can both be inserted.
func distinctIdentities(a, b newUser) bool {
	return (a.id.AppID != b.id.AppID || a.id.OpenID != b.id.OpenID) && (a.id.UnionID == "" || a.id.UnionID != b.id.UnionID)
}

// createMany inserts all users or none. Each user is inserted by its own statement, because only then is it certain
// which id belongs to which user.
func (c *userCreator) createMany(ctx context.Context, users []newUser) ([]userRow, error) {
	rows := make([]userRow, len(users))
	err := c.db.transaction(ctx, func(tx queries) (err error) {
		args := make([]any, 0, 4*len(users))
		for i, user := range users {
			if rows[i], err = user.insert(ctx, tx); err != nil {
				return err
			}
			args = append(args, user.id.AppID, user.id.OpenID, rows[i].ID, user.at)
		}
		_, err = tx.insert(ctx, insertIdentities+stmtID(len(users)-1), args...)
		return err
	})
	return rows, err
}

// insert inserts the user without its identity.
func (n newUser) insert(ctx context.Context, tx queries) (row userRow, err error) {
	row = userRow{Status: StatusActive, CreatedAt: n.at, UpdatedAt: n.at, LastLoginAt: n.at, LastSeenAt: &n.at}
	if n.id.UnionID != "" {
		row.UnionID = &n.id.UnionID
	}
	row.ID, err = tx.insert(ctx, insertUser, row.UnionID, row.Status, n.at, n.at, n.at, n.at)
	return row, err
}
