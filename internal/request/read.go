package request

import (
	"bytes"
	"mime"
	"net/http"
	"regexp"
	"slices"
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
