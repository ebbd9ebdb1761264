package handlers

import (
	"context"
	"errors"
	"net/http"

	"wxlogin/internal/request"
	"wxlogin/session"
	"wxlogin/store"
	"wxlogin/wechat"
)

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
