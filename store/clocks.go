package store

import (
	"context"
	"time"
)

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
