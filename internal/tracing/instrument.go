package tracing

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/XSAM/otelsql"
	"github.com/redis/go-redis/extra/redisotel/v9"
	"github.com/redis/go-redis/v9"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/propagation"
	semconv "go.opentelemetry.io/otel/semconv/v1.37.0"
	"go.opentelemetry.io/otel/trace"
)

// probePaths are polled continuously and would flood the traces.
var probePaths = map[string]bool{"/healthz": true, "/readyz": true, "/metrics": true}

// knownMethods are the methods of HTTP (RFC 9110, section 9; RFC 5789).
var knownMethods = map[string]bool{
	http.MethodGet: true, http.MethodHead: true, http.MethodPost: true, http.MethodPut: true, http.MethodPatch: true,
	http.MethodDelete: true, http.MethodOptions: true, http.MethodConnect: true, http.MethodTrace: true,
}

// Handler creates a span for every request except probes. next names the span by its route, which is not known before.
// The path and the method could hold anything that a client sends, so they are hidden from the instrumentation.
//
// If the caller is trusted, the request continues the caller's trace (traceparent, W3C Trace Context). Otherwise it
// starts a new trace that links to the caller's: a phone must not decide what is sampled.
func (p *Provider) Handler(next http.Handler, trusted func(*http.Request) bool) http.Handler {
	if p == nil {
		return next
	}
	traced := otelhttp.NewHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(w, withOriginalTarget(r))
	}), "request",
		otelhttp.WithTracerProvider(p.sdk),
		otelhttp.WithMeterProvider(noop.NewMeterProvider()), // metrics are served at /metrics
		otelhttp.WithPropagators(propagation.TraceContext{}),
		otelhttp.WithPublicEndpointFn(func(r *http.Request) bool { return !trusted(r) }),
		otelhttp.WithSpanNameFormatter(func(operation string, _ *http.Request) string { return operation }),
	)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if probePaths[r.URL.Path] {
			next.ServeHTTP(w, r)
			return
		}
		traced.ServeHTTP(w, withoutTarget(r))
	})
}

// targetKey is the context key of a request's original target.
type targetKey struct{}

type target struct {
	method, uri string
	url         *url.URL
}

// withoutTarget returns a copy of a request without path and query, and with the method _OTHER if it is not a known
// one. The original target is kept in the context.
func withoutTarget(r *http.Request) *http.Request {
	stripped := r.WithContext(context.WithValue(r.Context(), targetKey{}, target{r.Method, r.RequestURI, r.URL}))
	stripped.URL, stripped.RequestURI = &url.URL{Scheme: r.URL.Scheme, Host: r.URL.Host}, ""
	if !knownMethods[r.Method] {
		stripped.Method = "_OTHER"
	}
	return stripped
}

// withOriginalTarget undoes withoutTarget.
func withOriginalTarget(r *http.Request) *http.Request {
	original := r.Context().Value(targetKey{}).(target)
	restored := r.WithContext(r.Context()) // a copy: the instrumentation reads its own request again
	restored.Method, restored.RequestURI, restored.URL = original.method, original.uri, original.url
	return restored
}

// Transport creates a span for every outgoing request. WeChat's API takes the AppSecret, the code and the access_token
// in the query, so the instrumentation gets a URL without query, and the wrapped transport the original one. No trace
// headers are sent: they are of no use to WeChat.
func (p *Provider) Transport(base http.RoundTripper) http.RoundTripper {
	if p == nil {
		return base
	}
	return queryStripper{otelhttp.NewTransport(queryRestorer{base},
		otelhttp.WithTracerProvider(p.sdk),
		otelhttp.WithMeterProvider(noop.NewMeterProvider()),
		otelhttp.WithPropagators(propagation.NewCompositeTextMapPropagator()),
		otelhttp.WithSpanNameFormatter(func(_ string, r *http.Request) string { return r.Method + " " + r.URL.Path }),
	)}
}

// urlKey is the context key of a request's original URL.
type urlKey struct{}

// queryStripper removes the query from a request and keeps the original URL in the context.
type queryStripper struct{ next http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (s queryStripper) RoundTrip(r *http.Request) (*http.Response, error) {
	stripped := r.WithContext(context.WithValue(r.Context(), urlKey{}, r.URL))
	stripped.URL = &url.URL{Scheme: r.URL.Scheme, Host: r.URL.Host, Path: r.URL.Path}
	return s.next.RoundTrip(stripped)
}

// queryRestorer undoes queryStripper.
type queryRestorer struct{ next http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (q queryRestorer) RoundTrip(r *http.Request) (*http.Response, error) {
	restored := r.WithContext(r.Context()) // a RoundTripper must not modify its request
	restored.URL = r.Context().Value(urlKey{}).(*url.URL)
	return q.next.RoundTrip(restored)
}

// OpenDB creates a span for every statement that belongs to a trace. Background statements, such as those of readiness
// checks, have none. A span shows the statement as written, with ? instead of values.
func (p *Provider) OpenDB(connector driver.Connector) *sql.DB {
	if p == nil {
		return sql.OpenDB(connector)
	}
	return otelsql.OpenDB(connector,
		otelsql.WithTracerProvider(p.sdk),
		otelsql.WithMeterProvider(noop.NewMeterProvider()),
		otelsql.WithAttributes(semconv.DBSystemNameMySQL),
		otelsql.WithSpanNameFormatter(statementName),
		otelsql.WithSpanOptions(otelsql.SpanOptions{
			DisableErrSkip: true, OmitConnResetSession: true, OmitConnPrepare: true, OmitRows: true, OmitConnectorConnect: true,
			RecordError: func(error) bool { return false }, // a server's error may quote a value
			SpanFilter: func(ctx context.Context, _ otelsql.Method, _ string, _ []driver.NamedValue) bool {
				return trace.SpanContextFromContext(ctx).IsValid()
			},
		}),
	)
}

// statementName returns a span's name: the statement's verb (MySQL SELECT), or the driver's method if there is no
// statement (MySQL commit).
func statementName(_ context.Context, method otelsql.Method, query string) string {
	if verb, _, _ := strings.Cut(strings.TrimSpace(query), " "); verb != "" {
		return "MySQL " + verb
	}
	return "MySQL " + string(method)
}

// Redis creates a span for every command of a client, with its name only: keys contain openids, values contain records.
func (p *Provider) Redis(client redis.UniversalClient) error {
	if p == nil {
		return nil
	}
	return redisotel.InstrumentTracing(client,
		redisotel.WithTracerProvider(p.sdk),
		redisotel.WithDBStatement(false),
		redisotel.WithCallerEnabled(false),
		redisotel.WithDialFilter(true),
		redisotel.WithCommandFilter(isBackground),
		redisotel.WithCommandsFilter(func(cmds []redis.Cmder) bool { return !slices.ContainsFunc(cmds, inRequest) }),
	)
}

// isBackground reports whether a command belongs to a health check, to metrics or to connection setup, not to a
// request.
func isBackground(cmd redis.Cmder) bool {
	switch cmd.Name() {
	case "ping", "dbsize", "hello", "auth", "select", "client", "readonly":
		return true
	}
	return slices.ContainsFunc(cmd.Args(), isReadyKey)
}

// readyPrefix is the prefix of the keys of session.Store.Ready, a package that this one does not import.
const readyPrefix = "wxlogin:ready:"

// isReadyKey reports whether an argument is a key of session.Store.Ready.
func isReadyKey(arg any) bool {
	key, ok := arg.(string)
	return ok && strings.HasPrefix(key, readyPrefix)
}

// inRequest is the opposite of isBackground.
func inRequest(cmd redis.Cmder) bool { return !isBackground(cmd) }
