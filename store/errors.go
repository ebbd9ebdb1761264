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
	// conflict with other writers that survived all retries, a closed DB; and what an operator mends without another
	// version of this program: a missing table, column or right, a changed password, a full disk. Trying again later helps.
	// What is left is a bug.
	//
	// A cancelled context is not ErrUnavailable, it says nothing about the database: such an error is context.Canceled.
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
		return fmt.Errorf("%w: %s: %w", refusalOf(err), op, quiet(err))
	}
	return fmt.Errorf("store: %s: %w", op, quiet(err))
}

// unreachable reports whether the database could not be reached or could not serve.
func unreachable(err error) bool {
	var network net.Error
	var connecting connectError
	if errors.As(err, &network) || errors.As(err, &connecting) || refusalOf(err) != ErrUnavailable {
		return true
	}
	if isOneOf(err, driver.ErrBadConn,
		mysql.ErrInvalidConn, mysql.ErrBusyBuffer, sql.ErrConnDone, io.EOF, io.ErrUnexpectedEOF) {
		return true
	}
	return isOf(err, unavailable) || isMissing(err)
}

// isMissing reports whether a table or a column is not there.
func isMissing(err error) bool { return isOf(err, missing) || hasText(err, missingColumn) }

// deadlocked reports whether the server undid a statement or a transaction for the sake of another one: repeating it helps.
func deadlocked(err error) bool {
	return isOf(err, conflict) || isTiDBConflict(err)
}

// isTiDBConflict reports whether err is a conflict to which TiDB gives no number of its own.
func isTiDBConflict(err error) bool {
	return hasText(err, lockRetryLimit) || hasText(err, lockWaitTimeout)
}

// duplicate reports whether a row with the same key is there already.
func duplicate(err error) bool {
	return isOf(err, duplicateKey) || errors.Is(err, gorm.ErrDuplicatedKey)
}

// statementError is an error with the statement that it came of, or with words for that. They hold no values.
type statementError struct {
	statement string
	cause     error
}

func (e statementError) Error() string { return e.cause.Error() + ": " + e.statement }
func (e statementError) Unwrap() error { return e.cause }

// ofStatement adds a statement to an error that has none yet; an error of making a connection is of no statement.
func ofStatement(statement string, err error) error {
	var known statementError
	var connecting connectError
	if err == nil || errors.As(err, &known) || errors.As(err, &connecting) {
		return err
	}
	return statementError{statement, err}
}

// quiet replaces an error of the server by its number, its SQLSTATE, what this package knows of that number, and the statement
// if it is known. The server's own text may quote values, such as openids and nicknames: Vitess adds all of them to every error.
func quiet(err error) error {
	var answer *mysql.MySQLError
	if !errors.As(err, &answer) {
		return err
	}
	text := fmt.Sprintf("MySQL error %d (%s)", answer.Number, answer.SQLState[:])
	if meaning := errnos[answer.Number].meaning; meaning != "" {
		text += ": " + meaning
	}
	var of statementError
	if errors.As(err, &of) {
		text += ": " + of.statement
	}
	return errors.New(text)
}
