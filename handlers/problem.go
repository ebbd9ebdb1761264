package handlers

import "net/http"

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
