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

	"github.com/go-sql-driver/mysql"
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
// MySQL commits each CREATE and ALTER alone. Where a step fails, what came before it stays, the error names the step, and
// Migrate goes on from there when it is run again.
//
// It uses connections of its own. The error is ErrUnavailable where the database cannot be reached, context.Canceled, or
// else holds the server's own words.
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
	provider, err := newProvider(pool, collation)
	if err != nil {
		return Migration{}, err
	}
	applied, err := provider.Up(ctx)
	m.To = m.From
	for _, step := range applied {
		m.To = max(m.To, step.Source.Version)
	}
	return m, err
}

// newProvider sets goose up, for tables with this collation. Its own log is off: in part it prints statements.
func newProvider(pool *sql.DB, collation string) (*goose.Provider, error) {
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
		goose.WithSlog(slog.New(slog.DiscardHandler)),
	)
}

// migrateFault gives an error of Migrate its final form. The server's words are kept: the steps hold no values that are
// anybody's secret, and an operator needs them.
func (d *DB) migrateFault(ctx context.Context, err error) error {
	op := "migrate"
	var partial *goose.PartialError
	if errors.As(err, &partial) && partial.Failed != nil {
		op += ": step " + path.Base(partial.Failed.Source.Path)
	}
	var answer *mysql.MySQLError
	if errors.As(err, &answer) && (!unreachable(err) || isMissing(err)) && ctx.Err() == nil {
		return fmt.Errorf("store: %s: %w", op, answer)
	}
	return d.fault(ctx, op, err)
}
