package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/pressly/goose/v3/database"
)

// ErrSchema says that the database is of an earlier version than this package needs. `wxlogin migrate` helps.
var ErrSchema = errors.New("store: the database is of an earlier version; run: wxlogin migrate")

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

// checkVersion returns ErrSchema where steps are missing. A database of a later version is fine: steps only add.
func (d *DB) checkVersion(ctx context.Context) error {
	version, err := recordedVersion(ctx, d.sql)
	if err == nil && version < SchemaVersion {
		return fmt.Errorf("%w (it is %d, this server needs %d)", ErrSchema, version, SchemaVersion)
	}
	return err
}

// rowQueryer is a pool or one connection.
type rowQueryer interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// recordedVersion reads the version of a database. The first version kept no record: there the table of users tells.
func recordedVersion(ctx context.Context, db rowQueryer) (version int64, err error) {
	const query = "SELECT COALESCE(MAX(version_id), 0) FROM " + versionTable + " WHERE is_applied"
	err = db.QueryRowContext(ctx, query).Scan(&version)
	if version > 0 || err != nil && !hasNumber(err, noSuchTable) {
		return version, ofStatement(query, err)
	}
	const tables = "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name = 'users'"
	err = db.QueryRowContext(ctx, tables).Scan(&version)
	return version, err
}
