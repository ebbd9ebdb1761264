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
	"slices"
	"time"

	"github.com/go-sql-driver/mysql"
	"gorm.io/gorm"
)

var (
	// ErrNotFound says that no user has this (appid, openid).
	ErrNotFound = errors.New("store: user not found")

	// ErrUnavailable says that the database cannot be reached or cannot serve now: a connection failure, a time-out
	// (also of the context), too many connections, a shutdown, a read-only server, a closed DB; or a deadlock, a locked
	// row or a conflict with other writers that outlasted all retries. It also covers what an operator can fix without
	// another version of this program: a missing table, column or right, a changed password, a full disk. Retrying
	// later helps. Any other error is a bug.
	//
	// A cancelled context is not ErrUnavailable, because it says nothing about the database: its error is
	// context.Canceled.
	ErrUnavailable = errors.New("store: database unavailable")

	// ErrIdentity says that an Identity cannot be WeChat's: AppID or OpenID is empty, or a part is too long or has
	// characters other than printable ASCII. Nothing was read or written.
	ErrIdentity = errors.New("store: malformed identity")
)

// unavailableKind is a kind of ErrUnavailable.
type unavailableKind string

// Kinds of ErrUnavailable that an operator must fix. For errors.Is, each is ErrUnavailable too. Their texts contain no
// password.
var (
	// ErrAccessDenied says that the server refuses the DSN's account: the user name, password, host or authentication
	// method is wrong, or the account is locked.
	ErrAccessDenied error = unavailableKind("store: the server refuses the account")

	// ErrUnknownDatabase says that the server has no database with the name in the DSN.
	ErrUnknownDatabase error = unavailableKind("store: unknown database")

	// ErrNoRights says that the account lacks a right on the database or its tables.
	ErrNoRights error = unavailableKind("store: the account lacks a right")

	// ErrSetting says that the server refuses a setting of the DSN, such as a system variable that it does not have.
	ErrSetting error = unavailableKind("store: the server refuses a setting of the DSN")

	// ErrTLS says that TLS is not possible as the DSN requires it, or that the server requires TLS and the DSN does not
	// use it.
	ErrTLS error = unavailableKind("store: no TLS as configured")

	// ErrReadOnly says that the server accepts no writes: it is a replica, or was made read-only. It ends with a
	// failover.
	ErrReadOnly error = unavailableKind("store: the server is read-only")
)

// Error implements error.
func (k unavailableKind) Error() string { return string(k) }

// Is implements the interface of errors.Is.
func (k unavailableKind) Is(target error) bool { return target == ErrUnavailable }

// errConflict says that another connection was faster: what was read is out of date, and the work must start over.
var errConflict = errors.New("store: rows changed in between")

const (
	maxAttempts   = 12
	maxRetryPause = 50 * time.Millisecond
)

// retry repeats work, which must start with its first read, while its error is retryable.
func retry(ctx context.Context, work func() error) error {
	for attempt := 1; ; attempt++ {
		err := work()
		if err == nil || attempt == maxAttempts || !retryable(err) {
			return err
		}
		if attempt == 1 && errors.Is(err, errConflict) {
			continue // the faster connection has committed, there is nothing to wait for
		}
		if err := sleepJitter(ctx, attempt); err != nil {
			return err
		}
	}
}

// retryable reports whether err is a conflict or deadlock, so that the work can run again.
func retryable(err error) bool { return errors.Is(err, errConflict) || isDeadlock(err) }

// sleepJitter sleeps for a random time, which grows with each attempt, or until ctx ends.
func sleepJitter(ctx context.Context, attempt int) error {
	select {
	case <-time.After(rand.N(min(time.Millisecond<<attempt, maxRetryPause))):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// wrapError classifies an error for the caller, and removes the values from it.
func (d *DB) wrapError(ctx context.Context, op string, err error) error {
	switch {
	case err == nil || errors.Is(err, ErrNotFound) || errors.Is(err, ErrIdentity) || errors.Is(err, ErrSchema):
		return err
	case errors.Is(err, errConflict):
		return fmt.Errorf("%w: %s: the rows kept changing", ErrUnavailable, op)
	}
	// A connection that is closed because the context ended may be reported as broken.
	lost := d.closed.Load() || isUnavailable(err)
	if end := ctx.Err(); end != nil && (lost || errors.Is(err, sql.ErrTxDone)) {
		err = end
	}
	switch {
	case errors.Is(err, context.Canceled):
		return fmt.Errorf("store: %s: %w", op, context.Canceled)
	case lost || errors.Is(err, context.DeadlineExceeded) || isDeadlock(err):
		return fmt.Errorf("%w: %s: %w", unavailableKindOf(err), op, redact(err))
	}
	return fmt.Errorf("store: %s: %w", op, redact(err))
}

// redact replaces an error of the server by its number, its SQLSTATE, the meaning in errnos, and the statement if it is
// known. The server's own text may quote values, such as openids and nicknames: Vitess adds all of them to every error.
func redact(err error) error {
	var serverErr *mysql.MySQLError
	if !errors.As(err, &serverErr) {
		return err
	}
	text := fmt.Sprintf("MySQL error %d (%s)", serverErr.Number, serverErr.SQLState[:])
	if meaning := errnos[serverErr.Number].meaning; meaning != "" {
		text += ": " + meaning
	}
	var of statementError
	if errors.As(err, &of) {
		text += ": " + of.statement
	}
	return errors.New(text)
}

// statementError is an error with its statement, or with a description of the statement. Neither contains values.
type statementError struct {
	statement string
	cause     error
}

func (e statementError) Error() string { return e.cause.Error() + ": " + e.statement }
func (e statementError) Unwrap() error { return e.cause }

// withStatement adds a statement to an error, unless it has one already or is an error of connecting, which has none.
func withStatement(statement string, err error) error {
	var known statementError
	var connecting connectError
	if err == nil || errors.As(err, &known) || errors.As(err, &connecting) {
		return err
	}
	return statementError{statement, err}
}

// connectError is an error of connecting: no statement was sent.
type connectError struct{ cause error }

func (e connectError) Error() string { return e.cause.Error() }
func (e connectError) Unwrap() error { return e.cause }

// readOnlyError says how it was found that the server accepts no writes.
type readOnlyError string

func (e readOnlyError) Error() string { return string(e) }

// unavailableKindOf returns the kind of an error that means ErrUnavailable, or ErrUnavailable itself.
func unavailableKindOf(err error) error {
	var connecting connectError
	var isReadOnly readOnlyError
	switch {
	case hasClass(err, accessDenied) || isOneOf(err, mysql.ErrUnknownPlugin, mysql.ErrNativePassword,
		mysql.ErrOldPassword, mysql.ErrCleartextPassword, mysql.ErrOldProtocol):
		return ErrAccessDenied
	case hasClass(err, unknownDatabase):
		return ErrUnknownDatabase
	case hasClass(err, noRight):
		return ErrNoRights
	case hasClass(err, noTLS) || isTLS(err):
		return ErrTLS
	case hasClass(err, readOnly) || errors.As(err, &isReadOnly):
		return ErrReadOnly
	case errors.As(err, &connecting) && hasClass(err, badSetting):
		return ErrSetting
	}
	return ErrUnavailable
}

// isUnavailable reports whether the database could not be reached or could not serve.
func isUnavailable(err error) bool {
	var network net.Error
	var connecting connectError
	if errors.As(err, &network) || errors.As(err, &connecting) || unavailableKindOf(err) != ErrUnavailable {
		return true
	}
	if isOneOf(err, driver.ErrBadConn,
		mysql.ErrInvalidConn, mysql.ErrBusyBuffer, sql.ErrConnDone, io.EOF, io.ErrUnexpectedEOF) {
		return true
	}
	return hasClass(err, unavailable) || isMissing(err)
}

// isTLS reports whether TLS failed for a lasting reason: the server does not offer it, or its certificate cannot be
// verified.
func isTLS(err error) bool {
	var certificate *tls.CertificateVerificationError
	return errors.As(err, &certificate) || errors.Is(err, mysql.ErrNoTLS)
}

// isMissing reports whether a table or a column does not exist.
func isMissing(err error) bool { return hasClass(err, missing) || hasText(err, missingColumn) }

// isDeadlock reports whether the server undid a statement or a transaction in favour of another one: a retry helps.
func isDeadlock(err error) bool { return hasClass(err, conflict) || isTiDBConflict(err) }

// isTiDBConflict reports whether err is a conflict that has no error number of its own in TiDB.
func isTiDBConflict(err error) bool {
	return hasText(err, lockRetryLimit) || hasText(err, lockWaitTimeout)
}

// isDuplicateKey reports whether a row with the same key exists already.
func isDuplicateKey(err error) bool {
	return hasClass(err, duplicateKey) || errors.Is(err, gorm.ErrDuplicatedKey)
}

// isNotPrepared reports whether a server or proxy refused to prepare a statement, or does not know a prepared one. Such
// an error comes from COM_STMT_PREPARE, which executes nothing, or from COM_STMT_EXECUTE before the execution starts.
// So any statement may be sent again after it.
func isNotPrepared(err error) bool {
	return hasClass(err, notPrepared) || hasText(err, lostPreparedStmt) || hasText(err, unknownPrepared)
}

func isOneOf(err error, targets ...error) bool {
	return slices.ContainsFunc(targets, func(target error) bool { return errors.Is(err, target) })
}
