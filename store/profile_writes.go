package store

import (
	"context"
	"time"
)

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
