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
	d.gorm = d.gorm.Session(&gorm.Session{Logger: all})
	d.direct.log, d.lookups.direct.log, d.profiles.direct.log = all, all, all
}

// FewAlone is how many statements of a kind are sent before others wait.
const FewAlone = fewAlone

// WaitingLookups is how many lookups wait to go together.
func (d *DB) WaitingLookups() int { return d.lookups.shared.count() }

// WaitingProfileWrites is how many profiles wait to be written together.
func (d *DB) WaitingProfileWrites() int { return d.profiles.shared.count() }

// WaitingSignUps is how many first logins wait to go together.
func (d *DB) WaitingSignUps() int { return d.signUps.shared.count() }

func (t *together[Q, A]) count() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.waiting)
}

// DSNSettings shows what Open makes of a DSN.
func DSNSettings(dsn string) (*mysql.Config, error) {
	return parseDSN(dsn, Options{}.withDefaults().Logger)
}

// MaxAttempts is how often a unit of work is tried.
const MaxAttempts = maxAttempts

// Statements are all that are sent as they are written.
func Statements() []string { return texts[:] }

// Some of them, to send them without this package.
var (
	SelectByIdentity = texts[selectByIdentity]
	UpdateProfile    = texts[updateProfile]
	InsertUser       = texts[insertUser]
	InsertIdentity   = texts[insertIdentities]
)

// FindTogether looks users up in one statement.
func (d *DB) FindTogether(ctx context.Context, appID string, openIDs ...string) error {
	var calls []*call[identity, userRow]
	for _, openID := range openIDs {
		calls = append(calls, &call[identity, userRow]{asked: identity{appID, openID}})
	}
	return d.lookups.read(ctx, calls)
}

// WriteTogether writes a nickname into the profiles of users who have none, in one statement.
func (d *DB) WriteTogether(ctx context.Context, nickName string, ids ...uint64) error {
	var calls []*call[profileWrite, struct{}]
	for _, id := range ids {
		calls = append(calls, &call[profileWrite, struct{}]{asked: profileWrite{
			id: id, changes: Profile{}.changes(Profile{NickName: nickName}), asOf: d.now(), at: d.now(),
		}})
	}
	return d.profiles.update(ctx, calls)
}

// SignUpTogether makes users in one transaction.
func (d *DB) SignUpTogether(ctx context.Context, ids ...Identity) error {
	var ups []signUp
	for _, id := range ids {
		ups = append(ups, signUp{id: id, at: d.now()})
	}
	_, err := d.signUps.insertAll(ctx, ups)
	return err
}

// AvatarChunk is how many users AvatarURLs reads at a time.
const AvatarChunk = avatarChunk

// CloseIdle closes the connections that are idle.
func (d *DB) CloseIdle() {
	d.sql.SetMaxIdleConns(0)
	d.sql.SetMaxIdleConns(defaultMaxOpenConns)
}

// Collated returns a script with the collation that Migrate uses on this server.
func (d *DB) Collated(ctx context.Context, script string) (string, error) {
	collation, err := collationOf(ctx, d.sql)
	return withCollation(script, collation), err
}

// StepsWith are the files of the steps with a collation.
func StepsWith(collation string) fs.FS { return collatedSteps{steps, collation} }

// ErrorNumbers are the error numbers of servers that are known.
func ErrorNumbers() []uint16 { return slices.Sorted(maps.Keys(errnos)) }

// RunLoginDaysAt is RunLoginDays with another clock.
func (d *DB) RunLoginDaysAt(ctx context.Context, due <-chan time.Time) { d.runLoginDays(ctx, due) }

// LoginDays counts logins without a database, for measuring.
type LoginDays struct{ days loginDays }

// Count counts a login of an active user.
func (l *LoginDays) Count(appID string, at time.Time) {
	l.days.count(appID, visit{at: at, active: true})
}
