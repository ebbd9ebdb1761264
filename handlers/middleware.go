package handlers

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"
	semconv "go.opentelemetry.io/otel/semconv/v1.37.0"
	"go.opentelemetry.io/otel/trace"

	"wxlogin/session"
	"wxlogin/wechat"
)

// statusClientGone stands in log and metrics for a client that did not wait for its answer. It is never sent.
const statusClientGone = 499

// scope is what one request leaves for its log line.
type scope struct {
	requestID string
	appID     string // of the session, or the app that a login is for; "" if it is not known
	userID    uint64 // users.id; 0 if it is not known
	login     string // loginNew or loginReturning for a login that found its user, or else ""
	failure   failure
	expected  bool   // an answer of 5xx is no error: the server is being stopped, or says that it is not ready
	client    string // its key for limits, if the route has one
}

// Values of scope.login.
const (
	loginNew       = "new"
	loginReturning = "returning"
)

type scopeKey struct{}

// scopeOf finds the scope that observe made. Outside of it, a scope that nobody reads.
func scopeOf(ctx context.Context) *scope {
	if s, ok := ctx.Value(scopeKey{}).(*scope); ok {
		return s
	}
	return &scope{}
}

// observe gives each request an id, and writes one log line and the metrics when it is done. Requests that succeed are
// logged at the given level, server errors at level error.
func observe(logger *slog.Logger, level slog.Level, metrics *Metrics) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			start := time.Now()
			s := &scope{requestID: requestID(r)}
			w.Header().Set("X-Request-Id", s.requestID)
			ww := middleware.NewWrapResponseWriter(w, r.ProtoMajor)
			r = r.WithContext(context.WithValue(r.Context(), scopeKey{}, s))
			next.ServeHTTP(ww, r)

			status, duration := ww.Status(), time.Since(start)
			if status == 0 {
				status = http.StatusOK
			}
			if errors.Is(r.Context().Err(), context.Canceled) {
				status = statusClientGone
			}
			route := routeOf(r)
			metrics.request(route, status, duration)
			nameSpan(r, route)
			logRequest(logger, level, r, s, route, status, duration)
		})
	}
}

// routeOf is the pattern that matched: a path as a client sent it could hold anything.
func routeOf(r *http.Request) string {
	if pattern := chi.RouteContext(r.Context()).RoutePattern(); pattern != "" {
		return pattern
	}
	return "unmatched"
}

// nameSpan names the span of a traced request by its route. Without tracing there is none, and this does nothing.
func nameSpan(r *http.Request, route string) {
	if span := trace.SpanFromContext(r.Context()); span.IsRecording() {
		span.SetName(methodOf(r) + " " + route)
		span.SetAttributes(semconv.HTTPRoute(route))
	}
}

// methodOf keeps a made-up method out of log lines.
func methodOf(r *http.Request) string {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
		return r.Method
	}
	return "OTHER"
}

// logRequest writes a request's one line. The cause of a failure stands in it once, with WeChat's errcode and rid where
// the failure came from there.
func logRequest(logger *slog.Logger, level slog.Level, r *http.Request, s *scope, route string, status int, duration time.Duration) {
	if status >= http.StatusInternalServerError && !s.expected || isUnusable(s.failure.cause) {
		level = slog.LevelError
	}
	if !logger.Enabled(r.Context(), level) {
		return
	}
	attrs := make([]slog.Attr, 0, 13)
	attrs = append(attrs,
		slog.String("method", methodOf(r)),
		slog.String("route", route),
		slog.Int("status", status),
		slog.Float64("duration", float64(duration.Microseconds())/1000), // ms
		slog.String("requestId", s.requestID),
	)
	attrs = append(attrs, s.known()...)
	if s.failure.code != "" {
		attrs = append(attrs, slog.String("code", string(s.failure.code)))
	}
	if s.failure.cause != nil {
		attrs = append(attrs, slog.String("cause", s.failure.cause.Error()))
	}
	if span := trace.SpanContextFromContext(r.Context()); span.IsSampled() {
		attrs = append(attrs, slog.String("traceId", span.TraceID().String()))
	}
	if e, ok := errors.AsType[*wechat.Error](s.failure.cause); ok {
		attrs = append(attrs, slog.Int("errcode", e.ErrCode), slog.String("rid", e.RID))
	}
	// Past the Logger, which would look for its caller on the stack, although nobody wants to know.
	record := slog.NewRecord(time.Now(), level, "request", 0)
	record.AddAttrs(attrs...)
	_ = logger.Handler().Handle(r.Context(), record) // a log that cannot be written has nobody to tell
}

// known is whose request it was and which field was at fault, as far as that is known.
func (s *scope) known() []slog.Attr {
	attrs := make([]slog.Attr, 0, 4)
	if s.userID != 0 {
		attrs = append(attrs, slog.Uint64("userId", s.userID))
	}
	for _, a := range [...]struct{ name, value string }{
		{"appid", s.appID}, {"login", s.login}, {"field", s.failure.field},
	} {
		if a.value != "" {
			attrs = append(attrs, slog.String(a.name, a.value))
		}
	}
	return attrs
}

// requestID returns the caller's X-Request-Id if there is one, of 1 to 64 letters, digits, '-', '_' or '.', and a new one
// otherwise.
func requestID(r *http.Request) string {
	if ids := r.Header.Values("X-Request-Id"); len(ids) == 1 && wellFormedID(ids[0]) {
		return ids[0]
	}
	var b [16]byte
	rand.Read(b[:])
	return hex.EncodeToString(b[:])
}

func wellFormedID(id string) bool {
	if id == "" || len(id) > 64 {
		return false
	}
	for _, c := range []byte(id) {
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		digit := c >= '0' && c <= '9'
		if !letter && !digit && c != '-' && c != '_' && c != '.' {
			return false
		}
	}
	return true
}

// recoverPanics turns a panic into one logged 500. http.ErrAbortHandler passes: it is how a handler drops a connection.
func recoverPanics(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			v := recover()
			if v == nil {
				return
			}
			if v == http.ErrAbortHandler {
				panic(v)
			}
			// The value of a panic may hold what the request held, so only its type is told; the stack says where.
			writeFailure(w, r, failure{code: codeInternal, cause: fmt.Errorf("panic (%T) at %s", v, debug.Stack())})
		}()
		next.ServeHTTP(w, r)
	})
}

// headerAPIKey is where a service gives the key that it shares with this server.
const headerAPIKey = "X-Api-Key"

// keyHolders lets only those requests through to a handler that give the key; an empty key lets all through. Others are
// answered with the code refused.
func keyHolders(key string, given func(*http.Request) string, refused code, next http.Handler) http.Handler {
	if key == "" {
		return next
	}
	want := sha256.Sum256([]byte(key))
	return handle(func(w http.ResponseWriter, r *http.Request) error {
		got := sha256.Sum256([]byte(given(r))) // of one length, so that the time of comparing tells nothing
		if subtle.ConstantTimeCompare(got[:], want[:]) != 1 {
			return failure{code: refused}
		}
		next.ServeHTTP(w, r)
		return nil
	})
}

// keyInHeader is for gateways: Authorization holds the user's token there. A key that is given twice is none: one of the two
// may be a client's own.
func keyInHeader(r *http.Request) string {
	keys := r.Header.Values(headerAPIKey)
	if len(keys) != 1 {
		return ""
	}
	return keys[0]
}

// keyOfCaller is for services that ask themselves, which may also give the key as OAuth clients do: as a bearer token
// (RFC 7662, section 2.1), or as the password of HTTP Basic, whatever the name (RFC 6749, section 2.3.1). Of a header that is
// given twice nothing is taken.
func keyOfCaller(r *http.Request) string {
	if len(r.Header.Values(headerAPIKey)) > 1 || len(r.Header.Values("Authorization")) > 1 {
		return ""
	}
	if key := keyInHeader(r); key != "" {
		return key
	}
	if key, ok := session.BearerToken(r.Header); ok {
		return key
	}
	_, key, _ := r.BasicAuth()
	return key
}
