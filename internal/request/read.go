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

// MaxBody is the largest request body in bytes.
const MaxBody = 64 << 10

// Read reads a request's body, form-encoded or JSON.
//
// ErrMediaType: another type of body. *http.MaxBytesError: the body is larger than MaxBody. *Error: Content-Type is given
// twice, or the body ended early, is malformed, has a field twice, a known field that is no string, or anything that is not
// UTF-8, NUL, or half a surrogate pair, in whichever field and in names too.
func Read(w http.ResponseWriter, r *http.Request) (Fields, error) {
	mediaType, err := MediaType(r.Header)
	if err != nil {
		return nil, err
	}
	var parse func([]byte) (Fields, error)
	switch mediaType {
	case "application/x-www-form-urlencoded":
		parse = parseForm
	case "application/json":
		parse = parseJSON
	default:
		return nil, ErrMediaType
	}
	body, err := readBody(w, r)
	if err != nil {
		return nil, err
	}
	if err := mixedUp(mediaType, body); err != nil {
		return nil, err
	}
	return parse(body)
}

// looksLikeForm matches a form-encoded field.
var looksLikeForm = regexp.MustCompile(`^[A-Za-z0-9_.+%-]+=`)

// mixedUp finds a JSON object that is sent as a form, and a form that is sent as JSON: which field is missing would be no help.
func mixedUp(mediaType string, body []byte) error {
	object := bytes.HasPrefix(bytes.TrimLeft(body, " \t\r\n\ufeff"), []byte("{"))
	switch {
	case mediaType == "application/x-www-form-urlencoded" && object:
		return invalid("The body is JSON, but its Content-Type is application/x-www-form-urlencoded: send application/json.")
	case mediaType == "application/json" && looksLikeForm.Match(body):
		return invalid("The body is a form, but its Content-Type is application/json: send application/x-www-form-urlencoded.")
	}
	return nil
}

// MediaType returns the media type of a request's body, without its parameters.
//
// *Error: Content-Type is given twice, even if both say the same. ErrMediaType: it is missing or malformed, or the body is
// compressed.
func MediaType(header http.Header) (string, error) {
	types := header.Values("Content-Type")
	if len(types) > 1 {
		return "", invalid("Content-Type is given twice.")
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

// readBody reads at most MaxBody bytes; more is a *http.MaxBytesError.
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

// Fields are the fields of a request body by name. A field that is absent, null or empty is not in it.
type Fields map[string]string

// Required gives a field, or an *Error that names it where it is missing.
func (f Fields) Required(name string) (string, error) {
	if v := f[name]; v != "" {
		return v, nil
	}
	return "", invalidField(name, "The field "+name+" is missing.")
}

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

// Token finds the token of a request: in the Authorization header, as session.BearerToken reads it, or in the field token.
// With such a header the field alone is not enough. The token's shape is not looked at: whatever is no token of ours is
// refused by the session store.
//
// *Error: header and field name different tokens.
func Token(header http.Header, f Fields) (string, error) {
	if len(header.Values("Authorization")) == 0 {
		return f["token"], nil
	}
	token, ok := session.BearerToken(header)
	if field := f["token"]; ok && field != "" && field != token {
		return "", invalidField("token", "Authorization and the field token differ.")
	}
	return token, nil
}
