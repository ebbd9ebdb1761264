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

// migrationFiles are the steps from one version of the database to the next. A released step never changes. Steps only
// add, so that servers of the previous version keep working.
//
//go:embed migrations/*.sql
var migrationFiles embed.FS

// SchemaVersion is the version of the database that this package needs: the number of the last step.
const SchemaVersion = 4

// Migration is the result of Migrate. If both versions are the same, nothing was done.
type Migration struct {
	From int64 // version before; 0 = there were no tables
	To   int64 // version now; above SchemaVersion if a newer server has migrated the database
}

// Migrate brings an empty database, or one of any earlier version, to SchemaVersion, without loss of data. It may run
// at any time; concurrent calls wait for each other.
//
// MySQL commits each CREATE and ALTER separately. If a step fails, its earlier statements stay, and the error names the
// step and shows the beginning of the failed statement. The next Migrate continues from there.
//
// Migrate has its own connections. The error is ErrUnavailable if the database cannot be reached or cannot serve now,
// or context.Canceled; any other error is a defect of the database or of a step.
func (d *DB) Migrate(ctx context.Context) (m Migration, err error) {
	config := d.config.Clone()
	config.ReadTimeout = 0 // changing a large table takes long; ctx is the limit
	connector, err := newConnector(config)
	if err != nil {
		return Migration{}, err
	}
	pool := sql.OpenDB(connector)
	defer func() { err = errors.Join(err, pool.Close()) }()

	m, err = migrate(ctx, pool)
	var readOnly readOnlyError // the driver reports such a refusal as a broken connection: see RejectReadOnly in parseDSN
	if isUnavailable(err) && errors.As(checkReadOnly(ctx, pool), &readOnly) {
		err = readOnly
	}
	if err != nil {
		return Migration{}, d.wrapMigrateError(ctx, err)
	}
	return m, nil
}

// migrate runs the missing steps while it holds the migration lock. Goose's own locks do not cover the creation of its
// table.
func migrate(ctx context.Context, pool *sql.DB) (m Migration, err error) {
	conn, err := pool.Conn(ctx)
	if err != nil {
		return Migration{}, err
	}
	defer conn.Close()
	if err := lockMigration(ctx, conn); err != nil {
		return Migration{}, err
	}
	defer unlockMigration(conn)
	if m.From, err = recordedVersion(ctx, conn); err != nil {
		return Migration{}, err
	}
	collation, err := supportedCollation(ctx, conn)
	if err != nil {
		return Migration{}, err
	}
	recorder := &statementRecorder{}
	provider, err := newProvider(pool, collation, recorder)
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
		err = withStatement(recorder.statement, err)
	}
	return m, err
}

// newProvider sets up goose for tables with this collation.
func newProvider(pool *sql.DB, collation string, recorder *statementRecorder) (*goose.Provider, error) {
	store, err := newVersionStore(collation)
	if err != nil {
		return nil, err
	}
	files, err := fs.Sub(migrationFiles, "migrations")
	if err != nil {
		return nil, err
	}
	return goose.NewProvider(goose.DialectCustom, pool, collatedFS{files, collation},
		goose.WithStore(store),
		goose.WithDisableGlobalRegistry(true),
		goose.WithSlog(slog.New(recorder)),
		goose.WithVerbose(true),
	)
}

// wrapMigrateError is wrapError for Migrate. A missing table or column is not ErrUnavailable here, because another
// Migrate would not help.
func (d *DB) wrapMigrateError(ctx context.Context, err error) error {
	op := "migrate"
	var partial *goose.PartialError
	if errors.As(err, &partial) {
		op += ": step " + path.Base(partial.Failed.Source.Path)
	}
	if isMissing(err) && ctx.Err() == nil {
		return fmt.Errorf("store: %s: %w", op, redact(err))
	}
	return d.wrapError(ctx, op, err)
}

// lockPoll is how often a waiting Migrate tries to get the lock. The server does not do the waiting, because the
// embedded engine runs one statement at a time.
const lockPoll = 100 * time.Millisecond

// migrationLock is the name of the lock, of at most 64 characters. Lock names are global to the server, so it depends
// on the database. MD5 and SHA1 are not available on every server: MySQL 9.6 moved them to a component.
const migrationLock = "CONCAT('wxlogin migrate ', LEFT(SHA2(DATABASE(), 256), 32))"

// lockMigration waits until no other Migrate works on the database, or until ctx ends. The lock ends with the
// connection, so a process that dies blocks no other.
func lockMigration(ctx context.Context, conn *sql.Conn) error {
	for {
		var got sql.NullInt64 // 0 = another connection has the lock, NULL = an error of the server
		err := conn.QueryRowContext(ctx, "SELECT GET_LOCK("+migrationLock+", 0)").Scan(&got)
		switch {
		case isTiDBConflict(err): // TiDB may say so if another connection has the lock
		case err != nil:
			return err
		case !got.Valid:
			return errors.New("store: the server failed to lock the migration")
		case got.Int64 == 1:
			return nil
		}
		select {
		case <-time.After(lockPoll):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// unlockMigration ignores errors, because the lock ends with the connection anyway.
func unlockMigration(conn *sql.Conn) {
	ctx, cancel := context.WithTimeout(context.Background(), writeTimeout)
	defer cancel()
	if rows, err := conn.QueryContext(ctx, "SELECT RELEASE_LOCK("+migrationLock+")"); err == nil {
		rows.Close()
	}
}

// maxShown is how much of a statement an error shows, in bytes.
const maxShown = 60

// statementRecorder is the handler of goose's log. It keeps the beginning of a step's last statement and prints
// nothing.
type statementRecorder struct{ statement string }

var _ slog.Handler = (*statementRecorder)(nil)

// Enabled implements slog.Handler.
func (r *statementRecorder) Enabled(context.Context, slog.Level) bool { return true }

// WithAttrs implements slog.Handler.
func (r *statementRecorder) WithAttrs([]slog.Attr) slog.Handler { return r }

// WithGroup implements slog.Handler.
func (r *statementRecorder) WithGroup(string) slog.Handler { return r }

// Handle implements slog.Handler.
func (r *statementRecorder) Handle(_ context.Context, record slog.Record) error {
	record.Attrs(func(a slog.Attr) bool {
		if a.Key == "statement" {
			r.statement = strings.Join(strings.Fields(a.Value.String()), " ")
			r.statement = r.statement[:min(len(r.statement), maxShown)] + "…"
		}
		return true
	})
	return nil
}

// versionTable records the applied steps.
const versionTable = "schema_versions"

// createVersionTable is the statement of schema.sql; a test compares them.
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
	return withStatement("CREATE TABLE "+versionTable, err)
}

// Insert implements database.Store.
func (s versionStore) Insert(ctx context.Context, db database.DBTxConn, r database.InsertRequest) error {
	return withStatement("INSERT INTO "+versionTable, s.Store.Insert(ctx, db, r))
}

const (
	// collation is the one in schema.sql and the steps. All text of the tables has it.
	collation = "utf8mb4_unicode_520_ci"
	// tidbCollation replaces it on servers without it, such as TiDB. MariaDB 10.11 does not have tidbCollation.
	tidbCollation = "utf8mb4_0900_ai_ci"
)

// supportedCollation returns the collation for tables on this server.
func supportedCollation(ctx context.Context, db rowQueryer) (string, error) {
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

// withCollation replaces collation in SQL.
func withCollation(text, other string) string { return strings.ReplaceAll(text, collation, other) }

// collatedFS are the migration files with another collation.
type collatedFS struct {
	fs.FS
	collation string
}

// Open implements fs.FS.
func (s collatedFS) Open(name string) (fs.File, error) {
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
