package store

import (
	"context"
	"database/sql"
	"slices"
	"sync"
	"time"
)

const (
	// fewLookups is how many statements are under way before others wait. It is not one, so that a statement that hangs
	// holds nobody up; with more there are fewer to go together.
	fewLookups = 2

	// maxTogether is how many lookups go in one statement.
	maxTogether = 16

	// lookupPatience is how long somebody has to wait for the next ones to go alone instead: where statements hang, each
	// takes a connection of its own.
	lookupPatience = 50 * time.Millisecond
)

// lookups finds users by identity. While only a few are asked for, each is read by a statement of its own, in the context
// of who asks. Who comes while those are under way waits until one of them ends, and then goes in one statement with all
// others who wait: with many logins at once that takes a third of the CPU, of this process and of the server, and the
// answers come sooner.
//
// Everybody gets what was read after asking.
type lookups struct {
	direct direct
	now    func() time.Time

	mu       sync.Mutex
	underWay int
	waiting  []*lookup // who came first is first
}

// lookup is one that waits. row and err may be read when done is closed.
type lookup struct {
	ctx           context.Context
	appID, openID string
	since         time.Time

	done chan struct{}
	row  userRow
	err  error
}

// find reads the user with this identity. It returns ErrNotFound where there is none.
func (l *lookups) find(ctx context.Context, appID, openID string) (userRow, error) {
	w := l.enter(ctx, appID, openID)
	if w == nil {
		defer l.leave()
		return l.direct.one(ctx, selectByIdentity, appID, openID)
	}
	select {
	case <-w.done:
		return w.row, w.err
	case <-ctx.Done():
		return userRow{}, ctx.Err()
	}
}

// enter returns nil to who goes alone, and is to leave in the end.
func (l *lookups) enter(ctx context.Context, appID, openID string) *lookup {
	now := l.now()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.underWay < fewLookups || len(l.waiting) > 0 && now.Sub(l.waiting[0].since) > lookupPatience {
		l.underWay++
		return nil
	}
	w := &lookup{ctx: ctx, appID: appID, openID: openID, since: now, done: make(chan struct{})}
	l.waiting = append(l.waiting, w)
	return w
}

// leave makes room for those who wait.
func (l *lookups) leave() {
	if batch := l.take(); len(batch) > 0 {
		go l.send(batch)
	}
}

// take hands out who goes together next, all of one mini-program, and forgets who has given up. Where nobody waits, there
// is one statement less under way.
func (l *lookups) take() (batch []*lookup) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.waiting = slices.DeleteFunc(l.waiting, func(w *lookup) bool {
		gone := w.ctx.Err() != nil
		goes := !gone && len(batch) < maxTogether && (len(batch) == 0 || batch[0].appID == w.appID)
		if goes {
			batch = append(batch, w)
		}
		return gone || goes
	})
	if len(batch) == 0 {
		l.underWay--
	}
	return batch
}

// send reads batch after batch, until nobody waits.
func (l *lookups) send(batch []*lookup) {
	for ; len(batch) > 0; batch = l.take() {
		err := l.read(batch)
		for _, w := range batch {
			if w.err = err; err == nil && w.row.ID == 0 {
				w.err = ErrNotFound
			}
			close(w.done)
		}
	}
}

// read gives each of a batch its row. The context is nobody's, so that who gives up takes none of the others along; what it
// carries, for tracing, is that of the first.
func (l *lookups) read(batch []*lookup) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(batch[0].ctx), readTimeout)
	defer cancel()
	q, n := selectBy4Identities, 4
	if len(batch) > n {
		q, n = selectBy16Identities, maxTogether
	}
	args := make([]any, 1+n)
	args[0] = batch[0].appID
	for i := range n {
		args[1+i] = batch[min(i, len(batch)-1)].openID // the last one fills up
	}
	var row userRow
	var openID string
	columns := append(row.columns(), &openID)
	return l.direct.read(ctx, q, args, func(rows *sql.Rows) error {
		if err := rows.Scan(columns...); err != nil {
			return err
		}
		for _, w := range batch {
			if w.openID == openID {
				w.row = row
			}
		}
		return nil
	})
}
