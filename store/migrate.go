package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"path"
	"strings"
	"time"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/database"
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

// turnPause is how long a Migrate waits before it asks for its turn again. It asks, and does not have the server wait, for
// the engine of the demo runs one statement at a time.
const turnPause = 100 * time.Millisecond

// turnName names the lock, in at most 64 characters. Such names belong to the server, not to the database. MD5 and SHA1 are not
// in every server: MySQL 9.6 moved them to a component.
const turnName = "CONCAT('wxlogin migrate ', LEFT(SHA2(DATABASE(), 256), 32))"

// takeTurn waits until no other Migrate works on the database, as long as the context allows. The turn ends with the
// connection, so a process that dies holds nobody up.
func takeTurn(ctx context.Context, conn *sql.Conn) error {
	for {
		var got sql.NullInt64 // 0 = another one has it, NULL = the server could not
		err := conn.QueryRowContext(ctx, "SELECT GET_LOCK("+turnName+", 0)").Scan(&got)
		switch {
		case isTiDBConflict(err): // so TiDB may say that another one has it
		case err != nil:
			return err
		case !got.Valid:
			return errors.New("store: the server gives no lock")
		case got.Int64 == 1:
			return nil
		}
		timer := time.NewTimer(turnPause)
		select {
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		case <-timer.C:
		}
	}
}

// endTurn gives the turn to the next one. Where it fails, the end of the connection does it.
func endTurn(conn *sql.Conn) {
	ctx, cancel := context.WithTimeout(context.Background(), writeTimeout)
	defer cancel()
	if rows, err := conn.QueryContext(ctx, "SELECT RELEASE_LOCK("+turnName+")"); err == nil {
		rows.Close()
	}
}



// versionTable records the steps that were taken.
const versionTable = "schema_versions"

// createVersionTable makes the table as schema.sql does; a test compares them.
const createVersionTable = `CREATE TABLE IF NOT EXISTS schema_versions (
  id         BIGINT UNSIGNED NOT NULL AUTO_INCREMENT COMMENT 'Order in which the steps were taken',
  version_id BIGINT          NOT NULL COMMENT 'Number of the step, as in store/migrations; 0 = the beginning',
  is_applied BOOLEAN         NOT NULL COMMENT 'Always 1: steps are not taken back',
  tstamp     DATETIME(3)     NULL DEFAULT CURRENT_TIMESTAMP(3) COMMENT 'When the step was taken (UTC)',
  PRIMARY KEY (id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_520_ci
  COMMENT='Steps of the schema that were taken; kept by wxlogin migrate'`

// versionStore is goose's record of the steps, in a table with comments and a collation like all others.
type versionStore struct {
	database.Store
	collation string
}

func newVersionStore(collation string) (versionStore, error) {
	s, err := database.NewStore(database.DialectMySQL, versionTable)
	return versionStore{s, collation}, err
}

// CreateVersionTable implements database.Store.
func (s versionStore) CreateVersionTable(ctx context.Context, db database.DBTxConn) error {
	_, err := db.ExecContext(ctx, withCollation(createVersionTable, s.collation))
	return ofStatement("CREATE TABLE "+versionTable, err)
}

// Insert implements database.Store.
func (s versionStore) Insert(ctx context.Context, db database.DBTxConn, r database.InsertRequest) error {
	return ofStatement("INSERT INTO "+versionTable, s.Store.Insert(ctx, db, r))
}







const (
	// collation is what schema.sql and the steps name. All text of the tables has it.
	collation = "utf8mb4_unicode_520_ci"
	// tidbCollation takes its place on servers that do not know it, such as TiDB. MariaDB 10.11 does not know this one.
	tidbCollation = "utf8mb4_0900_ai_ci"
)

// collationOf returns the collation that tables get on this server.
func collationOf(ctx context.Context, db rowQueryer) (string, error) {
	const query = "SELECT COUNT(*) FROM information_schema.collations WHERE collation_name = '" + collation + "'"
	var known int
	if err := db.QueryRowContext(ctx, query).Scan(&known); err != nil {
		return "", err
	}
	if known == 0 {
		return tidbCollation, nil
	}
	return collation, nil
}

// withCollation returns SQL that names collation with another one instead.
func withCollation(text, other string) string { return strings.ReplaceAll(text, collation, other) }

// collatedSteps are the files of the steps, with a collation.
type collatedSteps struct {
	fs.FS
	collation string
}

// Open implements fs.FS.
func (s collatedSteps) Open(name string) (fs.File, error) {
	file, err := s.FS.Open(name)
	if err != nil || path.Ext(name) != ".sql" {
		return file, err
	}
	text, err := io.ReadAll(file)
	return collatedFile{file, strings.NewReader(withCollation(string(text), s.collation))}, err
}

type collatedFile struct {
	fs.File
	text *strings.Reader
}

// Read implements fs.File.
func (f collatedFile) Read(p []byte) (int, error) { return f.text.Read(p) }
