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
	"gorm.io/gorm"
	"gorm.io/gorm/clause"
)

const (
	// dailyFlushInterval is how often RunLoginDays writes, and so how much a process that is killed may lose.
	dailyFlushInterval = 10 * time.Second

	// dailyFlushTimeout bounds a write up to its COMMIT: only the shutdown waits for it.
	dailyFlushTimeout = 3 * time.Second
)

// errCommitUnknown says that a COMMIT was sent and not confirmed: it may or may not have happened.
var errCommitUnknown = errors.New("no response to a COMMIT, the counts are dropped")

// RunLoginDays adds the counts of Login to the table login_days every ten seconds until ctx ends, and a last time then.
// It returns at most some seconds later. Only one may run for a DB, and it must return before Close. It logs the
// beginning and the end of an outage.
//
// While MySQL is down, the counts stay in memory. If the process dies, those since the last write are lost.
func (d *DB) RunLoginDays(ctx context.Context) {
	ticker := time.NewTicker(dailyFlushInterval)
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
				d.log.WarnContext(ctx, "store: login_days: write failed, will retry", "error", err)
			}
			if err == nil && failing {
				d.log.InfoContext(ctx, "store: login_days: write succeeded again")
			}
			failing = err != nil
		case <-ctx.Done():
			d.writeLastLoginDays(context.WithoutCancel(ctx))
			return
		}
	}
}

// writeLastLoginDays is for the shutdown: counts that it cannot write are lost.
func (d *DB) writeLastLoginDays(ctx context.Context) {
	if err := d.WriteLoginDays(ctx); err != nil {
		d.log.WarnContext(ctx, "store: login_days: last write failed, counts are lost", "error", err, "logins", d.PendingLoginDays())
	}
}

// WriteLoginDays adds the counts of Login since the last write to the table login_days. If that fails, the counts are
// kept for the next write, with one exception: if the connection breaks between the COMMIT and its confirmation, they
// may have been added, and are dropped. So a login is counted at most once. Rarely it is not counted: the numbers are a
// lower bound.
//
// It takes three seconds at most, or the DSN's readTimeout (10 s by default) if a COMMIT is not confirmed.
//
// Errors: ErrUnavailable, context.Canceled; any other error is a defect of the installation.
func (d *DB) WriteLoginDays(ctx context.Context) error {
	counts := d.days.take()
	if len(counts) == 0 {
		return nil
	}
	bounded, cancel := context.WithTimeout(ctx, dailyFlushTimeout)
	defer cancel()
	err := retry(bounded, func() error { return d.addLoginDays(bounded, counts) })
	if err == nil || errors.Is(err, errCommitUnknown) {
		d.days.ack(counts)
	} else {
		d.days.requeue(counts)
	}
	if err = d.wrapError(ctx, "login days", err); err != nil && !errors.Is(err, context.Canceled) {
		d.days.failures.Add(1)
	}
	return err
}

// addLoginDays uses a transaction for the sake of its COMMIT: until that is sent, a broken connection means that
// nothing was added, so that the write can be retried.
func (d *DB) addLoginDays(ctx context.Context, counts map[loginDay]loginCounts) error {
	tx, err := d.sql.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() // a no-op after COMMIT; if it fails, the connection is gone and the server rolls back
	if err := d.queries.withTx(tx).addLoginDays(ctx, counts, d.zone.String()); err != nil {
		return err
	}
	err = tx.Commit()
	if err == nil || commitRefused(err) {
		return err
	}
	return fmt.Errorf("%w: %w", errCommitUnknown, err)
}

// commitRefused reports whether an error of a COMMIT says that it did not happen: the server says so, or it was never
// sent.
func commitRefused(err error) bool {
	var serverErr *mysql.MySQLError
	return errors.As(err, &serverErr) || errors.Is(err, driver.ErrBadConn) || errors.Is(err, sql.ErrTxDone) ||
		errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// addLoginDays adds counts to the table. All servers write the rows in the same order, which avoids deadlocks. VALUES()
// works on MySQL, MariaDB, TiDB and Vitess; MySQL's newer form with an alias works on MySQL only.
func (q queries) addLoginDays(ctx context.Context, counts map[loginDay]loginCounts, zone string) error {
	var rows []loginDayRow
	for _, day := range slices.SortedFunc(maps.Keys(counts), loginDay.compare) {
		c := counts[day]
		rows = append(rows, loginDayRow{day.date(), day.appID, c.logins, c.newUsers, c.activeUsers, zone})
	}
	return q.gorm(ctx).Clauses(clause.OnConflict{DoUpdates: clause.Assignments(map[string]any{
		"logins":       gorm.Expr("logins + VALUES(logins)"),
		"new_users":    gorm.Expr("new_users + VALUES(new_users)"),
		"active_users": gorm.Expr("active_users + VALUES(active_users)"),
		"time_zone":    gorm.Expr("VALUES(time_zone)"),
	})}).Create(&rows).Error
}

// loginDayRow is a row of login_days.
type loginDayRow struct {
	Day         string `gorm:"primaryKey"`
	AppID       string `gorm:"column:appid;primaryKey"`
	Logins      int
	NewUsers    int
	ActiveUsers int
	TimeZone    string
}

// TableName implements GORM's Tabler.
func (loginDayRow) TableName() string { return "login_days" }

// PendingLoginDays returns the number of logins that are counted and not yet in the table login_days.
func (d *DB) PendingLoginDays() int {
	d.days.mu.Lock()
	defer d.days.mu.Unlock()
	return d.days.pending
}

// LoginDaysFailures returns how often WriteLoginDays has failed.
func (d *DB) LoginDaysFailures() uint64 { return d.days.failures.Load() }

// dailyLogins counts logins and active users by day and mini-program until they are written. Counting is one map access, because a login
// must not wait for statistics. Memory is bounded by days times mini-programs, however long MySQL is down. The zero
// value is ready for use.
type dailyLogins struct {
	mu      sync.Mutex
	counts  map[loginDay]loginCounts // to be written
	pending int                      // logins that are not written yet, including those of a write in flight

	failures atomic.Uint64
}

// loginDay is the key of login_days.
type loginDay struct {
	day   int64 // see DB.dayOf
	appID string
}

// loginCounts are the counts of a row of login_days, or their increments.
type loginCounts struct{ logins, newUsers, activeUsers int }

func (c loginCounts) add(other loginCounts) loginCounts {
	return loginCounts{c.logins + other.logins, c.newUsers + other.newUsers, c.activeUsers + other.activeUsers}
}

const secondsPerDay = 24 * 60 * 60

// dayOf returns the day of a time in the zone of the reports, as the number of days since 1970-01-01.
func (d *DB) dayOf(t time.Time) int64 {
	year, month, day := t.In(d.zone).Date()
	return time.Date(year, month, day, 0, 0, 0, 0, time.UTC).Unix() / secondsPerDay
}

// date formats the day for MySQL.
func (d loginDay) date() string { return time.Unix(d.day*secondsPerDay, 0).UTC().Format(time.DateOnly) }

func (d loginDay) compare(other loginDay) int {
	if d.day != other.day {
		return int(d.day - other.day)
	}
	return strings.Compare(d.appID, other.appID)
}

func (l *dailyLogins) count(day loginDay, c loginCounts) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.add(day, c)
	l.pending += c.logins
}

// add must be called with l.mu held.
func (l *dailyLogins) add(day loginDay, c loginCounts) {
	if l.counts == nil {
		l.counts = make(map[loginDay]loginCounts)
	}
	l.counts[day] = l.counts[day].add(c)
}

// take returns the counts to write. The caller must call ack or requeue with them.
func (l *dailyLogins) take() map[loginDay]loginCounts {
	l.mu.Lock()
	defer l.mu.Unlock()
	counts := l.counts
	l.counts = nil
	return counts
}

func (l *dailyLogins) requeue(counts map[loginDay]loginCounts) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for day, c := range counts {
		l.add(day, c)
	}
}

func (l *dailyLogins) ack(counts map[loginDay]loginCounts) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range counts {
		l.pending -= c.logins
	}
}
