package store

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"
)

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

const (
	maxCountryCode = 8
	maxPhoneNumber = 32
)

// ErrPhone says that a Phone is none: a part of it is empty, too long, or holds something else than digits. Nothing was
// read or written.
var ErrPhone = errors.New("store: malformed phone number")

// BindPhone makes p the phone number of the user with this identity, and returns the user as it then stands. Another number
// is replaced. Where the number is the same, nothing is written: not even PhoneBoundAt. A user who is not active is returned
// unchanged. Several users may have one number: whether that is one person is for an administrator to say.
//
// Errors: ErrNotFound, ErrIdentity, ErrPhone, ErrUnavailable, context.Canceled; anything else is a fault of the
// installation.
func (u *Users) BindPhone(ctx context.Context, appID, openID string, p Phone) (User, error) {
	if err := (Identity{AppID: appID, OpenID: openID}).validate(); err != nil {
		return User{}, err
	}
	if !digits(p.CountryCode, maxCountryCode) || !digits(p.Number, maxPhoneNumber) {
		return User{}, ErrPhone
	}
	row, err := u.changeUser(ctx, identity{appID, openID}, func(ctx context.Context, w *profileWrites, row userRow) (userRow, error) {
		return u.bindPhone(ctx, w.direct, row, p)
	})
	if err != nil {
		return User{}, u.db.fault(ctx, "bind phone", err)
	}
	return row.user(), nil
}

// bindPhone compares and writes, as updateProfile does: the statement that writes holds only while the number is the one that
// was read and the user has not been merged away or disabled.
func (u *Users) bindPhone(ctx context.Context, d direct, row userRow, p Phone) (userRow, error) {
	if row.user().Phone == p {
		return row, nil
	}
	now := u.db.now()
	err := d.updateRows(ctx, 1, updatePhone, p.CountryCode, p.Number, now, now,
		row.ID, StatusActive, row.PhoneCountryCode, row.PhoneNumber)
	if err != nil {
		return userRow{}, err
	}
	row.PhoneCountryCode, row.PhoneNumber, row.PhoneBoundAt, row.UpdatedAt = &p.CountryCode, &p.Number, &now, now
	return row, nil
}

// digits reports whether s is one to limit decimal digits.
func digits(s string, limit int) bool {
	return s != "" && len(s) <= limit && !strings.ContainsFunc(s, func(r rune) bool { return r < '0' || r > '9' })
}

// profileWrite is what one UPDATE of a profile writes.
type profileWrite struct {
	id      uint64
	changes changes
	asOf    time.Time
	at      time.Time
	before  *time.Time // profile_updated_at as it was read
	picture bool       // changes has an avatar that the person chose
}

// profileWrites writes profiles; at the same time, those of several users together.
type profileWrites struct {
	direct direct
	shared *together[profileWrite, struct{}] // nil in a transaction, whose statements go with no others
}

func newProfileWrites(d direct, now func() time.Time) *profileWrites {
	p := &profileWrites{direct: d}
	p.shared = &together[profileWrite, struct{}]{alone: p.one, many: p.update, fits: eachOnce, now: now}
	return p
}

// write writes what has changed in a profile. It returns errAgain where the row was not as it had been read, and may do so
// where it has written: then the row, read again, shows it. That never happens to a picture that a person chose, which goes
// in a statement of its own: its file must not be deleted by another update that has replaced it in between.
func (p *profileWrites) write(ctx context.Context, w profileWrite) (err error) {
	if w.picture || p.shared == nil {
		_, err = p.one(ctx, w)
	} else {
		_, err = p.shared.do(ctx, w)
	}
	return err
}

func (p *profileWrites) one(ctx context.Context, w profileWrite) (none struct{}, err error) {
	return none, p.direct.updateRows(ctx, 1, updateProfile,
		append(w.changes[:], w.asOf, w.at, w.at, w.id, StatusActive, w.before)...)
}

// eachOnce keeps two writes of one user apart: the second waits for what becomes of the first.
func eachOnce(calls []*call[profileWrite, struct{}], w profileWrite) bool {
	for _, c := range calls {
		if c.asked.id == w.id {
			return false
		}
	}
	return true
}

// update writes several profiles. The server tells how many rows it changed and not which: unless it was all of them, each
// call is sent alone, and meets errAgain where it was written before.
func (p *profileWrites) update(ctx context.Context, calls []*call[profileWrite, struct{}]) error {
	q, size := sets{update4Profiles, update16Profiles}.of(len(calls))
	return p.direct.updateRows(ctx, len(calls), q, updateArgs(filled(calls, size))...)
}

// updateArgs are the arguments of updateProfiles, in its order.
func updateArgs(writes []profileWrite) []any {
	args := make([]any, 0, len(writes)*(2*(len(profileColumns)+3)+3)+1)
	for i := range profileColumns {
		for _, w := range writes {
			args = append(args, w.id, w.changes[i])
		}
	}
	for _, w := range writes {
		args = append(args, w.id, w.asOf)
	}
	for range 2 { // profile_updated_at, updated_at
		for _, w := range writes {
			args = append(args, w.id, w.at)
		}
	}
	for _, w := range writes {
		args = append(args, w.id)
	}
	args = append(args, StatusActive)
	for _, w := range writes {
		args = append(args, w.id, w.before)
	}
	return args
}

// userLocks is a mutex for each identity, handed on in the order of arrival. The zero value is ready. Only locks that are
// held take memory.
type userLocks struct {
	mu   sync.Mutex
	held map[identity][]chan struct{} // who waits for it
}

// lock waits until no other call holds the lock of this identity, or until the context ends, whose error it returns then.
// A call that got the lock must unlock it.
func (l *userLocks) lock(ctx context.Context, id identity) error {
	turn := l.enqueue(id)
	if turn == nil {
		return nil
	}
	select {
	case <-turn:
		return nil
	case <-ctx.Done():
		if !l.forget(id, turn) {
			l.unlock(id) // it was handed over at this moment
		}
		return ctx.Err()
	}
}

// enqueue takes a lock that is free and returns nil, or returns what is closed when the lock is handed over.
func (l *userLocks) enqueue(id identity) chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.held == nil {
		l.held = make(map[identity][]chan struct{})
	}
	waiting, held := l.held[id]
	if !held {
		l.held[id] = nil
		return nil
	}
	turn := make(chan struct{})
	l.held[id] = append(waiting, turn)
	return turn
}

// forget takes a waiter out of the queue, and reports whether it was still in it.
func (l *userLocks) forget(id identity, turn chan struct{}) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	i := slices.Index(l.held[id], turn)
	if i >= 0 {
		l.held[id] = slices.Delete(l.held[id], i, i+1)
	}
	return i >= 0
}

// unlock hands the lock to the call that has waited longest.
func (l *userLocks) unlock(id identity) {
	l.mu.Lock()
	defer l.mu.Unlock()
	waiting := l.held[id]
	if len(waiting) == 0 {
		delete(l.held, id)
		return
	}
	close(waiting[0])
	l.held[id] = waiting[1:]
}

// Servers write times by their own clocks, and one of them may be fast, or have been fast once. A stored time in the future
// would win every comparison until that time comes. So each comparison with a stored time says here what becomes of it.

// maxClockLead is how far ahead of this clock a stored time may lie and still be taken for what it says. A clock that
// differs by more is wrong.
const maxClockLead = time.Hour

// asOf is the time that data has in profile_as_of. The person's own data is newer than what is stored, also within the
// millisecond and if another server's clock is ahead. A watermark is brought to the precision of the column, and one in the
// future to now.
func (p Profile) asOf(stored, now time.Time) time.Time {
	switch {
	case p.AsOf.IsZero() && stored.Before(now):
		return now
	case p.AsOf.IsZero():
		return now.Add(time.Millisecond)
	case p.AsOf.After(now):
		return now
	}
	return p.AsOf.UTC().Truncate(time.Millisecond)
}

// notInFuture is what a watermark is compared with: the stored time, and if that lies in the future, the second that it is
// now. When the data was really given is unknown then, but it was before now. Watermarks have whole seconds, so that one of
// this second must not count as older.
func notInFuture(stored, now time.Time) time.Time {
	if stored.After(now) {
		return now.Truncate(time.Second)
	}
	return stored
}

// healAsOf ends an update that writes no profile. If profile_as_of lies in the future, it becomes the time that it was
// compared as: watermarks are always a little older than now, so if the stored time counted as now again and again, WeChat's
// data would be ignored until that time comes. This way at most one update is.
func healAsOf(ctx context.Context, d direct, row userRow, now time.Time) (userRow, error) {
	healed := notInFuture(deref(row.ProfileAsOf), now)
	if row.ProfileAsOf == nil || healed.Equal(*row.ProfileAsOf) {
		return row, nil
	}
	if err := d.updateRows(ctx, 1, updateAsOf, healed, row.ID, row.ProfileAsOf); err != nil {
		return userRow{}, err
	}
	row.ProfileAsOf = &healed
	return row, nil
}

// changedAt is the time of a change of the profile: now, but later than the change before, also within the same millisecond and
// on a slower clock, so that every write changes profile_updated_at (profile_as_of does not do that: two updates may carry the
// same watermark). A stored time that is far in the future is given up for now.
func (r userRow) changedAt(now time.Time) time.Time {
	if before := r.ProfileUpdatedAt; before != nil && !before.Before(now) && !before.After(now.Add(maxClockLead)) {
		return before.Add(time.Millisecond)
	}
	return now
}

// loginDue reports whether last_login_at is to be written: it is an hour old, or so far in the future that it would not be
// written for long.
func (r userRow) loginDue(now time.Time) bool {
	return !r.LastLoginAt.After(now.Add(-loginPrecision)) || r.LastLoginAt.After(now.Add(maxClockLead))
}
