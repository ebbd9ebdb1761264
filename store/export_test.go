package store

import (
	"context"
	"io/fs"
	"maps"
	"slices"
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
	l.days.count(appID, loginEvent{at: at, active: true})
}
