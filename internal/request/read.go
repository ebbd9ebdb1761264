// Package request reads the fields and the token of a request.
//
//	fields, err := request.Read(w, r) // application/x-www-form-urlencoded or application/json
//	if err != nil {
//		return err
//	}
//	code, err := fields.Required("code")
//	// …
//	token, err := request.Token(r.Header, fields) // from Authorization or the field token
//
// A request has one reading or it is rejected. If two parsers could read it differently, it is an error: a field that
// is given twice, a known field of another type, two tokens that differ, or text that is not UTF-8 in any field. Other
// unknown fields are ignored.
//
// The package imports neither the router nor any database client, so that its fuzz targets run fast. Package handlers
// turns its errors into responses.
package request

import (
	"bytes"
	"errors"
	"mime"
	"net/http"
	"regexp"
	"slices"

	"wxlogin/session"
)

// MaxBody is the maximum size of a request body in bytes.
const MaxBody = 64 << 10

const (
	formType = "application/x-www-form-urlencoded"
	jsonType = "application/json"
)

// ErrMediaType means that a body has an unsupported media type, or is compressed.
var ErrMediaType = errors.New("request: unsupported media type")

// Error is a request that cannot be read.
type Error struct {
	Detail string // a constant sentence for the client; it contains nothing that the client sent
	Field  string // the invalid field, if it is a single known one, else ""
	Cause  error  // for the log; nil if the request itself is invalid
}

func (e *Error) Error() string { return e.Detail }
func (e *Error) Unwrap() error { return e.Cause }

func newError(detail string) error { return &Error{Detail: detail} }

func newFieldError(field, detail string) error { return &Error{Detail: detail, Field: field} }

// Fields are the fields of a request body by name. Fields that are null or empty are left out.
type Fields map[string]string

// Required returns a field, or an *Error that names it if it is missing.
func (f Fields) Required(name string) (string, error) {
	if v := f[name]; v != "" {
		return v, nil
	}
	return "", newFieldError(name, name+" is required.")
}

// Read reads a form or JSON body.
//
// It returns ErrMediaType for any other type of body, *http.MaxBytesError if the body is larger than MaxBody, and
// *Error if Content-Type is given twice or the body cannot be read: it ended early, is malformed, has a field twice or
// a known field that is not a string. Invalid UTF-8, NUL and half a surrogate pair are an *Error too, in any name or
// value.
func Read(w http.ResponseWriter, r *http.Request) (Fields, error) {
	mediaType, err := MediaType(r.Header)
	if err != nil {
		return nil, err
	}
	var parse func([]byte) (Fields, error)
	switch mediaType {
	case formType:
		parse = parseForm
	case jsonType:
		parse = parseJSON
	default:
		return nil, ErrMediaType
	}
	body, err := readBody(w, r)
	if err != nil {
		return nil, err
	}
	if err := checkMismatch(mediaType, body); err != nil {
		return nil, err
	}
	return parse(body)
}

// looksLikeForm matches the beginning of a form.
var looksLikeForm = regexp.MustCompile(`^[A-Za-z0-9_.+%-]+=`)

// checkMismatch returns an error for JSON that is sent as a form and for a form that is sent as JSON. Otherwise the
// client would learn only that a field is missing.
func checkMismatch(mediaType string, body []byte) error {
	object := bytes.HasPrefix(bytes.TrimLeft(body, " \t\r\n\ufeff"), []byte("{"))
	switch {
	case mediaType == formType && object:
		return newError("The body is JSON, but its Content-Type is application/x-www-form-urlencoded: send application/json.")
	case mediaType == jsonType && looksLikeForm.Match(body):
		return newError("The body is a form, but its Content-Type is application/json: send application/x-www-form-urlencoded.")
	}
	return nil
}

// MediaType returns the media type of a request body without its parameters.
//
// It returns *Error if Content-Type is given twice, even with the same value, and ErrMediaType if it is missing or
// malformed or the body is compressed.
func MediaType(header http.Header) (string, error) {
	types := header.Values("Content-Type")
	if len(types) > 1 {
		return "", newError("Content-Type is given twice.")
	}
	compressed := slices.ContainsFunc(header.Values("Content-Encoding"), func(coding string) bool { return coding != "" })
	if len(types) == 0 || compressed {
		return "", ErrMediaType
	}
	mediaType, _, err := mime.ParseMediaType(types[0])
	if err != nil {
		return "", ErrMediaType
	}
	return mediaType, nil
}

// readBody reads a body of at most MaxBody bytes.
func readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	if r.ContentLength > MaxBody {
		return nil, &http.MaxBytesError{Limit: MaxBody}
	}
	var buf bytes.Buffer
	if r.ContentLength > 0 {
		buf.Grow(int(r.ContentLength) + bytes.MinRead)
	}
	if _, err := buf.ReadFrom(http.MaxBytesReader(w, r.Body, MaxBody)); err != nil {
		if _, tooLarge := err.(*http.MaxBytesError); tooLarge {
			return nil, err
		}
		return nil, &Error{Detail: "The body ended early.", Cause: err}
	}
	return buf.Bytes(), nil
}

// Token returns the token of a request: from the Authorization header, as session.BearerToken reads it, or from the
// field token. If there is an Authorization header without a bearer token, the field is not used. The result is "" if
// there is no token; its form is not checked, because the session store rejects whatever is not a token.
//
// It returns *Error if header and field differ.
func Token(header http.Header, f Fields) (string, error) {
	if len(header.Values("Authorization")) == 0 {
		return f["token"], nil
	}
	token, ok := session.BearerToken(header)
	if field := f["token"]; ok && field != "" && field != token {
		return "", newFieldError("token", "Authorization and the field token differ.")
	}
	return token, nil
}
