package session

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
)

type contextKey struct{}

// NewContext returns a context that carries a session. Middleware calls it; so may tests of the handlers behind it.
func NewContext(ctx context.Context, sess Session) context.Context {
	return context.WithValue(ctx, contextKey{}, sess)
}

// FromContext returns the session of a request that came through Middleware. ok is false for any other request.
func FromContext(ctx context.Context) (sess Session, ok bool) {
	sess, ok = ctx.Value(contextKey{}).(Session)
	return sess, ok
}

// Middleware passes requests with the token of a session (Authorization: Bearer) to next, with that session in their
// context: see FromContext. Options.ErrorHandler writes the response to all others. It restarts the session's idle
// expiry, as Lookup does. It sets no timeout: that is up to the Redis client and the request's context.
//
// It does not read MySQL, so the session of a user whom an administrator has disabled still passes. Package client has a
// middleware that asks the login server.
func (s *Store) Middleware(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token, _ := BearerToken(r.Header)
		sess, err := s.Lookup(r.Context(), token)
		if err != nil {
			s.errorHandler(w, r, err)
			return
		}
		next.ServeHTTP(w, r.WithContext(NewContext(r.Context(), sess)))
	})
}

// BearerToken returns the token in the Authorization header of a request (RFC 6750, section 2.1). ok is false if there
// is no such header, if it has another scheme, or if there is more than one. It does not check the token's form; Lookup
// does.
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

// retryAfter is the Retry-After of a 503, in seconds.
const retryAfter = 2

// The bodies of WriteError (RFC 9457). They equal those of the login server, so that a mini-program needs to know only
// one format.
const (
	invalidTokenBody = `{"type":"urn:wxlogin:problem:invalid_token","title":"Invalid token","status":401,` +
		`"detail":"The token is missing, malformed, unknown, expired or revoked.","code":"invalid_token","action":"relogin"}`
	storageUnavailableBody = `{"type":"urn:wxlogin:problem:storage_unavailable","title":"Storage unavailable","status":503,` +
		`"detail":"The server's storage does not answer.","code":"storage_unavailable","action":"retry"}`
)

// WriteError writes the response to a request without a session: 401 for ErrNotFound, so that the client logs in again,
// and 503 with Retry-After for any other error, because the token may be valid.
func WriteError(w http.ResponseWriter, _ *http.Request, err error) {
	h := w.Header()
	h.Set("Content-Type", "application/problem+json; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	status, body := http.StatusServiceUnavailable, storageUnavailableBody
	if errors.Is(err, ErrNotFound) {
		status, body = http.StatusUnauthorized, invalidTokenBody
		h.Set("WWW-Authenticate", "Bearer")
	} else {
		h.Set("Retry-After", strconv.Itoa(retryAfter))
	}
	w.WriteHeader(status)
	_, _ = io.WriteString(w, body)
}
