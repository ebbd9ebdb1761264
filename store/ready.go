package store

import (
	"context"
	"database/sql/driver"
	"errors"
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
