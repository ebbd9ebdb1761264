package session

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
)

// retryAfter is what a request that came while Redis was away should wait, in seconds.
const retryAfter = 2

type contextKey struct{}

// NewContext returns a context that carries a session. Middleware does this; tests of what comes behind it may too.
func NewContext(ctx context.Context, sess Session) context.Context {
	return context.WithValue(ctx, contextKey{}, sess)
}

// FromContext gives the session of a request that came through Middleware; ok is false for any other.
func FromContext(ctx context.Context) (sess Session, ok bool) {
	sess, ok = ctx.Value(contextKey{}).(Session)
	return sess, ok
}

// Middleware lets only those requests through to a handler whose token stands for a session (Authorization: Bearer), and
// puts that session into their context, where FromContext finds it. It begins the session's idle expiry anew, as Lookup
// does, and bounds nothing: how long Redis may take is a matter of its client and of the request's context.
//
// refuse answers the others; its error is ErrNotFound or ErrUnavailable. nil is Refuse.
//
// It knows nothing of MySQL: the session of a user whom an administrator has disabled is a session still. Ask the login
// server (POST /introspect, GET /verify) where that matters.
func (s *Store) Middleware(refuse func(http.ResponseWriter, *http.Request, error)) func(http.Handler) http.Handler {
	if refuse == nil {
		refuse = WriteError
	}
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			token, _ := BearerToken(r.Header)
			sess, err := s.Lookup(r.Context(), token)
			if err != nil {
				refuse(w, r, err)
				return
			}
			next.ServeHTTP(w, r.WithContext(NewContext(r.Context(), sess)))
		})
	}
}

// The bodies of Refuse, as the login server answers (RFC 9457): a mini-program's client needs to know one kind only.
const (
	refusedToken = `{"type":"urn:wxlogin:problem:invalid_token","title":"Invalid token","status":401,` +
		`"detail":"The token is missing, malformed, unknown, expired or revoked.","code":"invalid_token","action":"relogin"}`
	refusedStorage = `{"type":"urn:wxlogin:problem:storage_unavailable","title":"Storage unavailable","status":503,` +
		`"detail":"The server's storage does not answer.","code":"storage_unavailable","action":"retry"}`
)

// Refuse answers a request without a session: 401 for ErrNotFound, so that the client logs in again, and 503 with
// Retry-After for anything else, for then nothing is known of its token.
func WriteError(w http.ResponseWriter, _ *http.Request, err error) {
	h := w.Header()
	h.Set("Content-Type", "application/problem+json; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	status, body := http.StatusServiceUnavailable, refusedStorage
	if errors.Is(err, ErrNotFound) {
		status, body = http.StatusUnauthorized, refusedToken
		h.Set("WWW-Authenticate", "Bearer")
	} else {
		h.Set("Retry-After", strconv.Itoa(retryAfter))
	}
	w.WriteHeader(status)
	_, _ = io.WriteString(w, body)
}

// BearerToken finds the token in the Authorization header of a request (RFC 6750, section 2.1). ok is false where there is
// no such header, where its scheme is another, and where it comes more than once. The token's shape is not looked at:
// Lookup does that.
func BearerToken(header http.Header) (token string, ok bool) {
	values := header.Values("Authorization")
	if len(values) != 1 {
		return "", false
	}
	scheme, token, _ := strings.Cut(values[0], " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return "", false
	}
	return strings.TrimSpace(token), true
}
