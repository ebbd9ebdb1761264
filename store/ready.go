package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"strings"
)

// Statements by which Ready finds out whether the tables are there and may be written. They change, lock and log nothing:
// a condition that is never true keeps the server from looking at rows, and EXPLAIN does not execute. Servers check rights
// and their own read-only modes before that.
const (
	tablesProbe = "SELECT 1 FROM user_merges m, login_days d WHERE 1 = 0"
	updateProbe = "UPDATE users SET status = status WHERE 1 = 0"
	insertProbe = "EXPLAIN INSERT INTO wechat_identities (appid, openid, user_id, created_at) VALUES ('', '', 0, NOW())"
)

// readOnlyVariables are the system variables that make a server or a session read-only; servers know some of them each.
const readOnlyVariables = "SHOW VARIABLES WHERE Variable_name IN ('read_only', 'super_read_only', 'innodb_read_only', " +
	"'transaction_read_only', 'tx_read_only')"

// Ready reports whether logins and updates can be served: nil if the database answers, is of SchemaVersion or later, has the
// tables with the columns that this package reads, and takes writes of this account. It writes nothing.
//
// A server with read_only set is not ready for any account: one with SUPER could write in spite of it, into a replica that would
// then differ from its primary.
//
// Errors: ErrSchema; ErrReadOnly, ErrNoRights and the other kinds of ErrUnavailable, also if a table or column is missing
// though the version is right; context.Canceled.
func (d *DB) Ready(ctx context.Context) error {
	err := d.checkTables(ctx)
	if err == nil {
		err = d.checkWritable(ctx)
	}
	return d.fault(ctx, "ready", err)
}

// CheckTables is Ready for what only reads: it does not ask whether the database takes writes.
func (d *DB) CheckTables(ctx context.Context) error {
	return d.fault(ctx, "check tables", d.checkTables(ctx))
}

func (d *DB) checkTables(ctx context.Context) error {
	if err := d.checkVersion(ctx); err != nil {
		return err
	}
	_, err := d.direct.one(ctx, selectByIdentity, "", "") // of no identity, so one look into an index
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	return ofStatement("SELECT FROM wechat_identities JOIN users", err)
}

// checkWritable looks at the server in a transaction: proxies that send reads to replicas send all of it to the primary.
func (d *DB) checkWritable(ctx context.Context) error {
	tx, err := d.sql.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() // there is nothing to commit
	if err := checkReadOnly(ctx, tx); err != nil {
		return err
	}
	switch _, err := tx.ExecContext(ctx, updateProbe); {
	case errors.Is(err, driver.ErrBadConn): // what the driver makes of such a refusal: see RejectReadOnly in parseDSN
		return readOnlyError("it refuses an UPDATE")
	case err != nil:
		return ofStatement(updateProbe, err)
	}
	if _, err := tx.ExecContext(ctx, insertProbe); isOf(err, noRight) {
		return ofStatement(insertProbe, err) // whatever else it says, the engine may not explain such a statement
	}
	_, err = tx.ExecContext(ctx, tablesProbe)
	return ofStatement(tablesProbe, err)
}

// checkReadOnly returns a readOnlyError if a variable says that the server or the session is read-only. MariaDB 12 has values
// of read_only beside ON.
func checkReadOnly(ctx context.Context, db conn) error {
	rows, err := db.QueryContext(ctx, readOnlyVariables)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var name, value string
		if err := rows.Scan(&name, &value); err != nil {
			return err
		}
		if value != "0" && !strings.EqualFold(value, "OFF") {
			return readOnlyError(name + " is " + value)
		}
	}
	return rows.Err()
}

// ErrCharset says that a connection does not speak utf8mb4: emoji in nicknames would be refused or lost.
var ErrCharset = errors.New("store: the connection's charset is not utf8mb4 (set charset=utf8mb4 in the DSN)")

// CheckCharset returns ErrCharset where the connections that the DSN makes do not carry utf8mb4 in both directions.
// A table in utf8mb4 is not enough for emoji: the connection translates. To be called once at the start.
func (d *DB) CheckCharset(ctx context.Context) error {
	const query = "SELECT @@character_set_client, @@character_set_connection, @@character_set_results"
	var client, connection, results sql.NullString // results is NULL where the server is told not to translate
	if err := d.sql.QueryRowContext(ctx, query).Scan(&client, &connection, &results); err != nil {
		return d.fault(ctx, "check charset", err)
	}
	for _, v := range []struct {
		name    string
		charset sql.NullString
	}{
		{"character_set_client", client},
		{"character_set_connection", connection},
		{"character_set_results", results},
	} {
		if v.charset.String != "utf8mb4" {
			return fmt.Errorf("%w: %s is %q", ErrCharset, v.name, v.charset.String)
		}
	}
	return nil
}

// ErrSchema says that the database is of an earlier version than this package needs. `wxlogin migrate` helps.
var ErrSchema = errors.New("store: the database is of an earlier version; run: wxlogin migrate")

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
