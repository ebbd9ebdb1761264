package store

import (
	"context"
	"errors"
	"io/fs"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	"gorm.io/gorm"
)

// LogAll makes every statement count as slow.
func (d *DB) LogAll() {
	all := statementLog{log: d.log}
	d.queries.orm = d.queries.orm.Session(&gorm.Session{Logger: all})
	d.queries.log, d.loader.hot.log, d.profiles.hot.log = all, all, all
}

// QueuedLoads returns the number of lookups in the queue.
func (d *DB) QueuedLoads() int { return d.loader.batcher.Queued() }

// QueuedWrites returns the number of profile writes in the queue.
func (d *DB) QueuedWrites() int { return d.profiles.batcher.Queued() }

// QueuedCreates returns the number of first logins in the queue.
func (d *DB) QueuedCreates() int { return d.creator.batcher.Queued() }

// ParseDSN returns the driver's configuration for a DSN.
func ParseDSN(dsn string) (*mysql.Config, error) {
	return parseDSN(dsn, Options{}.withDefaults().Logger)
}

// MaxAttempts is how often work is tried.
const MaxAttempts = maxAttempts

// HotStatements returns the texts of all hot statements.
func HotStatements() []string { return stmtSQL[:] }

// Some of the hot statements, to send them without this package.
var (
	SelectByIdentity = stmtSQL[selectByIdentity]
	UpdateProfile    = stmtSQL[updateProfile]
	InsertUser       = stmtSQL[insertUser]
	InsertIdentity   = stmtSQL[insertIdentities]
)

// FindMany finds users in one statement.
func (d *DB) FindMany(ctx context.Context, appID string, openIDs ...string) error {
	var keys []identityKey
	for _, openID := range openIDs {
		keys = append(keys, identityKey{appID, openID})
	}
	_, err := d.loader.loadMany(ctx, keys)
	return err
}

// WriteMany writes a nickname into the empty profiles of users, in one statement.
func (d *DB) WriteMany(ctx context.Context, nickName string, ids ...uint64) error {
	var writes []profileWrite
	for _, id := range ids {
		changes := Profile{}.changes(Profile{NickName: nickName})
		writes = append(writes, profileWrite{id: id, changes: changes, asOf: d.now(), at: d.now()})
	}
	_, err := d.profiles.writeMany(ctx, writes)
	return err
}

// CreateMany creates users in one transaction.
func (d *DB) CreateMany(ctx context.Context, ids ...Identity) error {
	var users []newUser
	for _, id := range ids {
		users = append(users, newUser{id: id, at: d.now()})
	}
	_, err := d.creator.createMany(ctx, users)
	return err
}

// AvatarChunk is the number of users that AvatarURLs reads at a time.
const AvatarChunk = avatarChunk

// CloseIdle closes the idle connections.
func (d *DB) CloseIdle() {
	d.sql.SetMaxIdleConns(0)
	d.sql.SetMaxIdleConns(defaultMaxOpenConns)
}

// Collated returns a script with the collation that Migrate uses on this server.
func (d *DB) Collated(ctx context.Context, script string) (string, error) {
	collation, err := supportedCollation(ctx, d.sql)
	return withCollation(script, collation), err
}

// MigrationsWith returns the migration files with a collation.
func MigrationsWith(collation string) fs.FS { return collatedFS{migrationFiles, collation} }

// ErrorNumbers returns the known error numbers of servers.
func ErrorNumbers() []uint16 { return slices.Sorted(maps.Keys(errnos)) }

// RunLoginDaysAt is RunLoginDays with another clock.
func (d *DB) RunLoginDaysAt(ctx context.Context, due <-chan time.Time) { d.runLoginDays(ctx, due) }

// DailyLogins counts logins without a database, for measurements.
type DailyLogins struct{ days dailyLogins }

// Count counts a login of an active user.
func (l *DailyLogins) Count(appID string, at time.Time) {
	l.days.count(loginDay{at.Unix() / secondsPerDay, appID}, loginCounts{logins: 1, activeUsers: 1})
}

func (l *userLocks) size() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.held)
}

func (l *userLocks) waiters(id identityKey) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.held[id])
}

func TestUserLocks_lock(t *testing.T) {
	alice, bob := identityKey{"wx1", "oAlice"}, identityKey{"wx1", "oBob"}
	lock := func(t *testing.T, l *userLocks, id identityKey) {
		t.Helper()
		if err := l.lock(t.Context(), id); err != nil {
			t.Fatal(err)
		}
	}
	t.Run("one at a time", func(t *testing.T) {
		var l userLocks
		var calls sync.WaitGroup
		counts := map[identityKey]*int{alice: new(int), bob: new(int)}
		for i := range 200 {
			calls.Go(func() {
				id := []identityKey{alice, bob}[i%2]
				lock(t, &l, id)
				defer l.unlock(id)
				*counts[id]++ // the race detector finds two at once
			})
		}
		calls.Wait()
		if *counts[alice] != 100 || *counts[bob] != 100 || l.size() != 0 {
			t.Errorf("counted %d and %d, %d locks left", *counts[alice], *counts[bob], l.size())
		}
	})
	t.Run("in the order of arrival", func(t *testing.T) {
		var l userLocks
		var calls sync.WaitGroup
		var order []int
		lock(t, &l, alice)
		for i := range 10 {
			calls.Go(func() {
				lock(t, &l, alice)
				defer l.unlock(alice)
				order = append(order, i)
			})
			for l.waiters(alice) != i+1 {
			}
		}
		l.unlock(alice)
		calls.Wait()
		for i, got := range order {
			if got != i {
				t.Fatalf("order %v", order)
			}
		}
	})
	t.Run("a waiter gives up with its context", func(t *testing.T) {
		var l userLocks
		lock(t, &l, alice)
		ctx, cancel := context.WithCancel(t.Context())
		gaveUp := make(chan error)
		go func() { gaveUp <- l.lock(ctx, alice) }()
		for l.waiters(alice) != 1 {
		}
		cancel()
		if err := <-gaveUp; !errors.Is(err, context.Canceled) {
			t.Errorf("error %v", err)
		}
		l.unlock(alice)
		if l.size() != 0 {
			t.Errorf("%d locks left", l.size())
		}
		lock(t, &l, alice)
	})
	t.Run("contexts that end at the moment of the handover", func(t *testing.T) {
		var l userLocks
		var calls sync.WaitGroup
		for range 2000 {
			ctx, cancel := context.WithCancel(t.Context())
			calls.Go(func() {
				if l.lock(ctx, alice) == nil {
					l.unlock(alice)
				}
			})
			calls.Go(cancel)
		}
		calls.Wait()
		if l.size() != 0 {
			t.Errorf("%d locks left", l.size())
		}
	})
}
