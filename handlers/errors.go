package handlers

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"strconv"

	"wxlogin/internal/request"
	"wxlogin/session"
	"wxlogin/store"
	"wxlogin/wechat"
)

// code is a stable word for what went wrong. Clients may switch on it; the list is closed.
type code string

const (
	codeInvalidRequest       code = "invalid_request"
	codeInvalidCode          code = "invalid_code"
	codeInvalidToken         code = "invalid_token"
	codeInvalidAPIKey        code = "invalid_api_key"
	codeUserBlocked          code = "user_blocked"
	codeForbidden            code = "forbidden"
	codeNotFound             code = "not_found"
	codeMethodNotAllowed     code = "method_not_allowed"
	codeRequestTooLarge      code = "request_too_large"
	codeUnsupportedMediaType code = "unsupported_media_type"
	codeUndecryptable        code = "undecryptable"
	codeInvalidPicture       code = "invalid_picture"
	codeRateLimited          code = "rate_limited"
	codeInternal             code = "internal"
	codeWeChatUnavailable    code = "wechat_unavailable"
	codeMisconfigured        code = "misconfigured"
	codeStorageUnavailable   code = "storage_unavailable"
)

// action tells a client what helps.
type action string

const (
	actionNone    action = "none"    // nothing the client could do by itself
	actionRelogin action = "relogin" // call wx.login, then /onLogin
	actionRetry   action = "retry"   // the same request again, after Retry-After
)

// problem is what a code means in HTTP.
type problem struct {
	status     int
	title      string
	detail     string
	action     action
	retryAfter int // seconds; 0: no Retry-After
}

// problems is the closed list: every error answer of this server is one of these.
var problems = map[code]problem{
	codeInvalidRequest: {http.StatusBadRequest, "Invalid request",
		"The request cannot be read.", actionNone, 0},
	codeInvalidCode: {http.StatusBadRequest, "Invalid code",
		"WeChat does not accept this code: it was used, is older than 5 minutes, or belongs to another mini-program.", actionRelogin, 0},
	codeInvalidToken: {http.StatusUnauthorized, "Invalid token",
		"The token is missing, malformed, unknown, expired or revoked.", actionRelogin, 0},
	codeInvalidAPIKey: {http.StatusUnauthorized, "Invalid API key",
		"The API key is missing or is not this server's.", actionNone, 0},
	codeUserBlocked: {http.StatusForbidden, "User blocked",
		"This user may not log in.", actionNone, 0},
	codeForbidden: {http.StatusForbidden, "Forbidden",
		"The gateway's API key is missing or is not this server's.", actionNone, 0},
	codeNotFound: {http.StatusNotFound, "Not found",
		"There is nothing at this path.", actionNone, 0},
	codeMethodNotAllowed: {http.StatusMethodNotAllowed, "Method not allowed",
		"This path does not take this method; Allow names those it takes.", actionNone, 0},
	codeRequestTooLarge: {http.StatusRequestEntityTooLarge, "Request too large",
		"The body is larger than 64 KiB.", actionNone, 0},
	codeUnsupportedMediaType: {http.StatusUnsupportedMediaType, "Unsupported media type",
		"Send application/x-www-form-urlencoded or application/json, not compressed.", actionNone, 0},
	codeUndecryptable: {http.StatusUnprocessableEntity, "Undecryptable",
		"The data cannot be decrypted or is not this user's.", actionRelogin, 0},
	codeInvalidPicture: {http.StatusUnprocessableEntity, "Invalid picture",
		"The file is not a JPEG, PNG, WebP or GIF picture that can be used.", actionNone, 0},
	codeRateLimited: {http.StatusTooManyRequests, "Rate limited",
		"Too many requests.", actionRetry, 60},
	codeInternal: {http.StatusInternalServerError, "Internal error",
		"The server failed; its log has the cause under this request id.", actionNone, 0},
	codeWeChatUnavailable: {http.StatusServiceUnavailable, "WeChat unavailable",
		"WeChat does not answer.", actionRetry, 2},
	codeMisconfigured: {http.StatusServiceUnavailable, "Misconfigured",
		"WeChat refuses this server; its operator must look at the log.", actionNone, 0},
	codeStorageUnavailable: {http.StatusServiceUnavailable, "Storage unavailable",
		"The server's storage does not answer.", actionRetry, 2},
}

// failure is an error that already knows its code. detail and retryAfter, if given, replace the code's own. The client sees
// detail, so it is always a constant; cause is for the log alone.
type failure struct {
	code       code
	detail     string
	field      string // of the request, which a 400 is about; for the log
	retryAfter int    // seconds
	cause      error
}

func (f failure) Error() string { return string(f.code) }
func (f failure) Unwrap() error { return f.cause }

// isUnusable reports whether WeChat answered to a code without what is needed: a matter for the operator, although a new code
// is what may help the client.
func isUnusable(err error) bool { return wechat.KindOf(err) == wechat.KindUnusable }

// invalidRequest names what is wrong with a request. detail must hold nothing that the client sent.
func invalidRequest(detail string) error { return failure{code: codeInvalidRequest, detail: detail} }

// invalidField is invalidRequest for what is wrong with one field, which must be one that the server asks for.
func invalidField(field, detail string) error {
	return failure{code: codeInvalidRequest, detail: detail, field: field}
}

// kindCodes says what each kind of fault at WeChat means to a client.
var kindCodes = map[wechat.Kind]code{
	wechat.KindInvalidCode:   codeInvalidCode,
	wechat.KindBlocked:       codeUserBlocked,
	wechat.KindRateLimited:   codeRateLimited,
	wechat.KindMisconfigured: codeMisconfigured,
	wechat.KindUnavailable:   codeWeChatUnavailable,
	wechat.KindUnusable:      codeInvalidCode, // it is spent: what helps is a new one
}

// kindDetails replace the detail of a kind's code.
var kindDetails = map[wechat.Kind]string{
	wechat.KindUnusable: "WeChat's answer to this code cannot be used; the code is spent.",
}

// classify turns any error into a failure, once, at the edge.
func classify(err error) failure {
	var f failure
	var fromWeChat *wechat.Error
	var tooLarge *http.MaxBytesError
	var unreadable *request.Error
	switch {
	case errors.As(err, &f):
		return f
	case errors.As(err, &unreadable):
		return failure{code: codeInvalidRequest, detail: unreadable.Detail, field: unreadable.Field, cause: unreadable.Cause}
	case errors.Is(err, request.ErrMediaType):
		return failure{code: codeUnsupportedMediaType}
	case errors.As(err, &tooLarge):
		return failure{code: codeRequestTooLarge}
	case errors.Is(err, wechat.ErrDecrypt):
		return failure{code: codeUndecryptable}
	case errors.As(err, &fromWeChat):
		if c, ok := kindCodes[fromWeChat.Kind]; ok {
			return failure{code: c, detail: kindDetails[fromWeChat.Kind], cause: err}
		}
		return failure{code: codeInternal, cause: err}
	case errors.Is(err, session.ErrNotFound), errors.Is(err, store.ErrNotFound):
		return failure{code: codeInvalidToken}
	case errors.Is(err, session.ErrUnavailable), errors.Is(err, store.ErrUnavailable),
		errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return failure{code: codeStorageUnavailable, cause: err}
	}
	return failure{code: codeInternal, cause: err}
}

// problemAnswer is the body of every error answer (RFC 9457), with the status that mini-program code tests.
type problemAnswer struct {
	Type      string `json:"type"`
	Title     string `json:"title"`
	Status    int    `json:"status"`
	Detail    string `json:"detail"`
	Code      code   `json:"code"`
	Action    action `json:"action"`
	RequestID string `json:"requestId"`
}

// writeFailure answers with the problem of f's code and leaves f to the access log.
func writeFailure(w http.ResponseWriter, r *http.Request, f failure) {
	p, ok := problems[f.code]
	if !ok {
		p = problems[codeInternal]
	}
	detail := f.detail
	if detail == "" {
		detail = p.detail
	}
	scope := scopeOf(r.Context())
	scope.failure = f
	scope.expected = errors.Is(f.cause, errStopping)
	if seconds := cmp.Or(f.retryAfter, p.retryAfter); seconds > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(seconds))
	}
	if p.status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", "Bearer")
	}
	writeBody(w, p.status, contentTypeProblem, problemAnswer{
		Type: "urn:wxlogin:problem:" + string(f.code), Title: p.title, Status: p.status, Detail: detail,
		Code: f.code, Action: p.action, RequestID: scope.requestID,
	})
}
