package contract

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
)

// Response is the part of an HTTP response that the contract covers.
type Response struct {
	Status      int
	ContentType string
	RetryAfter  string
	Challenge   string // WWW-Authenticate
	RequestID   string // X-Request-Id
	Body        []byte
}

// ResponseOf returns that part of an HTTP response, with the body that the caller has read.
func ResponseOf(resp *http.Response, body []byte) Response {
	h := resp.Header
	return Response{
		Status: resp.StatusCode, ContentType: h.Get("Content-Type"), RetryAfter: h.Get("Retry-After"),
		Challenge: h.Get("Www-Authenticate"), RequestID: h.Get("X-Request-Id"), Body: body,
	}
}

// Violation says how a response breaks the contract. Of the response it holds at most a listed code.
type Violation string

func (v Violation) Error() string { return string(v) }

// Problem is the body of an error response.
type Problem struct {
	Type      string `json:"type"`
	Title     string `json:"title"`
	Status    int    `json:"status"`
	Detail    string `json:"detail"`
	Code      string `json:"code"`
	Action    string `json:"action"` // None, Relogin or Retry
	RequestID string `json:"requestId"`

	RetryAfter int `json:"-"` // seconds; 0 if the action is not Retry
}

// ReadProblem reads an error response to the request with the given id. Its error is a Violation.
func ReadProblem(a Response, requestID string) (Problem, error) {
	if a.RequestID != requestID {
		return Problem{}, errOtherRequest
	}
	var b Problem
	if err := strict(a.Body, &b); err != nil {
		return Problem{}, Violation("no problem: " + err.Error())
	}
	p, listed := expectations[b.Code]
	switch {
	case !listed:
		return Problem{}, Violation("a problem with a code that is not listed")
	case a.Status != p.Status || b.Status != p.Status:
		return Problem{}, Violation(b.Code + " with another status")
	case b.Action != p.Action:
		return Problem{}, Violation(b.Code + " with another action")
	case !strings.HasPrefix(a.ContentType, "application/problem+json"):
		return Problem{}, Violation(b.Code + " that is not problem+json")
	case b.RequestID != requestID || b.Title == "" || b.Detail == "" || b.Type == "":
		return Problem{}, Violation(b.Code + " that is not whole")
	case (p.Status == http.StatusUnauthorized) != (a.Challenge == "Bearer"):
		return Problem{}, Violation(b.Code + " with the wrong WWW-Authenticate")
	}
	var err error
	b.RetryAfter, err = retryAfter(b.Code, p, a.RetryAfter)
	return b, err
}

func retryAfter(code string, p Expectation, value string) (int, error) {
	if p.Action != Retry {
		if value != "" {
			return 0, Violation(code + " with a Retry-After")
		}
		return 0, nil
	}
	seconds, err := strconv.Atoi(value)
	if err != nil || seconds < 1 {
		return 0, Violation(code + " without a proper Retry-After")
	}
	return seconds, nil
}

// Actions that a problem advises.
const (
	None    = "none"
	Relogin = "relogin"
	Retry   = "retry"
)

// Expectation is the status and the action that belong to a problem's code.
type Expectation struct {
	Status int
	Action string
}

var expectations = map[string]Expectation{
	"invalid_request":        {400, None},
	"invalid_code":           {400, Relogin},
	"invalid_token":          {401, Relogin},
	"invalid_api_key":        {401, None},
	"user_blocked":           {403, None},
	"forbidden":              {403, None},
	"not_found":              {404, None},
	"method_not_allowed":     {405, None},
	"request_too_large":      {413, None},
	"unsupported_media_type": {415, None},
	"undecryptable":          {422, Relogin},
	"invalid_picture":        {422, None},
	"rate_limited":           {429, Retry},
	"internal":               {500, None},
	"wechat_unavailable":     {503, Retry},
	"misconfigured":          {503, None},
	"storage_unavailable":    {503, Retry},
}

// Lookup returns what is expected of a code; ok is false if there is no such code.
func Lookup(code string) (e Expectation, ok bool) {
	e, ok = expectations[code]
	return e, ok
}

// Codes returns all codes of problems, in no particular order.
func Codes() []string {
	codes := make([]string, 0, len(expectations))
	for code := range expectations {
		codes = append(codes, code)
	}
	return codes
}

const (
	errOtherRequest = Violation("the answer is another request's")
	errNotPlain     = Violation("200 that is not plain JSON")
	errMissing      = Violation("a field is missing")
	errNoJSON       = Violation("the body is no JSON")
	errUnknownField = Violation("a field is not promised")
	errType         = Violation("a field is of another type")
	errTrailing     = Violation("something follows the body")
)

// strict decodes a body. Unknown fields and data after the JSON value are violations.
func strict(body []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return violationOf(err)
	}
	if _, err := d.Token(); err != io.EOF {
		return errTrailing
	}
	return nil
}

// violationOf replaces a decoder's error, which may quote the body.
func violationOf(err error) error {
	if _, isType := errors.AsType[*json.UnmarshalTypeError](err); isType {
		return errType
	}
	if strings.HasPrefix(err.Error(), "json: unknown field") {
		return errUnknownField
	}
	return errNoJSON
}

// success decodes the body of a response with status 200.
func success(a Response, requestID string, into any) error {
	switch {
	case a.RequestID != requestID:
		return errOtherRequest
	case !strings.HasPrefix(a.ContentType, "application/json") || a.RetryAfter != "" || a.Challenge != "":
		return errNotPlain
	}
	return strict(a.Body, into)
}
