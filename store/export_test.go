package store

import (
	"context"

	"github.com/go-sql-driver/mysql"
	"gorm.io/gorm"
)

// LogAll makes every statement count as slow.
func (d *DB) LogAll() {
	all := statementLog{log: d.log}
	d.gorm, d.direct.log, d.lookups.direct.log = d.gorm.Session(&gorm.Session{Logger: all}), all, all
}

// FewLookups is how many lookups are sent before others wait.
const FewLookups = fewLookups

// WaitingLookups is how many lookups wait to go together.
func (d *DB) WaitingLookups() int {
	d.lookups.mu.Lock()
	defer d.lookups.mu.Unlock()
	return len(d.lookups.waiting)
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
	InsertIdentity   = texts[insertIdentity]
)

// FindTogether looks users up in one statement.
func (d *DB) FindTogether(ctx context.Context, appID string, openIDs ...string) error {
	var batch []*lookup
	for _, openID := range openIDs {
		batch = append(batch, &lookup{ctx: ctx, appID: appID, openID: openID})
	}
	return d.lookups.read(batch)
}
