package client

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const headerRequestID = "X-Request-Id"

type (
	tokenKey     struct{}
	requestIDKey struct{}
)

// NewContext returns a context that carries a token's owner. Middleware calls it; so may tests of the handlers behind it.
func NewContext(ctx context.Context, t Token) context.Context {
	return context.WithValue(ctx, tokenKey{}, t)
}

// FromContext returns whose request it is, for requests that came through Middleware. ok is false for any other.
func FromContext(ctx context.Context) (t Token, ok bool) {
	t, ok = ctx.Value(tokenKey{}).(Token)
	return t, ok
}

// Middleware passes requests with a valid token (Authorization: Bearer) to next, with its owner in their context: see
// FromContext. Options.ErrorHandler writes the response to all others. Calls with the request's context carry its
// X-Request-Id to the server, whose log then has it too.
func (c *Client) Middleware(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx := r.Context()
		if id := requestID(r); id != "" {
			ctx = context.WithValue(ctx, requestIDKey{}, id)
		}
		token, err := c.Introspect(ctx, bearerToken(r.Header))
		if err != nil {
			c.errorHandler(w, r, err)
			return
		}
		next.ServeHTTP(w, r.WithContext(NewContext(ctx, token)))
	})
}

// bearerToken returns the token in the Authorization header of a request (RFC 6750, section 2.1), or "" if there is none or
// more than one.
func bearerToken(header http.Header) string {
	values := header.Values("Authorization")
	if len(values) != 1 {
		return ""
	}
	scheme, token, _ := strings.Cut(values[0], " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(token)
}

// requestID returns the X-Request-Id of a request, or "" if the server would not take it.
func requestID(r *http.Request) string {
	if ids := r.Header.Values(headerRequestID); len(ids) == 1 && isPlain(ids[0]) {
		return ids[0]
	}
	return ""
}

// problem is the body of an error response, the same as the server's, so that a mini-program needs to know only one format.
type problem struct {
	Type      string `json:"type"`
	Title     string `json:"title"`
	Status    int    `json:"status"`
	Detail    string `json:"detail"`
	Code      string `json:"code"`
	Action    string `json:"action"`
	RequestID string `json:"requestId"`
}

var (
	invalidToken = problem{
		Type: "urn:wxlogin:problem:invalid_token", Title: "Invalid token", Status: http.StatusUnauthorized,
		Detail: "The token is missing, malformed, unknown, expired or revoked.", Code: "invalid_token", Action: "relogin",
	}
	unavailable = problem{
		Type: "urn:wxlogin:problem:storage_unavailable", Title: "Storage unavailable", Status: http.StatusServiceUnavailable,
		Detail: "The login server does not answer.", Code: "storage_unavailable", Action: "retry",
	}
)

// minRetryAfter is the least Retry-After of a 503.
const minRetryAfter = 2 * time.Second

// WriteError writes the response to a request without a user: 401 for ErrInvalidToken, so that the mini-program logs in
// again, and 503 with Retry-After for any other error, because the token may be valid.
func WriteError(w http.ResponseWriter, r *http.Request, err error) {
	p, h := unavailable, w.Header()
	if errors.Is(err, ErrInvalidToken) {
		p = invalidToken
		h.Set("WWW-Authenticate", "Bearer")
	} else {
		wait := minRetryAfter
		if e, ok := errors.AsType[*Error](err); ok {
			wait = max(wait, e.RetryAfter)
		}
		h.Set("Retry-After", strconv.Itoa(int(wait.Seconds())))
	}
	p.RequestID = requestID(r)
	body, err := json.Marshal(p)
	if err != nil {
		panic(err) // strings and numbers can always be encoded
	}
	h.Set("Content-Type", "application/problem+json; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(p.Status)
	_, _ = w.Write(body)
}
