package store

import (
	"crypto/tls"
	"errors"

	"github.com/go-sql-driver/mysql"
)

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
