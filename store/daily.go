package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-sql-driver/mysql"
)

// loginDays counts logins by day and mini-program until they are written. Counting is no more than a look into a map: a
// login must not wait for statistics. The zero value is ready.
//
// What waits is bounded by days times mini-programs, however long MySQL is away.
type loginDays struct {
	mu      sync.Mutex
	counts  map[loginDay]loginCounts // what is to be written
	pending int                      // logins that are counted and not written, those of a running write included

	failures atomic.Uint64
}

// loginDay is the key of login_days.
type loginDay struct {
	day   int64 // since 1970-01-01, UTC
	appID string
}

// loginCounts are the counts of a row of login_days, or what is to be added to them.
type loginCounts struct{ logins, newUsers, activeUsers int }

func (c loginCounts) plus(other loginCounts) loginCounts {
	return loginCounts{c.logins + other.logins, c.newUsers + other.newUsers, c.activeUsers + other.activeUsers}
}

// visit is what a login counts for.
type visit struct {
	at      time.Time
	newUser bool // it made the user
	active  bool // it is the user's first on record on that day
}

const secondsADay = 24 * 60 * 60

func dayOf(t time.Time) int64 { return t.Unix() / secondsADay }

// date writes the day as MySQL reads it.
func (k loginDay) date() string { return time.Unix(k.day*secondsADay, 0).UTC().Format(time.DateOnly) }

func (k loginDay) compare(other loginDay) int {
	if k.day != other.day {
		return int(k.day - other.day)
	}
	return strings.Compare(k.appID, other.appID)
}

func (l *loginDays) count(appID string, v visit) {
	c := loginCounts{logins: 1}
	if v.newUser {
		c.newUsers = 1
	}
	if v.active {
		c.activeUsers = 1
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.add(loginDay{dayOf(v.at), appID}, c)
	l.pending++
}

// add is for who holds the mutex.
func (l *loginDays) add(k loginDay, c loginCounts) {
	if l.counts == nil {
		l.counts = make(map[loginDay]loginCounts)
	}
	l.counts[k] = l.counts[k].plus(c)
}

// take hands out what is to be written. It must end in putBack or done.
func (l *loginDays) take() map[loginDay]loginCounts {
	l.mu.Lock()
	defer l.mu.Unlock()
	batch := l.counts
	l.counts = nil
	return batch
}

func (l *loginDays) putBack(batch map[loginDay]loginCounts) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for k, c := range batch {
		l.add(k, c)
	}
}

func (l *loginDays) done(batch map[loginDay]loginCounts) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range batch {
		l.pending -= c.logins
	}
}

// statement adds a batch to the table. All servers write the rows in the same order, so that none waits for another in a
// circle. VALUES() is what MySQL, MariaDB, TiDB and Vitess all know; MySQL's newer form with an alias is MySQL's alone.
func statement(batch map[loginDay]loginCounts) (query string, args []any) {
	for _, k := range slices.SortedFunc(maps.Keys(batch), loginDay.compare) {
		c := batch[k]
		args = append(args, k.date(), k.appID, c.logins, c.newUsers, c.activeUsers)
	}
	return "INSERT INTO login_days (day, appid, logins, new_users, active_users) VALUES (?, ?, ?, ?, ?)" +
		strings.Repeat(", (?, ?, ?, ?, ?)", len(batch)-1) +
		" ON DUPLICATE KEY UPDATE logins = logins + VALUES(logins), new_users = new_users + VALUES(new_users), " +
		"active_users = active_users + VALUES(active_users)", args
}

const (
	// loginDaysEvery is how often RunLoginDays writes, and so how much of the counts a server that is killed takes along.
	loginDaysEvery = 10 * time.Second

	// loginDaysTimeout bounds a write up to its COMMIT: nobody waits for it but a stop.
	loginDaysTimeout = 3 * time.Second
)

// errUnanswered says that a COMMIT was sent and that no answer came: it may or may not have taken place.
var errUnanswered = errors.New("no answer to a COMMIT, the counts are dropped")

// RunLoginDays adds what Login has counted to the table login_days, every ten seconds until the context ends and once more
// then; it returns at most some seconds later. One at a time is to run for a DB, and to return before Close. An outage is
// logged once at its beginning and once at its end.
//
// While MySQL is away the counts wait in memory. A process that dies takes those since the last write with it.
func (d *DB) RunLoginDays(ctx context.Context) {
	ticker := time.NewTicker(loginDaysEvery)
	defer ticker.Stop()
	d.runLoginDays(ctx, ticker.C)
}

func (d *DB) runLoginDays(ctx context.Context, due <-chan time.Time) {
	failing := false
	for {
		select {
		case <-due:
			err := d.WriteLoginDays(ctx)
			if errors.Is(err, context.Canceled) {
				continue
			}
			if err != nil && !failing {
				d.log.WarnContext(ctx, "store: cannot add to login_days; what is counted waits", "error", err)
			}
			if err == nil && failing {
				d.log.InfoContext(ctx, "store: login_days is written again")
			}
			failing = err != nil
		case <-ctx.Done():
			d.writeLastLoginDays(context.WithoutCancel(ctx))
			return
		}
	}
}

// writeLastLoginDays is for a stop: what it cannot write is lost.
func (d *DB) writeLastLoginDays(ctx context.Context) {
	if err := d.WriteLoginDays(ctx); err != nil {
		d.log.WarnContext(ctx, "store: cannot add to login_days before the stop", "error", err, "logins", d.PendingLoginDays())
	}
}

// WriteLoginDays adds what Login has counted since the last write to the table login_days. Where that fails, the counts are
// kept for the next write, but for one case: where the connection breaks between the COMMIT and its answer, nobody knows
// whether they were added, and they are dropped. So a login is counted once or, rarely, not at all, and never twice: the
// numbers are a lower bound, whatever goes wrong.
//
// It takes three seconds at most, and the DSN's readTimeout (10 s by default) where a COMMIT is not answered.
//
// Errors: ErrUnavailable, context.Canceled; anything else is a fault of the installation.
func (d *DB) WriteLoginDays(ctx context.Context) error {
	batch := d.days.take()
	if len(batch) == 0 {
		return nil
	}
	bounded, cancel := context.WithTimeout(ctx, loginDaysTimeout)
	defer cancel()
	err := retry(bounded, func() error { return d.addLoginDays(bounded, batch) })
	if err == nil || errors.Is(err, errUnanswered) {
		d.days.done(batch)
	} else {
		d.days.putBack(batch)
	}
	if err = d.fault(ctx, "login days", err); err != nil && !errors.Is(err, context.Canceled) {
		d.days.failures.Add(1)
	}
	return err
}

// addLoginDays is a transaction for the sake of its COMMIT: until that is sent, a broken connection means that nothing has
// been added, so that the batch can be tried again.
func (d *DB) addLoginDays(ctx context.Context, batch map[loginDay]loginCounts) error {
	tx, err := d.sql.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() // of no effect after the COMMIT; where it fails, the connection is gone, and the server does it
	query, args := statement(batch)
	if _, err := tx.ExecContext(ctx, query, args...); err != nil {
		return err
	}
	err = tx.Commit()
	if err == nil || refused(err) {
		return err
	}
	return fmt.Errorf("%w: %w", errUnanswered, err)
}

// refused reports whether an error of a COMMIT says that it did not take place: the server says so, or it was never sent.
func refused(err error) bool {
	var answer *mysql.MySQLError
	return errors.As(err, &answer) || errors.Is(err, driver.ErrBadConn) || errors.Is(err, sql.ErrTxDone) ||
		errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// PendingLoginDays is the number of logins that are counted and not yet in the table login_days.
func (d *DB) PendingLoginDays() int {
	d.days.mu.Lock()
	defer d.days.mu.Unlock()
	return d.days.pending
}

// LoginDaysFailures is how often WriteLoginDays has failed.
func (d *DB) LoginDaysFailures() uint64 { return d.days.failures.Load() }
