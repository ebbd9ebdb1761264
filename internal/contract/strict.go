package contract

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
)

const (
	errOtherRequest = Breach("the answer is another request's")
	errNotPlain     = Breach("200 that is not plain JSON")
	errMissing      = Breach("a field is missing")
	errNoJSON       = Breach("the body is no JSON")
	errUnknownField = Breach("a field is not promised")
	errType         = Breach("a field is of another type")
	errTrailing     = Breach("something follows the body")
)

// strict reads a body that may have no other fields, and is followed by nothing.
func strict(body []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return breachOf(err)
	}
	if _, err := d.Token(); err != io.EOF {
		return errTrailing
	}
	return nil
}

// breachOf keeps what a body holds out of the error.
func breachOf(err error) error {
	if _, isType := errors.AsType[*json.UnmarshalTypeError](err); isType {
		return errType
	}
	if strings.HasPrefix(err.Error(), "json: unknown field") {
		return errUnknownField
	}
	return errNoJSON
}

// success reads the body of an answer 200.
func success(a Answer, requestID string, into any) error {
	switch {
	case a.RequestID != requestID:
		return errOtherRequest
	case !strings.HasPrefix(a.ContentType, "application/json") || a.RetryAfter != "" || a.Challenge != "":
		return errNotPlain
	}
	return strict(a.Body, into)
}
