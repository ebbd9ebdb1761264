package wechat

import (
	"context"
	"errors"
	"net/http"
	"regexp"
	"strconv"
	"strings"
)

// Kind says what a failed call means for the caller.
type Kind int

// The kinds of failure. An unknown errcode is KindMisconfigured: only an error that is known to be temporary is worth a
// retry, and the error contains errcode and rid for the operator.
const (
	KindUnknown       Kind = iota // no error
	KindInvalidCode               // 40029, 40163, 40013 for a phone code: the mini-program must get a new code
	KindBlocked                   // 40226: WeChat considers the user a risk; do not retry
	KindRateLimited               // 45011: too many calls this minute
	KindMisconfigured             // every other errcode: the operator must act
	KindUnavailable               // -1, -1000, no connection, time-out, not HTTP 200, unreadable
	KindUnusable                  // the response lacks a required field; the code is spent, and a new one is needed
)

// String returns the kind's name, such as "invalid_code". It can be used as a metric's label.
func (k Kind) String() string {
	if k < 0 || int(k) >= len(kindNames) {
		return kindNames[KindUnknown]
	}
	return kindNames[k]
}

var kindNames = [...]string{
	KindUnknown: "unknown", KindInvalidCode: "invalid_code", KindBlocked: "blocked", KindRateLimited: "rate_limited",
	KindMisconfigured: "misconfigured", KindUnavailable: "unavailable", KindUnusable: "unusable",
}

// KindOf returns the Kind of an error: KindUnknown for nil, and KindUnavailable if it does not wrap an *Error.
func KindOf(err error) Kind {
	if err == nil {
		return KindUnknown
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Kind
	}
	return KindUnavailable
}

// Error is a failed call to WeChat: WeChat responded with an errcode, or it could not be reached, or its response was
// unusable.
//
// Neither the error nor the errors it wraps contain a URL, a code or a secret, nor WeChat's errmsg, which may repeat
// values of the request. errors.Is finds context.Canceled, and context.DeadlineExceeded for every time-out.
type Error struct {
	Kind    Kind
	API     string // as in Call
	ErrCode int    // WeChat's errcode; 0 if it sent none
	RID     string // the request id that WeChat's support asks for, such as 652d44d0-1d0af18b-5b069232; may be empty
	Status  int    // the HTTP status; 0 if there was no response

	cause     error // sanitized; may be nil
	retryable bool  // the call certainly did nothing at WeChat
}

// Error describes the failure in this package's words, with errcode and rid.
func (e *Error) Error() string {
	text := "wechat: " + e.API + ": " + e.text()
	switch {
	case e.ErrCode != 0 && e.RID != "":
		text += " (errcode " + strconv.Itoa(e.ErrCode) + ", rid " + e.RID + ")"
	case e.ErrCode != 0:
		text += " (errcode " + strconv.Itoa(e.ErrCode) + ")"
	case e.Status != 0 && e.Status != http.StatusOK:
		text += " (HTTP status " + strconv.Itoa(e.Status) + ")"
	}
	if e.cause != nil {
		text += ": " + e.cause.Error()
	}
	return text
}

// Unwrap returns the sanitized cause: context.Canceled, context.DeadlineExceeded, a text of this package, a
// syscall.Errno, or nil.
func (e *Error) Unwrap() error { return e.cause }

// IsTransport reports whether WeChat could not be reached or its response was unreadable. It is false if WeChat
// responded with an errcode and if the caller cancelled the call. Circuit breakers should count only these errors.
func (e *Error) IsTransport() bool {
	return e.Kind == KindUnavailable && e.ErrCode == 0 && !errors.Is(e.cause, context.Canceled)
}

// IsInvalidToken reports whether err says that WeChat refused the call's access_token, because it has expired or was
// replaced (40001, 40014, 42001). The call did nothing and may be repeated with another token. From stable_token, which
// takes no access_token, the same errcodes mean the AppSecret and are not reported.
func IsInvalidToken(err error) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && e.API != apiStableToken &&
		(e.ErrCode == errCodeBadCredential || e.ErrCode == errCodeBadToken || e.ErrCode == errCodeTokenExpired)
}

func (e *Error) text() string {
	if e.ErrCode != 0 {
		_, text := classify(e.API, e.ErrCode)
		return text
	}
	switch e.Kind {
	case KindInvalidCode:
		return "invalid code"
	case KindUnusable:
		return "unusable response"
	}
	return "unavailable"
}

// transportError returns the error of a call without a readable response.
func transportError(api string, httpStatus int, cause error) *Error {
	return &Error{Kind: KindUnavailable, API: api, Status: httpStatus, cause: cause}
}

// apiError returns the error of a call to which WeChat responded with an errcode.
func apiError(api string, httpStatus, errCode int, errMsg string) *Error {
	kind, _ := classify(api, errCode)
	return &Error{
		Kind: kind, API: api, ErrCode: errCode, RID: requestID(errMsg), Status: httpStatus,
		retryable: errCode == ErrCodeBusy,
	}
}

// ridPattern is stricter than necessary, so that no other part of an errmsg is taken for a rid.
var ridPattern = regexp.MustCompile(`rid:\s*([0-9a-f]{8}-[0-9a-f]{8}-[0-9a-f]{8})\b`)

// requestID returns the request id at the end of an errmsg, "" if there is none.
func requestID(errMsg string) string {
	if m := ridPattern.FindStringSubmatch(errMsg); m != nil {
		return m[1]
	}
	return ""
}

// ErrCodeBusy is WeChat's errcode if it is busy and did nothing: "try again". Its Kind is KindUnavailable.
const ErrCodeBusy = -1

// The errcodes for an invalid access_token.
const (
	errCodeBadCredential = 40001
	errCodeBadToken      = 40014
	errCodeTokenExpired  = 42001
)

// errCodeMeaning is the meaning of an errcode, and its text in errors.
type errCodeMeaning struct {
	kind Kind
	text string
}

// errCodes are the errcodes that mean the same for every API. Their sources are WeChat's documentation of the APIs that
// this package calls (developers.weixin.qq.com/doc/oplatform/developers/errCode/errCode.html) and its community.
//
// Only -1, -1000 and 45011 go away within minutes. The errmsg of -1000 is "system error" like that of -1, but it does
// not say that WeChat did nothing. The daily quota (45009) returns the next day, or if an operator resets it.
var errCodes = map[int]errCodeMeaning{
	ErrCodeBusy: {KindUnavailable, "WeChat is busy"},
	-1000:       {KindUnavailable, "WeChat failed"},
	45011:       {KindRateLimited, "too many calls this minute"},

	errCodeBadCredential: {KindMisconfigured, "invalid credential"},
	errCodeBadToken:      {KindMisconfigured, "invalid access_token"},
	errCodeTokenExpired:  {KindMisconfigured, "access_token expired"},

	40002: {KindMisconfigured, "invalid grant_type"},
	40003: {KindMisconfigured, "invalid openid"},
	40013: {KindMisconfigured, "invalid appid"},
	40125: {KindMisconfigured, "invalid appsecret"},
	40164: {KindMisconfigured, "this server's IP address is not on the mini-program's whitelist"},
	40243: {KindMisconfigured, "appsecret frozen"},
	41002: {KindMisconfigured, "appid missing"},
	41004: {KindMisconfigured, "appsecret missing"},
	41008: {KindMisconfigured, "code missing"},
	43002: {KindMisconfigured, "POST is required"},
	43104: {KindMisconfigured, "the appid does not match the openid"},
	45009: {KindMisconfigured, "the daily quota of this API is used up"},
	47001: {KindMisconfigured, "the request cannot be parsed"},
	48001: {KindMisconfigured, "the mini-program may not use this API"},
	48004: {KindMisconfigured, "WeChat has banned the mini-program from this API"},
	50002: {KindMisconfigured, "the account is frozen or closed"},
	50004: {KindMisconfigured, "this API is forbidden to the account"},
	50007: {KindMisconfigured, "the account is frozen"},
	61024: {KindMisconfigured, "the mini-program may not make this call itself"},
	89501: {KindMisconfigured, "the administrator has not yet confirmed this server's IP address"},
	89503: {KindMisconfigured, "this server's IP address needs the administrator's confirmation"},
	89506: {KindMisconfigured, "the administrator has refused this server's IP address twice; it may call again in 24 hours"},
	89507: {KindMisconfigured, "the administrator has refused this server's IP address; it may call again in an hour"},
}

// codeErrCodes are the errcodes of APIs that take a code.
var codeErrCodes = map[int]errCodeMeaning{
	40029: {KindInvalidCode, "invalid code"},
	40163: {KindInvalidCode, "code already used"},
	40226: {KindBlocked, "user blocked by WeChat"},
}

// phoneErrCodes are errcodes with another meaning for getuserphonenumber. It takes no appid and compares that of the
// access_token with that of the code.
var phoneErrCodes = map[int]errCodeMeaning{40013: {KindInvalidCode, "another mini-program's code"}}

// classify returns the meaning of an API's errcode, and its text in errors.
func classify(api string, errCode int) (Kind, string) {
	tables := []map[int]errCodeMeaning{errCodes}
	switch api {
	case apiCode2Session:
		tables = []map[int]errCodeMeaning{codeErrCodes, errCodes}
	case apiPhoneNumber:
		tables = []map[int]errCodeMeaning{phoneErrCodes, codeErrCodes, errCodes}
	}
	for _, table := range tables {
		if known, ok := table[errCode]; ok {
			return known.kind, known.text
		}
	}
	if errCode/100 == 410 {
		return KindMisconfigured, "a parameter is missing"
	}
	return KindMisconfigured, "unknown errcode"
}

// reason is why a call failed if WeChat sent no errcode: one of the constants below, or the result of missingFields.
type reason string

func (c reason) Error() string { return string(c) }

const (
	reasonNotACode       reason = "not a valid code; not sent"
	reasonNoHost         reason = "host name cannot be resolved"
	reasonNoConnection   reason = "no connection"
	reasonCertificate    reason = "certificate cannot be verified"
	reasonConnectionLost reason = "connection lost, or the response is not HTTP"
	reasonTooLong        reason = "response too long"
	reasonNotJSON        reason = "response is not a JSON object"
)

// missingFields returns the reason for a response without required fields. The names come from this package, not from
// WeChat.
func missingFields(fields []string) reason {
	return reason("no usable " + strings.Join(fields, ", "))
}
