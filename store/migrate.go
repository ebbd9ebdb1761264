package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path"
	"strings"

	"github.com/pressly/goose/v3"
)

// steps are the versions of the database, in their order. A step that was ever released is not changed any more. Steps only
// add, so that servers of the version before can go on meanwhile.
//
//go:embed migrations/*.sql
var steps embed.FS

// SchemaVersion is the version of the database that this package needs: the number of the last step.
const SchemaVersion = 3

// Migration tells what Migrate did: nothing, where both are the same.
type Migration struct {
	From int64 // version before; 0 = there were no tables
	To   int64 // version now; above SchemaVersion where a newer server has migrated the database
}

// Migrate brings the database up to SchemaVersion, from any earlier version and from nothing, and loses nothing. It may be
// run at any time, also by several at once: they take turns.
//
// MySQL commits each CREATE and ALTER alone. If a step fails, what came before it stays, the error names the step and shows the
// beginning of the statement that failed, and Migrate goes on from there when it is run again.
//
// It uses connections of its own. The error is ErrUnavailable if the database cannot be reached or cannot serve now, or
// context.Canceled; anything else is a fault of the database or of a step.
func (d *DB) Migrate(ctx context.Context) (m Migration, err error) {
	config := d.config.Clone()
	config.ReadTimeout = 0 // changing a large table takes its time; ctx is the limit
	connector, err := newConnector(config)
	if err != nil {
		return Migration{}, err
	}
	pool := sql.OpenDB(connector)
	defer func() { err = errors.Join(err, pool.Close()) }()

	m, err = migrateIn(ctx, pool)
	var readOnly readOnlyError // the driver shows such a refusal as a broken connection: see RejectReadOnly in parseDSN
	if unreachable(err) && errors.As(checkReadOnly(ctx, pool), &readOnly) {
		err = readOnly
	}
	if err != nil {
		return Migration{}, d.migrateFault(ctx, err)
	}
	return m, nil
}

// migrateIn takes the missing steps when its turn has come. Goose's own locks do not cover the making of its table.
func migrateIn(ctx context.Context, pool *sql.DB) (m Migration, err error) {
	conn, err := pool.Conn(ctx)
	if err != nil {
		return Migration{}, err
	}
	defer conn.Close()
	if err := takeTurn(ctx, conn); err != nil {
		return Migration{}, err
	}
	defer endTurn(conn)
	if m.From, err = recordedVersion(ctx, conn); err != nil {
		return Migration{}, err
	}
	collation, err := collationOf(ctx, conn)
	if err != nil {
		return Migration{}, err
	}
	log := &stepLog{}
	provider, err := newProvider(pool, collation, log)
	if err != nil {
		return Migration{}, err
	}
	applied, err := provider.Up(ctx)
	m.To = m.From
	for _, step := range applied {
		m.To = max(m.To, step.Source.Version)
	}
	var partial *goose.PartialError
	if errors.As(err, &partial) {
		err = ofStatement(log.statement, err)
	}
	return m, err
}

// newProvider sets goose up, for tables with this collation.
func newProvider(pool *sql.DB, collation string, log *stepLog) (*goose.Provider, error) {
	record, err := newVersionStore(collation)
	if err != nil {
		return nil, err
	}
	files, err := fs.Sub(steps, "migrations")
	if err != nil {
		return nil, err
	}
	return goose.NewProvider(goose.DialectCustom, pool, collatedSteps{files, collation},
		goose.WithStore(record),
		goose.WithDisableGlobalRegistry(true),
		goose.WithSlog(slog.New(log)),
		goose.WithVerbose(true),
	)
}

// migrateFault gives an error of Migrate its final form. A missing table or column is no ErrUnavailable here: to migrate again does
// not help.
func (d *DB) migrateFault(ctx context.Context, err error) error {
	op := "migrate"
	var partial *goose.PartialError
	if errors.As(err, &partial) && partial.Failed != nil {
		op += ": step " + path.Base(partial.Failed.Source.Path)
	}
	if isMissing(err) && ctx.Err() == nil {
		return fmt.Errorf("store: %s: %w", op, quiet(err))
	}
	return d.fault(ctx, op, err)
}

// maxShown is how much of a step's statement an error shows.
const maxShown = 60

// stepLog takes goose's log and keeps the beginning of the last statement of a step. It prints nothing.
type stepLog struct{ statement string }

var _ slog.Handler = (*stepLog)(nil)

// Enabled implements slog.Handler.
func (l *stepLog) Enabled(context.Context, slog.Level) bool { return true }

// WithAttrs implements slog.Handler.
func (l *stepLog) WithAttrs([]slog.Attr) slog.Handler { return l }

// WithGroup implements slog.Handler.
func (l *stepLog) WithGroup(string) slog.Handler { return l }

// Handle implements slog.Handler.
func (l *stepLog) Handle(_ context.Context, r slog.Record) error {
	r.Attrs(func(a slog.Attr) bool {
		if a.Key == "statement" {
			l.statement = strings.Join(strings.Fields(a.Value.String()), " ")
			l.statement = l.statement[:min(len(l.statement), maxShown)] + "…"
		}
		return true
	})
	return nil
}
