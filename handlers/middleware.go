package handlers

import (
	"context"
	"crypto/rand"
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

	"wxlogin/wechat"
)

// statusClientClosedRequest is the status in log and metrics if the client has disconnected before the response. It is
// nginx's code and is never sent.
const statusClientClosedRequest = 499

// Values of requestLog.login.
const (
	loginNew       = "new"
	loginReturning = "returning"
)

// requestLog collects what the access log says about one request.
type requestLog struct {
	requestID string
	appID     string // of the session or of the login; "" if unknown
	userID    uint64 // users.id; 0 if unknown
	login     string // loginNew or loginReturning for a login that found its user, else ""
	err       apiError
	expected  bool   // a 5xx is not logged as an error: the server is shutting down, or reports that it is not ready
	clientKey string // rate limit key of the client, if the route has one
	apiKey    string // name of the API key of another service
}

type requestLogKey struct{}

// requestLogFrom returns the requestLog of a request. Outside a request it returns a throwaway value.
func requestLogFrom(ctx context.Context) *requestLog {
	if l, ok := ctx.Value(requestLogKey{}).(*requestLog); ok {
		return l
	}
	return &requestLog{}
}

// accessLog assigns request ids, and writes a log line and the metrics of each request. Successful requests are logged
// at the given level, server errors at level error.
func accessLog(logger *slog.Logger, level slog.Level, metrics *Metrics) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			start := time.Now()
			l := &requestLog{requestID: requestID(r)}
			w.Header().Set("X-Request-Id", l.requestID)
			ww := middleware.NewWrapResponseWriter(w, r.ProtoMajor)
			r = r.WithContext(context.WithValue(r.Context(), requestLogKey{}, l))
			next.ServeHTTP(ww, r)

			status, duration := ww.Status(), time.Since(start)
			if status == 0 {
				status = http.StatusOK
			}
			if errors.Is(r.Context().Err(), context.Canceled) {
				status = statusClientClosedRequest
			}
			route := routePattern(r)
			metrics.request(route, status, duration)
			nameSpan(r, route)
			logRequest(logger, level, r, l, route, status, duration)
		})
	}
}

// routePattern returns the pattern that matched. The path itself is not logged, because a client could put anything in
// it.
func routePattern(r *http.Request) string {
	if pattern := chi.RouteContext(r.Context()).RoutePattern(); pattern != "" {
		return pattern
	}
	return "unmatched"
}

// nameSpan names the span of a traced request after its route. Without tracing it does nothing.
func nameSpan(r *http.Request, route string) {
	if span := trace.SpanFromContext(r.Context()); span.IsRecording() {
		span.SetName(knownMethod(r) + " " + route)
		span.SetAttributes(semconv.HTTPRoute(route))
	}
}

// knownMethod returns the method, or OTHER if a client made one up.
func knownMethod(r *http.Request) string {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
		return r.Method
	}
	return "OTHER"
}

// logRequest writes the log line of a request. If the request failed, the line has the cause and, for an error of
// WeChat, its errcode and rid. The cause is logged nowhere else.
func logRequest(
	logger *slog.Logger, level slog.Level, r *http.Request, l *requestLog, route string, status int, duration time.Duration,
) {
	if status >= http.StatusInternalServerError && !l.expected || isUnusable(l.err.cause) {
		level = slog.LevelError
	}
	if !logger.Enabled(r.Context(), level) {
		return
	}
	attrs := make([]slog.Attr, 0, 14)
	attrs = append(attrs,
		slog.String("method", knownMethod(r)),
		slog.String("route", route),
		slog.Int("status", status),
		slog.Float64("duration", float64(duration.Microseconds())/1000), // milliseconds
		slog.String("requestId", l.requestID),
	)
	attrs = append(attrs, l.attrs()...)
	if l.err.code != "" {
		attrs = append(attrs, slog.String("code", string(l.err.code)))
	}
	if l.err.cause != nil {
		attrs = append(attrs, slog.String("cause", l.err.cause.Error()))
	}
	if span := trace.SpanContextFromContext(r.Context()); span.IsSampled() {
		attrs = append(attrs, slog.String("traceId", span.TraceID().String()))
	}
	if e, ok := errors.AsType[*wechat.Error](l.err.cause); ok {
		attrs = append(attrs, slog.Int("errcode", e.ErrCode), slog.String("rid", e.RID))
	}
	// The record goes to the handler directly, because Logger would walk the stack to find its caller.
	record := slog.NewRecord(time.Now(), level, "request", 0)
	record.AddAttrs(attrs...)
	_ = logger.Handler().Handle(r.Context(), record) // if the log cannot be written, there is nowhere to report it
}

// attrs returns the user, the app, the invalid field and the service's key, as far as they are known.
func (l *requestLog) attrs() []slog.Attr {
	attrs := make([]slog.Attr, 0, 5)
	if l.userID != 0 {
		attrs = append(attrs, slog.Uint64("userId", l.userID))
	}
	for _, a := range [...]struct{ name, value string }{
		{"appid", l.appID}, {"login", l.login}, {"field", l.err.field}, {"apiKey", l.apiKey},
	} {
		if a.value != "" {
			attrs = append(attrs, slog.String(a.name, a.value))
		}
	}
	return attrs
}

// requestID returns the caller's X-Request-Id if it is valid, or else a new id.
func requestID(r *http.Request) string {
	if ids := r.Header.Values("X-Request-Id"); len(ids) == 1 && isValidRequestID(ids[0]) {
		return ids[0]
	}
	var b [16]byte
	rand.Read(b[:])
	return hex.EncodeToString(b[:])
}

// isValidRequestID reports whether an id consists of 1 to 64 letters, digits, '-', '_' and '.'.
func isValidRequestID(id string) bool {
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

// recoverPanics turns a panic into a 500. It passes http.ErrAbortHandler on, which is how a handler drops a connection.
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
			// The value could contain parts of the request, so only its type is logged, with the stack.
			writeProblem(w, r, apiError{code: codeInternal, cause: fmt.Errorf("panic (%T) at %s", v, debug.Stack())})
		}()
		next.ServeHTTP(w, r)
	})
}
