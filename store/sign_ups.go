package store

import (
	"context"
	"time"
)

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
