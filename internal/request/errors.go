package request

import "errors"

// ErrMediaType says that a body is of a type that is not read, or is compressed.
var ErrMediaType = errors.New("fields: unsupported media type")

// Error is a request that cannot be read.
type Error struct {
	Detail string // a constant sentence, fit for a client: it holds nothing that the client sent
	Field  string // the field that is at fault, one that the server asks for; "" if it is none or several
	Cause  error  // for a log; nil where the request itself is at fault
}

func (e *Error) Error() string { return e.Detail }
func (e *Error) Unwrap() error { return e.Cause }

func invalid(detail string) error { return &Error{Detail: detail} }

func invalidField(field, detail string) error { return &Error{Detail: detail, Field: field} }
