package handlers

import (
	"context"
	"errors"
	"net/http"

	"wxlogin/internal/fields"
	"wxlogin/session"
	"wxlogin/store"
	"wxlogin/wechat"
)

// failure is an error that already knows its code. detail and retryAfter, if given, replace the code's own. The client sees
// detail, so it is always a constant; cause is for the log alone.
type failure struct {
	code       code
	detail     string
	retryAfter int // seconds
	cause      error
}

func (f failure) Error() string { return string(f.code) }
func (f failure) Unwrap() error { return f.cause }

// invalidRequest names what is wrong with a request. detail must hold nothing that the client sent.
func invalidRequest(detail string) error { return failure{code: codeInvalidRequest, detail: detail} }

// kindCodes says what each kind of fault at WeChat means to a client.
var kindCodes = map[wechat.Kind]code{
	wechat.KindInvalidCode:   codeInvalidCode,
	wechat.KindBlocked:       codeUserBlocked,
	wechat.KindRateLimited:   codeRateLimited,
	wechat.KindMisconfigured: codeMisconfigured,
	wechat.KindUnavailable:   codeWeChatUnavailable,
}

// classify turns any error into a failure, once, at the edge.
func classify(err error) failure {
	var f failure
	var fromWeChat *wechat.Error
	var tooLarge *http.MaxBytesError
	var unreadable *fields.Error
	switch {
	case errors.As(err, &f):
		return f
	case errors.As(err, &unreadable):
		return failure{code: codeInvalidRequest, detail: unreadable.Detail, cause: unreadable.Cause}
	case errors.Is(err, fields.ErrMediaType):
		return failure{code: codeUnsupportedMediaType}
	case errors.As(err, &tooLarge):
		return failure{code: codeRequestTooLarge}
	case errors.Is(err, wechat.ErrOpenData):
		return failure{code: codeUndecryptable}
	case errors.As(err, &fromWeChat):
		if c, ok := kindCodes[fromWeChat.Kind]; ok {
			return failure{code: c, cause: err}
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
