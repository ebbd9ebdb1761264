package store

import (
	"context"
	"time"
)

const (
	// activityGranularity is how old users.last_login_at and last_seen_at may get before they are written again.
	activityGranularity = time.Hour

	// seenTimeout bounds the write of last_seen_at by a request that only reads.
	seenTimeout = 300 * time.Millisecond

	// seenCooldown is how long last_seen_at is not written after that has failed: requests that a replica can serve must
	// not wait for a primary that is down.
	seenCooldown = time.Second
)

// lastSeen returns when the user was last seen. Servers of version 3 of the database write last_login_at alone.
func (r userRow) lastSeen() time.Time {
	if r.LastSeenAt != nil && r.LastSeenAt.After(r.LastLoginAt) {
		return *r.LastSeenAt
	}
	return r.LastLoginAt
}

// writeDue reports whether a time on record has to be written again: it is an hour old, or so far in the future that it
// would otherwise not be written for long.
func writeDue(recorded, now time.Time) bool {
	return !recorded.After(now.Add(-activityGranularity)) || recorded.After(now.Add(maxClockLead))
}

// neverSeen reports whether the user was imported and has not logged in since: see importedSeenAt. No login leaves such a row,
// whatever the clock.
func (r userRow) neverSeen() bool {
	return r.LastSeenAt != nil && r.LastSeenAt.Equal(importedSeenAt(r.CreatedAt)) && r.LastLoginAt.Equal(r.CreatedAt)
}

// importedSeenAt returns the last_seen_at of an imported user. It is not NULL, as servers of version 3 of the database leave
// it in the rows of their users.
func importedSeenAt(createdAt time.Time) time.Time { return createdAt.Add(-time.Millisecond) }

// firstOfDay reports whether the user has not been seen yet on the day of now.
func (d *DB) firstOfDay(r userRow, now time.Time) bool {
	return r.neverSeen() || d.dayOf(r.lastSeen()) < d.dayOf(now)
}

// loginEvent is a login to count.
type loginEvent struct {
	at      time.Time
	newUser bool // it created the user
	active  bool // it is the user's first request on record on that day
}

func (d *DB) countLogin(appID string, event loginEvent) {
	c := loginCounts{logins: 1}
	if event.newUser {
		c.newUsers = 1
	}
	if event.active {
		c.activeUsers = 1
	}
	d.days.count(loginDay{d.dayOf(event.at), appID}, c)
}

// recordLogin keeps last_login_at and last_seen_at within the hour and the day. Of several concurrent requests one
// writes, because each writes on the condition that the times are as it has read them; a login that was not the first
// gets errConflict. The write that moves last_seen_at to another day makes the user active on that day, once.
func (u *Users) recordLogin(ctx context.Context, row userRow) (userRow, loginEvent, error) {
	now := u.db.now()
	event := loginEvent{at: now}
	first := u.db.firstOfDay(row, now)
	if row.Status != StatusActive || !first && !writeDue(row.LastLoginAt, now) {
		return row, event, nil
	}
	err := u.db.queries.mustUpdate(ctx, 1, updateLastLogin, now, now, row.ID, StatusActive, row.LastLoginAt, row.LastSeenAt)
	if err != nil {
		return userRow{}, event, err
	}
	row.LastLoginAt, row.LastSeenAt, event.active = now, &now, first
	return row, event, nil
}

// seen records that a user has used the service, at most once an hour and at the first request of a day. A request never
// fails because of it: the next one writes.
func (u *Users) seen(ctx context.Context, appID string, row userRow) {
	now := u.db.now()
	first := u.db.firstOfDay(row, now)
	if row.Status != StatusActive || !first && !writeDue(row.lastSeen(), now) || now.UnixNano() < u.db.seenCooldownUntil.Load() {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, seenTimeout)
	defer cancel()
	rows, err := u.db.queries.update(ctx, updateLastSeen, now, row.ID, StatusActive, row.LastLoginAt, row.LastSeenAt)
	if err != nil {
		u.db.seenCooldownUntil.Store(now.Add(seenCooldown).UnixNano())
		u.db.log.DebugContext(ctx, "store: last_seen_at not written", "error", u.db.wrapError(ctx, "seen", err))
		return
	}
	if rows > 0 && first {
		u.db.days.count(loginDay{u.db.dayOf(now), appID}, loginCounts{activeUsers: 1})
	}
}
