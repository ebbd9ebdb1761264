package client

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// The kinds of errors. Every error of a call matches one of them with errors.Is, except for a *Error with a code that is
// not listed here.
var (
	// ErrInvalidToken means that the server does not know the token, or that its user may not log in: the mini-program must
	// log in again.
	ErrInvalidToken = errors.New("wxlogin: invalid token")

	// ErrBlocked means that the user is disabled. Introspect returns ErrInvalidToken for such users.
	ErrBlocked = errors.New("wxlogin: user blocked")

	// ErrNotFound means that there is no such user. A server that lacks the route, because it is older or because BaseURL is
	// that of its public listener, answers the same.
	ErrNotFound = errors.New("wxlogin: not found")

	// ErrConflict means that another user has this external id.
	ErrConflict = errors.New("wxlogin: conflict")

	// ErrInvalidRequest means that an argument is malformed; Error.Detail says which.
	ErrInvalidRequest = errors.New("wxlogin: invalid request")

	// ErrAPIKey means that Options.APIKey is missing or wrong, or that the server has none and the route needs one.
	ErrAPIKey = errors.New("wxlogin: invalid API key")

	// ErrUndecryptable means that the data cannot be decrypted or is not this user's. A new login helps.
	ErrUndecryptable = errors.New("wxlogin: undecryptable")

	// ErrRateLimited means that there were too many requests; Error.RetryAfter says how long to wait.
	ErrRateLimited = errors.New("wxlogin: rate limited")

	// ErrUnavailable means that the server could not be reached, did not answer in time, failed, or that its answer cannot
	// be read. It says nothing about the token or the user.
	ErrUnavailable = errors.New("wxlogin: unavailable")
)

// codes maps the server's codes to errors.
var codes = map[string]error{
	"invalid_token":   ErrInvalidToken,
	"user_blocked":    ErrBlocked,
	"not_found":       ErrNotFound,
	"conflict":        ErrConflict,
	"invalid_request": ErrInvalidRequest,
	"invalid_api_key": ErrAPIKey,
	"undecryptable":   ErrUndecryptable,
	"rate_limited":    ErrRateLimited,
}

// Error is a call that failed. Its text has the operation, the status, the code and the request id, and nothing that was
// sent.
type Error struct {
	Op         string        // the method of Client, such as Introspect
	Status     int           // of the response; 0 if there was none
	Code       string        // of docs/api.md; "" if the response is not one of the server
	Action     string        // what helps the mini-program: relogin, retry or none
	Detail     string        // the server's explanation, a constant English text
	RequestID  string        // leads to the line in the server's log
	RetryAfter time.Duration // how long to wait before the next try; 0 if the server does not say

	cause     error // why there is no usable response; safe to print
	retryable bool
}

// Error returns the operation and what is known of the response.
func (e *Error) Error() string {
	text := "wxlogin: " + e.Op
	if e.Status != 0 {
		text += ": " + strconv.Itoa(e.Status)
	}
	if e.Code != "" {
		text += " " + e.Code
	}
	if e.RequestID != "" {
		text += " (request " + e.RequestID + ")"
	}
	if e.cause != nil {
		text += ": " + e.cause.Error()
	}
	return text
}

// Is reports whether the error is of a kind: one of this package's Err values.
func (e *Error) Is(target error) bool {
	if target == ErrUnavailable {
		return e.Code == "" || e.Status >= http.StatusInternalServerError
	}
	return target == codes[e.Code]
}

// Unwrap returns why there is no response, such as context.Canceled, or nil.
func (e *Error) Unwrap() error { return e.cause }

var (
	errBroken   = errors.New("no complete response")
	errForeign  = errors.New("not a response of the login server")
	errTooLarge = fmt.Errorf("the response is larger than %d bytes", maxResponse)
)

// transportError is the error of a call that got no complete response. A context that has ended is no reason to try again.
func transportError(ctx context.Context, op string, err error) *Error {
	return &Error{Op: op, cause: safeCause(ctx, err), retryable: ctx.Err() == nil}
}

// safeCause returns what may be printed of an error of net/http, which contains the URL and sometimes a part of the response.
func safeCause(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if op, ok := errors.AsType[*net.OpError](err); ok {
		return op
	}
	if certificate, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return certificate
	}
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return io.ErrUnexpectedEOF
	}
	return errBroken
}

// problemError is the error of a response other than 200: the server's problem (RFC 9457), or that of a proxy, which has no
// code.
func problemError(op string, resp *http.Response, body []byte) *Error {
	e := &Error{Op: op, Status: resp.StatusCode}
	var p struct{ Code, Action, Detail, RequestID string }
	isProblem := strings.HasPrefix(resp.Header.Get("Content-Type"), "application/problem+json")
	if !isProblem || json.Unmarshal(body, &p) != nil || !isPlain(p.Code) {
		e.cause = errForeign
		return e
	}
	e.Code, e.Action, e.Detail = p.Code, p.Action, p.Detail
	if isPlain(p.RequestID) {
		e.RequestID = p.RequestID
	}
	if seconds, err := strconv.ParseUint(resp.Header.Get("Retry-After"), 10, 31); err == nil {
		e.RetryAfter = time.Duration(seconds) * time.Second
	}
	e.retryable = e.Status == http.StatusServiceUnavailable && e.Action == "retry"
	return e
}

// isPlain reports whether a text consists of 1 to 64 letters, digits, '_', '-' and '.': a code or a request id.
func isPlain(text string) bool {
	const plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-."
	return text != "" && len(text) <= 64 && strings.Trim(text, plain) == ""
}
