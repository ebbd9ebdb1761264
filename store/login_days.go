package store

import (
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
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
