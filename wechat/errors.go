package wechat

import (
	"context"
	"errors"
	"net/http"
	"regexp"
	"strconv"
	"strings"
)

// Kind says what a failed call means to the caller.
type Kind int

// The kinds of failure. An errcode that is not known is KindMisconfigured: only what is known to pass by itself is worth another
// try, and the errcode and rid are in the error for the operator.
const (
	KindUnknown       Kind = iota // no error
	KindInvalidCode               // 40029, 40163, 40013 for a phone code: the mini-program must get a new code
	KindBlocked                   // 40226: WeChat holds the user for a risk; not to be repeated
	KindRateLimited               // 45011: too many calls this minute
	KindMisconfigured             // every other errcode: a job for the operator
	KindUnavailable               // -1, -1000, no connection, time-out, not HTTP 200, unreadable
	KindUnusable                  // an answer without what is needed of it: the code is spent, and a new one is needed
)

// String returns the kind's name, as it may be used for a metric's label: "invalid_code" and so on.
func (k Kind) String() string {
	switch k {
	case KindInvalidCode:
		return "invalid_code"
	case KindBlocked:
		return "blocked"
	case KindRateLimited:
		return "rate_limited"
	case KindMisconfigured:
		return "misconfigured"
	case KindUnavailable:
		return "unavailable"
	case KindUnusable:
		return "unusable"
	default:
		return "unknown"
	}
}

// KindOf returns the Kind of an error of this package: KindUnknown for nil, and KindUnavailable for an error that is
// no *Error.
func KindOf(err error) Kind {
	if err == nil {
		return KindUnknown
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Kind
	}
	return KindUnavailable
}

// Error is a call to WeChat that failed: WeChat answered with an errcode, or could not be reached or understood.
//
// Neither the error nor what it wraps holds a URL, a code or a secret, or a word of WeChat's errmsg, which may repeat
// what it was sent. errors.Is finds context.Canceled and context.DeadlineExceeded (for every time-out).
type Error struct {
	Kind    Kind
	API     string // as in Call
	ErrCode int    // WeChat's errcode; 0 where it gave none
	RID     string // the request id that WeChat's support asks for, such as 652d44d0-1d0af18b-5b069232; may be empty
	Status  int    // the HTTP status; 0 where there was no answer

	cause      error // sanitized; may be nil
	repeatable bool  // certainly nothing happened at WeChat
}

// Error describes the failure in words of this package, with the errcode and rid.
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

// Transport reports whether WeChat could not be reached or understood, as opposed to having answered with an errcode
// or having been given up by the caller. Circuit breakers should count these only.
func (e *Error) IsTransport() bool {
	return e.Kind == KindUnavailable && e.ErrCode == 0 && !errors.Is(e.cause, context.Canceled)
}

// IsInvalidToken reports whether an error of this package says that WeChat did not take the access_token of the call: it has
// expired, or was replaced (40001, 40014, 42001). The call did nothing, and may be made again with another token. The same
// errcodes of stable_token, which takes no access_token, are about the AppSecret.
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
		return "unusable answer"
	}
	return "unavailable"
}

// unavailable is the error of a call that WeChat did not answer, or not in a way that can be understood.
func unavailable(api string, httpStatus int, cause error) *Error {
	return &Error{Kind: KindUnavailable, API: api, Status: httpStatus, cause: cause}
}

// answered is the error of a call that WeChat refused with an errcode.
func answered(api string, httpStatus, errCode int, errMsg string) *Error {
	kind, _ := classify(api, errCode)
	return &Error{
		Kind: kind, API: api, ErrCode: errCode, RID: requestID(errMsg), Status: httpStatus,
		repeatable: errCode == ErrCodeBusy,
	}
}

// ridPattern is stricter than need be to find a rid, so that nothing else of an errmsg can pass for one.
var ridPattern = regexp.MustCompile(`rid:\s*([0-9a-f]{8}-[0-9a-f]{8}-[0-9a-f]{8})\b`)

// requestID finds the request id that WeChat puts at the end of an errmsg.
func requestID(errMsg string) string {
	if m := ridPattern.FindStringSubmatch(errMsg); m != nil {
		return m[1]
	}
	return ""
}

// ErrCodeBusy is WeChat's answer when it did nothing because it is busy: "try again". Its Kind is KindUnavailable.
const ErrCodeBusy = -1

// The errcodes that say that the access_token of a call is not valid.
const (
	errCodeBadCredential = 40001
	errCodeBadToken      = 40014
	errCodeTokenExpired  = 42001
)

// meaning is what an errcode means, and the text to say so.
type meaning struct {
	kind Kind
	text string
}

// errCodes are the errcodes that mean the same for every API, from WeChat's documentation of the APIs that this package calls
// (developers.weixin.qq.com/doc/oplatform/developers/errCode/errCode.html) and its community.
//
// Only -1, -1000 and 45011 pass within minutes: with -1000 WeChat says "system error" as with -1, but not that it did nothing.
// The daily quota (45009) is there again tomorrow, or when an operator resets it.
var errCodes = map[int]meaning{
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
	43104: {KindMisconfigured, "the appid does not fit to the openid"},
	45009: {KindMisconfigured, "the daily quota of this API is used up"},
	47001: {KindMisconfigured, "the request cannot be read"},
	48001: {KindMisconfigured, "the mini-program may not use this API"},
	48004: {KindMisconfigured, "WeChat has banned the mini-program from this API"},
	50002: {KindMisconfigured, "the account is frozen or closed"},
	50004: {KindMisconfigured, "this API is forbidden to the account"},
	50007: {KindMisconfigured, "the account is frozen"},
	61024: {KindMisconfigured, "the mini-program may not make this call itself"},
	89501: {KindMisconfigured, "this server's IP address waits for the administrator's confirmation"},
	89503: {KindMisconfigured, "this server's IP address needs the administrator's confirmation"},
	89506: {KindMisconfigured, "the administrator has refused this server's IP address twice; it may call again in 24 hours"},
	89507: {KindMisconfigured, "the administrator has refused this server's IP address; it may call again in an hour"},
}

// codeErrCodes are about the code that an API takes, or about its user.
var codeErrCodes = map[int]meaning{
	40029: {KindInvalidCode, "invalid code"},
	40163: {KindInvalidCode, "code already used"},
	40226: {KindBlocked, "user blocked by WeChat"},
}

// phoneErrCodes are those of getuserphonenumber that mean something else than for other APIs: it takes no appid, and compares
// the access_token's with the code's.
var phoneErrCodes = map[int]meaning{40013: {KindInvalidCode, "another mini-program's code"}}

// classify returns what an errcode of an API means, and the text to say so.
func classify(api string, errCode int) (Kind, string) {
	tables := []map[int]meaning{errCodes}
	switch api {
	case apiCode2Session:
		tables = []map[int]meaning{codeErrCodes, errCodes}
	case apiPhoneNumber:
		tables = []map[int]meaning{phoneErrCodes, codeErrCodes, errCodes}
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

// cause is why a call failed if WeChat gave no errcode: one of the constants below, or what causeMissing returns.
type cause string

// Error returns the text.
func (c cause) Error() string { return string(c) }

const (
	causeNoCode       cause = "not a code of WeChat's; not sent"
	causeNoHost       cause = "the host name cannot be resolved"
	causeNoConnection cause = "no connection"
	causeCertificate  cause = "the certificate cannot be verified"
	causeLost         cause = "the connection was lost, or the answer is not HTTP"
	causeTooLong      cause = "the answer is too long"
	causeNotJSON      cause = "the answer is not the JSON expected"
)

// causeMissing names the fields that an answer should have: names of this package's, not WeChat's words.
func causeMissing(fields []string) cause {
	return cause("the answer holds no usable " + strings.Join(fields, ", "))
}
