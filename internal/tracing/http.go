package tracing

import (
	"context"
	"net/http"
	"net/url"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/propagation"
)

// probes are asked all the time, and never by somebody who waits for more than the answer.
var probePaths = map[string]bool{"/healthz": true, "/readyz": true, "/metrics": true}

// methods are those of HTTP (RFC 9110, section 9; RFC 5789).
var knownMethods = map[string]bool{
	http.MethodGet: true, http.MethodHead: true, http.MethodPost: true, http.MethodPut: true, http.MethodPatch: true,
	http.MethodDelete: true, http.MethodOptions: true, http.MethodConnect: true, http.MethodTrace: true,
}

// Handler makes a span of every request, probes aside. The handler itself names it by its route, which is not known before;
// the path and the method as a client sent them could hold anything, so the instrumentation is not shown them.
//
// A request whose caller is trusted goes on with the caller's trace (traceparent, W3C Trace Context). Others begin one of
// their own that is linked to it: what comes from phones must not decide what is recorded.
func (p *Provider) Handler(next http.Handler, trusted func(*http.Request) bool) http.Handler {
	if p == nil {
		return next
	}
	traced := otelhttp.NewHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(w, restoreTarget(r))
	}), "request",
		otelhttp.WithTracerProvider(p.sdk),
		otelhttp.WithMeterProvider(noop.NewMeterProvider()), // there is /metrics
		otelhttp.WithPropagators(propagation.TraceContext{}),
		otelhttp.WithPublicEndpointFn(func(r *http.Request) bool { return !trusted(r) }),
		otelhttp.WithSpanNameFormatter(func(operation string, _ *http.Request) string { return operation }),
	)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if probePaths[r.URL.Path] {
			next.ServeHTTP(w, r)
			return
		}
		traced.ServeHTTP(w, stripTarget(r))
	})
}

// targetKey is the key of a request's method and URL in its context.
type targetKey struct{}

type target struct {
	method, uri string
	url         *url.URL
}

// hidden takes the method, if it is a made-up one, and the path and query out of a request's sight.
func stripTarget(r *http.Request) *http.Request {
	shown := r.WithContext(context.WithValue(r.Context(), targetKey{}, target{r.Method, r.RequestURI, r.URL}))
	shown.URL, shown.RequestURI = &url.URL{Scheme: r.URL.Scheme, Host: r.URL.Host}, ""
	if !knownMethods[r.Method] {
		shown.Method = "_OTHER"
	}
	return shown
}

// revealed is hidden undone.
func restoreTarget(r *http.Request) *http.Request {
	was := r.Context().Value(targetKey{}).(target)
	real := r.WithContext(r.Context()) // the instrumentation looks at its own request again
	real.Method, real.RequestURI, real.URL = was.method, was.uri, was.url
	return real
}

// Transport makes a span of every request that goes out. WeChat wants the AppSecret, the code and the access_token in the
// query of its URLs, so the instrumentation is shown a URL without one, and what it wraps puts the real one back. Nothing of
// a trace is sent along: it is none of the other side's business.
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

// urlKey is the key of a request's URL in its context.
type urlKey struct{}

// hiding takes the query out of a request's sight.
type queryStripper struct{ next http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (h queryStripper) RoundTrip(r *http.Request) (*http.Response, error) {
	shown := r.WithContext(context.WithValue(r.Context(), urlKey{}, r.URL))
	shown.URL = &url.URL{Scheme: r.URL.Scheme, Host: r.URL.Host, Path: r.URL.Path}
	return h.next.RoundTrip(shown)
}

// revealing is hiding undone.
type queryRestorer struct{ next http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (v queryRestorer) RoundTrip(r *http.Request) (*http.Response, error) {
	real := r.WithContext(r.Context()) // a RoundTripper must not change the request that it was given
	real.URL = r.Context().Value(urlKey{}).(*url.URL)
	return v.next.RoundTrip(real)
}
