package store

import (
	"context"
	"database/sql"
	"time"
)

// identity is who is looked up.
type identity struct{ appID, openID string }

// lookups finds users by identity; at the same time, those of one mini-program together.
type lookups struct {
	direct direct
	shared *together[identity, userRow]
}

func newLookups(d direct, now func() time.Time) *lookups {
	l := &lookups{direct: d}
	l.shared = &together[identity, userRow]{alone: l.one, many: l.read, fits: sameApp, now: now}
	return l
}

// find reads the user with this identity. It returns ErrNotFound where there is none.
func (l *lookups) find(ctx context.Context, appID, openID string) (userRow, error) {
	return l.shared.do(ctx, identity{appID, openID})
}

func (l *lookups) one(ctx context.Context, id identity) (userRow, error) {
	return l.direct.one(ctx, selectByIdentity, id.appID, id.openID)
}

func sameApp(calls []*call[identity, userRow], id identity) bool {
	return len(calls) == 0 || calls[0].asked.appID == id.appID
}

// read gives each call its row.
func (l *lookups) read(ctx context.Context, calls []*call[identity, userRow]) error {
	q, size := sets{selectBy4Identities, selectBy16Identities}.of(len(calls))
	args := make([]any, 0, 1+size)
	args = append(args, calls[0].asked.appID)
	for _, id := range filled(calls, size) {
		args = append(args, id.openID)
	}
	var row userRow
	var openID string
	columns := append(row.columns(), &openID)
	err := l.direct.read(ctx, q, args, func(rows *sql.Rows) error {
		if err := rows.Scan(columns...); err != nil {
			return err
		}
		for _, c := range calls {
			if c.asked.openID == openID {
				c.answer = row
			}
		}
		return nil
	})
	for _, c := range calls {
		if c.answer.ID == 0 {
			c.err = ErrNotFound
		}
	}
	return err
}
