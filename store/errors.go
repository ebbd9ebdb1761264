package store

import (
	"context"
	"crypto/tls"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"time"

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

// refusal is a kind of ErrUnavailable that an operator must mend: waiting alone does not help.
type refusal string

// Kinds of ErrUnavailable that an operator must mend. All of them are ErrUnavailable too, for errors.Is; their texts hold no password.
var (
	// ErrAccessDenied says that the server refuses the DSN's account: user name, password, host or way to authenticate is
	// wrong, or the account is locked.
	ErrAccessDenied error = refusal("store: the server refuses the account")

	// ErrUnknownDatabase says that the server has no database of the name that the DSN has.
	ErrUnknownDatabase error = refusal("store: unknown database")

	// ErrNoRights says that the account has not the rights on the database or its tables that it needs.
	ErrNoRights error = refusal("store: the account lacks a right")

	// ErrSetting says that the server refuses a setting of the DSN, such as a system variable that it does not know.
	ErrSetting error = refusal("store: the server refuses a setting of the DSN")

	// ErrTLS says that TLS to the server cannot be had as the DSN wants it, or that the server wants TLS and the DSN does not.
	ErrTLS error = refusal("store: no TLS as configured")

	// ErrReadOnly says that the server takes no writes: it is a replica, or was made read-only. It passes with a failover.
	ErrReadOnly error = refusal("store: the server is read-only")
)

// Error implements error.
func (r refusal) Error() string { return string(r) }

// Is implements the interface of errors.Is.
func (r refusal) Is(target error) bool { return target == ErrUnavailable }

// connectError is an error of making a connection: no statement was sent on it.
type connectError struct{ cause error }

func (e connectError) Error() string { return e.cause.Error() }
func (e connectError) Unwrap() error { return e.cause }

// readOnlyError says how it shows that the server takes no writes.
type readOnlyError string

func (e readOnlyError) Error() string { return string(e) }

// refusalOf returns the kind of an error that means ErrUnavailable: a refusal, or else ErrUnavailable itself.
func refusalOf(err error) error {
	var connecting connectError
	var refuses readOnlyError
	switch {
	case isOf(err, accessDenied) || isOneOf(err, mysql.ErrUnknownPlugin, mysql.ErrNativePassword,
		mysql.ErrOldPassword, mysql.ErrCleartextPassword, mysql.ErrOldProtocol):
		return ErrAccessDenied
	case isOf(err, unknownDatabase):
		return ErrUnknownDatabase
	case isOf(err, noRight):
		return ErrNoRights
	case isOf(err, noTLS) || isTLS(err):
		return ErrTLS
	case isOf(err, readOnly) || errors.As(err, &refuses):
		return ErrReadOnly
	case errors.As(err, &connecting) && isOf(err, badSetting):
		return ErrSetting
	}
	return ErrUnavailable
}

// isTLS reports whether TLS could not be had for a reason that does not pass: the server offers none, or its certificate
// cannot be verified.
func isTLS(err error) bool {
	var certificate *tls.CertificateVerificationError
	return errors.As(err, &certificate) || errors.Is(err, mysql.ErrNoTLS)
}

func isOneOf(err error, targets ...error) bool {
	for _, target := range targets {
		if errors.Is(err, target) {
			return true
		}
	}
	return false
}

const (
	maxAttempts = 12
	maxPause    = 50 * time.Millisecond
)

// retry runs a unit of work again, from its first read on, while it loses against others: it met a row that was not
// there a moment ago (errAgain), or the server chose it as the victim of a deadlock or had it wait too long for a row.
func retry(ctx context.Context, work func() error) error {
	for attempt := 1; ; attempt++ {
		err := work()
		if err == nil || attempt == maxAttempts || !lost(err) {
			return err
		}
		if attempt == 1 && errors.Is(err, errAgain) {
			continue // the faster one has committed, there is nothing to wait for
		}
		if err := pause(ctx, attempt); err != nil {
			return err
		}
	}
}

// lost reports whether a unit of work failed because of others.
func lost(err error) bool { return errors.Is(err, errAgain) || deadlocked(err) }

// pause waits for a random time, longer with each attempt, or until the context ends.
func pause(ctx context.Context, attempt int) error {
	longest := min(time.Millisecond<<attempt, maxPause)
	timer := time.NewTimer(rand.N(longest))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
