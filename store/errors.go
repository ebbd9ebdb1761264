package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"

	"github.com/go-sql-driver/mysql"
	"gorm.io/gorm"
)

var (
	// ErrNotFound says that no user has this (appid, openid).
	ErrNotFound = errors.New("store: user not found")

	// ErrUnavailable says that the database cannot be reached or cannot serve now: connection faults, time-outs
	// (an expired context included), too many connections, shutdown, a read-only server, a deadlock, a locked row or a
	// conflict with other writers that survived all retries, a closed DB. Trying again later helps. What time does not heal, such as a missing
	// table or a wrong password, is not ErrUnavailable.
	//
	// A cancelled context is not ErrUnavailable either, it says nothing about the database: such an error is
	// context.Canceled.
	ErrUnavailable = errors.New("store: database unavailable")

	// ErrIdentity says that an Identity cannot be WeChat's: AppID or OpenID is empty, or a part is too long or holds
	// other characters than printable ASCII. Nothing was read or written.
	ErrIdentity = errors.New("store: malformed identity")
)

// errAgain says that another connection was faster: what was read no longer holds, start over.
var errAgain = errors.New("store: rows changed in between")

// fault gives an error of the database its final form: classified, and free of values.
func (d *DB) fault(ctx context.Context, op string, err error) error {
	switch {
	case err == nil || errors.Is(err, ErrNotFound) || errors.Is(err, ErrIdentity) || errors.Is(err, ErrSchema):
		return err
	case errors.Is(err, errAgain):
		return fmt.Errorf("%w: %s: the rows kept changing", ErrUnavailable, op)
	}
	// A connection that is cut because the context ended may report itself as broken.
	lost := d.closed.Load() || unreachable(err)
	if end := ctx.Err(); end != nil && (lost || errors.Is(err, sql.ErrTxDone)) {
		err = end
	}
	switch {
	case errors.Is(err, context.Canceled):
		return fmt.Errorf("store: %s: %w", op, context.Canceled)
	case lost || errors.Is(err, context.DeadlineExceeded) || deadlocked(err):
		return fmt.Errorf("%w: %s: %w", ErrUnavailable, op, quiet(err))
	}
	return fmt.Errorf("store: %s: %w", op, quiet(err))
}

// unreachable reports whether the database could not be reached or could not serve.
func unreachable(err error) bool {
	var network net.Error
	if errors.As(err, &network) {
		return true
	}
	for _, target := range []error{
		driver.ErrBadConn, mysql.ErrInvalidConn, mysql.ErrBusyBuffer, sql.ErrConnDone, io.EOF, io.ErrUnexpectedEOF,
	} {
		if errors.Is(err, target) {
			return true
		}
	}
	return hasNumber(err, unavailableNumbers)
}

// unavailableNumbers are the server's errors that pass with time.
// https://dev.mysql.com/doc/mysql-errors/8.0/en/server-error-reference.html, https://mariadb.com/kb/en/mariadb-error-codes/
var unavailableNumbers = map[uint16]bool{
	1021: true, // disk full
	1037: true, // out of memory
	1038: true, // out of sort memory
	1040: true, // too many connections
	1041: true, // out of resources
	1053: true, // server shutdown in progress
	1129: true, // host is blocked because of many connection errors
	1152: true, // aborted connection
	1158: true, // error reading communication packets
	1159: true, // time-out reading communication packets
	1160: true, // error writing communication packets
	1161: true, // time-out writing communication packets
	1203: true, // max_user_connections
	1226: true, // user resource limit
	1290: true, // --read-only
	1317: true, // query interrupted
	1792: true, // read-only transaction
	1836: true, // read-only mode
	1927: true, // MariaDB: connection was killed
	1969: true, // MariaDB: max_statement_time exceeded
	3024: true, // MySQL: max_execution_time exceeded
	3100: true, // MySQL: group replication refused the commit
	3168: true, // MySQL: server is not ready
	3169: true, // MySQL: session was killed
	9001: true, // TiDB: placement driver time-out
	9002: true, // TiDB: storage time-out
	9003: true, // TiDB: storage busy
	9004: true, // TiDB: resolve-lock time-out
	9005: true, // TiDB: region unavailable
}

// deadlocked reports whether the server undid a statement or a transaction for the sake of another one: repeating it helps.
func deadlocked(err error) bool { return hasNumber(err, deadlockNumbers) }

var deadlockNumbers = map[uint16]bool{
	1020: true, // MariaDB with innodb_snapshot_isolation: record has changed since last read
	1205: true, // lock wait time-out, see lockWait
	1213: true, // deadlock
	8002: true, // TiDB: FOR UPDATE met a conflict at its commit
	8022: true, // TiDB: commit failed and was rolled back
	8028: true, // TiDB: the schema has changed meanwhile
	9007: true, // TiDB: write conflict
}

func hasNumber(err error, numbers map[uint16]bool) bool {
	var answer *mysql.MySQLError
	return errors.As(err, &answer) && numbers[answer.Number]
}

// duplicate reports whether a row with the same key is there already.
func duplicate(err error) bool {
	return hasNumber(err, duplicateNumbers) || errors.Is(err, gorm.ErrDuplicatedKey)
}

var duplicateNumbers = map[uint16]bool{1062: true}

// quiet replaces the texts in which a server quotes statements or values (openids, nicknames) by the error number.
// Texts about names in the schema and about access are kept, an operator needs them.
func quiet(err error) error {
	var answer *mysql.MySQLError
	if !errors.As(err, &answer) || plainNumbers[answer.Number] {
		return err
	}
	return fmt.Errorf("MySQL error %d (%s)", answer.Number, answer.SQLState[:])
}

// plainNumbers are the server's errors whose texts hold no values.
var plainNumbers = map[uint16]bool{
	1040: true, // too many connections
	1044: true, // access denied to database
	1045: true, // access denied for user
	1049: true, // unknown database
	1053: true, // server shutdown in progress
	1054: true, // unknown column
	1142: true, // command denied on table
	1146: true, // no such table
	1203: true, // max_user_connections
	1205: true, // lock wait time-out
	1213: true, // deadlock
	1290: true, // --read-only
	1836: true, // read-only mode
}
