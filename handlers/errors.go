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
	"wxlogin/wechat/accesstoken"
)

// code is a stable identifier of an error. Clients may switch on it; the list is closed.
type code string

const (
	codeInvalidRequest       code = "invalid_request"
	codeInvalidCode          code = "invalid_code"
	codeInvalidToken         code = "invalid_token"
	codeStaleSession         code = "stale_session"
	codeInvalidAPIKey        code = "invalid_api_key"
	codeUserBlocked          code = "user_blocked"
	codeForbidden            code = "forbidden"
	codeNotFound             code = "not_found"
	codeConflict             code = "conflict"
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

// action is what a client should do about an error.
type action string

const (
	actionNone    action = "none"    // nothing that the client could do on its own
	actionRelogin action = "relogin" // call wx.login, then /onLogin
	actionRetry   action = "retry"   // send the same request again, after Retry-After
)

// problem is the HTTP form of a code.
type problem struct {
	status     int
	title      string
	detail     string
	action     action
	retryAfter int // seconds; 0: no Retry-After
}

// problems has every error response of this server.
var problems = map[code]problem{
	codeInvalidRequest: {http.StatusBadRequest, "Invalid request",
		"The request cannot be read.", actionNone, 0},
	codeInvalidCode: {http.StatusBadRequest, "Invalid code",
		"WeChat rejected the code: it was used before, is older than 5 minutes, or belongs to another mini-program.", actionRelogin, 0},
	codeInvalidToken: {http.StatusUnauthorized, "Invalid token",
		"The token is missing, malformed, unknown, expired or revoked.", actionRelogin, 0},
	codeStaleSession: {http.StatusUnauthorized, "Stale session",
		"This needs a session that began at most 5 minutes ago: log in again.", actionRelogin, 0},
	codeInvalidAPIKey: {http.StatusUnauthorized, "Invalid API key",
		"The API key is missing or wrong.", actionNone, 0},
	codeUserBlocked: {http.StatusForbidden, "User blocked",
		"This user may not log in.", actionNone, 0},
	codeForbidden: {http.StatusForbidden, "Forbidden",
		"The gateway's API key is missing or wrong.", actionNone, 0},
	codeNotFound: {http.StatusNotFound, "Not found",
		"There is nothing at this path.", actionNone, 0},
	codeConflict: {http.StatusConflict, "Conflict",
		"Another user has this external id.", actionNone, 0},
	codeMethodNotAllowed: {http.StatusMethodNotAllowed, "Method not allowed",
		"This path does not take this method; see the Allow header.", actionNone, 0},
	codeRequestTooLarge: {http.StatusRequestEntityTooLarge, "Request too large",
		"The body is larger than 64 KiB.", actionNone, 0},
	codeUnsupportedMediaType: {http.StatusUnsupportedMediaType, "Unsupported media type",
		"Send application/x-www-form-urlencoded or application/json, uncompressed.", actionNone, 0},
	codeUndecryptable: {http.StatusUnprocessableEntity, "Undecryptable",
		"The data cannot be decrypted or is not this user's.", actionRelogin, 0},
	codeInvalidPicture: {http.StatusUnprocessableEntity, "Invalid picture",
		"The file is not a valid JPEG, PNG, WebP or GIF picture.", actionNone, 0},
	codeRateLimited: {http.StatusTooManyRequests, "Rate limited",
		"Too many requests.", actionRetry, 60},
	codeInternal: {http.StatusInternalServerError, "Internal error",
		"Internal error; the server's log has the cause under this request id.", actionNone, 0},
	codeWeChatUnavailable: {http.StatusServiceUnavailable, "WeChat unavailable",
		"WeChat does not respond.", actionRetry, 2},
	codeMisconfigured: {http.StatusServiceUnavailable, "Misconfigured",
		"WeChat rejects this server; its operator must check the log.", actionNone, 0},
	codeStorageUnavailable: {http.StatusServiceUnavailable, "Storage unavailable",
		"The server's storage does not answer.", actionRetry, 2},
}

// apiError is an error with its code. If detail or retryAfter is set, it replaces the code's own. Clients see detail,
// so it is always a constant; cause is only logged.
type apiError struct {
	code       code
	detail     string
	field      string // the request field that a 400 is about; logged
	retryAfter int    // seconds
	cause      error
}

func (e apiError) Error() string { return string(e.code) }
func (e apiError) Unwrap() error { return e.cause }

// invalidRequest returns the error for a malformed request. detail must not contain anything that the client sent.
func invalidRequest(detail string) error { return apiError{code: codeInvalidRequest, detail: detail} }

// invalidField is invalidRequest for one field, which must be one that the server reads.
func invalidField(field, detail string) error {
	return apiError{code: codeInvalidRequest, detail: detail, field: field}
}

// wechatCodes maps WeChat's errors to codes.
var wechatCodes = map[wechat.Kind]code{
	wechat.KindInvalidCode:   codeInvalidCode,
	wechat.KindBlocked:       codeUserBlocked,
	wechat.KindRateLimited:   codeRateLimited,
	wechat.KindMisconfigured: codeMisconfigured,
	wechat.KindUnavailable:   codeWeChatUnavailable,
	wechat.KindUnusable:      codeInvalidCode, // the code is spent, so the client needs a new one
}

// wechatDetails replace the detail of a code.
var wechatDetails = map[wechat.Kind]string{
	wechat.KindUnusable: "WeChat's response to this code cannot be used; the code is spent.",
}

// isUnusable reports whether WeChat's response to a code lacked a required field. That is the operator's problem,
// although a new code may help the client.
func isUnusable(err error) bool { return wechat.KindOf(err) == wechat.KindUnusable }

// toAPIError classifies any error. It is called once for each failed request, in handle; metrics call it for their
// labels.
func toAPIError(err error) apiError {
	var known apiError
	var fromWeChat *wechat.Error
	var tooLarge *http.MaxBytesError
	var unreadable *request.Error
	switch {
	case errors.As(err, &known):
		return known
	case errors.As(err, &unreadable):
		return apiError{code: codeInvalidRequest, detail: unreadable.Detail, field: unreadable.Field, cause: unreadable.Cause}
	case errors.Is(err, request.ErrMediaType):
		return apiError{code: codeUnsupportedMediaType}
	case errors.As(err, &tooLarge):
		return apiError{code: codeRequestTooLarge}
	case errors.Is(err, wechat.ErrDecrypt):
		return apiError{code: codeUndecryptable}
	case errors.As(err, &fromWeChat):
		if c, ok := wechatCodes[fromWeChat.Kind]; ok {
			return apiError{code: c, detail: wechatDetails[fromWeChat.Kind], cause: err}
		}
		return apiError{code: codeInternal, cause: err}
	case errors.Is(err, session.ErrNotFound), errors.Is(err, store.ErrNotFound):
		return apiError{code: codeInvalidToken}
	case errors.Is(err, session.ErrUnavailable), errors.Is(err, store.ErrUnavailable), errors.Is(err, accesstoken.ErrUnavailable),
		errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return apiError{code: codeStorageUnavailable, cause: err}
	}
	return apiError{code: codeInternal, cause: err}
}

// problemResponse is the body of every error response (RFC 9457), plus the status that mini-program code tests.
type problemResponse struct {
	Type      string `json:"type"`
	Title     string `json:"title"`
	Status    int    `json:"status"`
	Detail    string `json:"detail"`
	Code      code   `json:"code"`
	Action    action `json:"action"`
	RequestID string `json:"requestId"`
}

// writeProblem writes the error response for e, and records e for the access log.
func writeProblem(w http.ResponseWriter, r *http.Request, e apiError) {
	p, ok := problems[e.code]
	if !ok {
		p = problems[codeInternal]
	}
	log := requestLogFrom(r.Context())
	log.err = e
	log.expected = errors.Is(e.cause, errStopping)
	if seconds := cmp.Or(e.retryAfter, p.retryAfter); seconds > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(seconds))
	}
	if p.status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", "Bearer")
	}
	writeBody(w, p.status, contentTypeProblem, problemResponse{
		Type: "urn:wxlogin:problem:" + string(e.code), Title: p.title, Status: p.status, Detail: cmp.Or(e.detail, p.detail),
		Code: e.code, Action: p.action, RequestID: log.requestID,
	})
}
