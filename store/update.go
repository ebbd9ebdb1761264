package store

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"wxlogin/internal/batch"
)

const (
	maxCountryCode = 8
	maxPhoneNumber = 32
)

// ErrPhone says that a Phone is malformed: a part is empty, too long, or has a character that is not a digit. Nothing
// was read or written.
var ErrPhone = errors.New("store: malformed phone number")

// BindPhone sets the phone number of the user with this identity, and returns the user after that. If the number is the
// same, nothing is written, not even PhoneBoundAt. A user that is not active is returned unchanged. Several users may
// have one number: whether they are one person is up to an administrator.
//
// Errors: ErrNotFound, ErrIdentity, ErrPhone, ErrUnavailable, context.Canceled; any other error is a defect of the
// installation.
func (u *Users) BindPhone(ctx context.Context, appID, openID string, p Phone) (User, error) {
	if err := (Identity{AppID: appID, OpenID: openID}).validate(); err != nil {
		return User{}, err
	}
	if !isDigits(p.CountryCode, maxCountryCode) || !isDigits(p.Number, maxPhoneNumber) {
		return User{}, ErrPhone
	}
	row, err := u.changeUser(ctx, identityKey{appID, openID}, func(ctx context.Context, q queries, row userRow) (userRow, error) {
		return u.bindPhone(ctx, q, row, p)
	})
	if err != nil {
		return User{}, u.db.wrapError(ctx, "bind phone", err)
	}
	return row.user(), nil
}

// bindPhone is a rowChange.
func (u *Users) bindPhone(ctx context.Context, q queries, row userRow, p Phone) (userRow, error) {
	if row.user().Phone == p {
		return row, nil
	}
	now := u.db.now()
	err := mustAffect(q.gorm(ctx).Model(&userRow{}).
		Where("id = ? AND status = ? AND phone_country_code <=> ? AND phone_number <=> ?",
			row.ID, StatusActive, row.PhoneCountryCode, row.PhoneNumber).
		UpdateColumns(map[string]any{
			"phone_country_code": p.CountryCode, "phone_number": p.Number, "phone_bound_at": now, "updated_at": now,
		}))
	if err != nil {
		return userRow{}, err
	}
	row.PhoneCountryCode, row.PhoneNumber, row.PhoneBoundAt, row.UpdatedAt = &p.CountryCode, &p.Number, &now, now
	return row, nil
}

// isDigits reports whether s is one to limit decimal digits.
func isDigits(s string, limit int) bool {
	return s != "" && len(s) <= limit && !strings.ContainsFunc(s, func(r rune) bool { return r < '0' || r > '9' })
}

// maxOptimisticAttempts is how often a change is tried before it locks the row.
const maxOptimisticAttempts = 3

// rowChange changes the row of an active user and returns the new row. It writes on the condition that the row is still
// as it was read and that the user was neither disabled nor merged, and returns errConflict otherwise. It may be called
// several times.
type rowChange func(ctx context.Context, q queries, row userRow) (userRow, error)

// changeUser changes the user with this identity, at the request of that user. A user that is not active is returned
// unchanged.
//
// Within this process, changes of one identity run one after another, because they could only conflict. Against other
// processes, a change first reads and writes without a transaction. After a few conflicts it locks the row, so that the
// database queues the writers: conflicts end, however many servers write.
func (u *Users) changeUser(ctx context.Context, key identityKey, change rowChange) (row userRow, err error) {
	if err := u.db.userLocks.lock(ctx, key); err != nil {
		return userRow{}, err
	}
	defer u.db.userLocks.unlock(key)
	attempts := 0
	err = retry(ctx, func() (err error) {
		if row, err = u.byIdentity(ctx, key.appID, key.openID); err != nil || row.Status != StatusActive {
			return err
		}
		if attempts++; attempts <= maxOptimisticAttempts {
			row, err = change(ctx, u.db.queries, row)
		} else {
			row, err = u.changeLocked(ctx, row.ID, change)
		}
		return err
	})
	if err == nil {
		u.seen(ctx, key.appID, row)
	}
	return row, err
}

// changeLocked changes a user while its row is locked. It returns errConflict if the user is no longer active, because
// a merge may have moved the identity to another user.
func (u *Users) changeLocked(ctx context.Context, id uint64, change rowChange) (row userRow, err error) {
	err = u.db.transaction(ctx, func(tx queries) (err error) {
		if row, err = tx.lockUser(ctx, id); err != nil {
			return err
		}
		if row.Status != StatusActive {
			return errConflict
		}
		row, err = change(ctx, tx, row)
		return err
	})
	return row, err
}

// profileWriter writes profiles. Concurrent writes of several users share a statement.
type profileWriter struct {
	hot     hotQueries
	batcher *batch.Batcher[profileWrite, struct{}]
}

// profileWrite is the write of one profile.
type profileWrite struct {
	id            uint64
	changes       columnChanges
	asOf          time.Time
	at            time.Time
	readUpdatedAt *time.Time // profile_updated_at as it was read
	avatarChosen  bool       // it sets an avatar that the user chose
}

func newProfileWriter(hot hotQueries, now func() time.Time) *profileWriter {
	p := &profileWriter{hot: hot}
	p.batcher = &batch.Batcher[profileWrite, struct{}]{
		Single:   func(ctx context.Context, w profileWrite) (none struct{}, err error) { return none, w.send(ctx, hot) },
		Batch:    p.writeMany,
		Joinable: distinctUsers, Retryable: retryable, Timeout: readTimeout, Now: now,
	}
	return p
}

// write returns errConflict if the row is no longer as it was read. It may do so although it has written: then the row,
// read again, shows the new values. That never happens to an avatar that the user chose, which has a statement of its
// own: its file must not be deleted by another update that has replaced it in between.
func (p *profileWriter) write(ctx context.Context, q queries, w profileWrite) (err error) {
	if w.avatarChosen || q.tx != nil {
		return w.send(ctx, q.hotQueries)
	}
	_, err = p.batcher.Do(ctx, w)
	return err
}

// send writes one profile by its own statement.
func (w profileWrite) send(ctx context.Context, q hotQueries) error {
	return q.mustUpdate(ctx, 1, updateProfile, append(w.changes[:], w.asOf, w.at, w.at, w.id, StatusActive, w.readUpdatedAt)...)
}

// distinctUsers keeps two writes of one user apart: the second depends on the result of the first.
func distinctUsers(a, b profileWrite) bool { return a.id != b.id }

// writeMany writes several profiles. The server reports how many rows it changed, not which. If it did not change all
// of them, writeMany returns errConflict, and each write is sent alone: one that was written conflicts again, one that
// was not succeeds.
func (p *profileWriter) writeMany(ctx context.Context, writes []profileWrite) ([]struct{}, error) {
	id, size := stmtSizes{update4Profiles, update16Profiles}.forCount(len(writes))
	return make([]struct{}, len(writes)), p.hot.mustUpdate(ctx, len(writes), id, updateArgs(padded(writes, size))...)
}

// updateArgs are the arguments of updateProfilesSQL, in its order.
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
		args = append(args, w.id, w.readUpdatedAt)
	}
	return args
}

// userLocks is a FIFO mutex for each identity. The zero value is ready for use. Only held locks take memory.
type userLocks struct {
	mu   sync.Mutex
	held map[identityKey][]chan struct{} // held locks, with their waiters
}

// lock locks an identity. It returns the context's error if that ends first. After nil, the caller must call unlock.
func (l *userLocks) lock(ctx context.Context, key identityKey) error {
	turn := l.enqueue(key)
	if turn == nil {
		return nil
	}
	select {
	case <-turn:
		return nil
	case <-ctx.Done():
		if !l.forget(key, turn) {
			l.unlock(key) // it was handed over at this moment
		}
		return ctx.Err()
	}
}

// enqueue returns nil if it has locked a free lock, and otherwise a channel that is closed when the lock is handed
// over.
func (l *userLocks) enqueue(key identityKey) chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.held == nil {
		l.held = make(map[identityKey][]chan struct{})
	}
	waiting, held := l.held[key]
	if !held {
		l.held[key] = nil
		return nil
	}
	turn := make(chan struct{})
	l.held[key] = append(waiting, turn)
	return turn
}

// forget removes a waiter from the queue, and reports whether it was still in it.
func (l *userLocks) forget(key identityKey, turn chan struct{}) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	i := slices.Index(l.held[key], turn)
	if i >= 0 {
		l.held[key] = slices.Delete(l.held[key], i, i+1)
	}
	return i >= 0
}

// unlock hands the lock to the longest waiter.
func (l *userLocks) unlock(key identityKey) {
	l.mu.Lock()
	defer l.mu.Unlock()
	waiting := l.held[key]
	if len(waiting) == 0 {
		delete(l.held, key)
		return
	}
	close(waiting[0])
	l.held[key] = waiting[1:]
}

// Servers write times by their own clocks, and one of them may be fast, or have been fast once. A stored time in the
// future would win every comparison until that time comes. So each comparison with a stored time is handled below.

// maxClockLead is how far ahead of this clock a stored time may be and still be trusted. If a clock differs by more, it
// is wrong.
const maxClockLead = time.Hour

// asOf returns the time for profile_as_of. Data that the user entered is newer than everything stored, even within the
// same millisecond and if another server's clock is ahead. A watermark is truncated to the precision of the column; one
// in the future counts as now.
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

// notInFuture returns the time to compare a watermark with: the stored time, or the current second if the stored time
// is in the future. When that data was produced is unknown, except that it was before now. It is the second because
// watermarks are whole seconds: one of this second must not count as older.
func notInFuture(stored, now time.Time) time.Time {
	if stored.After(now) {
		return now.Truncate(time.Second)
	}
	return stored
}

// healAsOf ends an update that writes no profile. If profile_as_of is in the future, healAsOf sets it to the time that
// was compared. Otherwise it would count as now in every update, and WeChat's data, whose watermark is always a little
// older than now, would be ignored until that time comes. This way only one update is ignored.
func healAsOf(ctx context.Context, q queries, row userRow, now time.Time) (userRow, error) {
	healed := notInFuture(deref(row.ProfileAsOf), now)
	if row.ProfileAsOf == nil || healed.Equal(*row.ProfileAsOf) {
		return row, nil
	}
	err := mustAffect(q.gorm(ctx).Model(&userRow{}).Where("id = ? AND profile_as_of = ?", row.ID, row.ProfileAsOf).
		UpdateColumn("profile_as_of", healed))
	if err != nil {
		return userRow{}, err
	}
	row.ProfileAsOf = &healed
	return row, nil
}
