package tracing

import (
	"context"
	"net/http"
	"net/url"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/propagation"
)

// Transport makes a span of every request that goes out. WeChat wants the AppSecret, the code and the access_token in the
// query of its URLs, so the instrumentation is shown a URL without one, and what it wraps puts the real one back. Nothing of
// a trace is sent along: it is none of the other side's business.
func (p *Provider) Transport(base http.RoundTripper) http.RoundTripper {
	if p == nil {
		return base
	}
	return hiding{otelhttp.NewTransport(revealing{base},
		otelhttp.WithTracerProvider(p.sdk),
		otelhttp.WithMeterProvider(noop.NewMeterProvider()),
		otelhttp.WithPropagators(propagation.NewCompositeTextMapPropagator()),
		otelhttp.WithSpanNameFormatter(func(_ string, r *http.Request) string { return r.Method + " " + r.URL.Path }),
	)}
}

// realURL is the key of a request's URL in its context.
type realURL struct{}

// hiding takes the query out of a request's sight.
type hiding struct{ next http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (h hiding) RoundTrip(r *http.Request) (*http.Response, error) {
	shown := r.WithContext(context.WithValue(r.Context(), realURL{}, r.URL))
	shown.URL = &url.URL{Scheme: r.URL.Scheme, Host: r.URL.Host, Path: r.URL.Path}
	return h.next.RoundTrip(shown)
}

// revealing is hiding undone.
type revealing struct{ next http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (v revealing) RoundTrip(r *http.Request) (*http.Response, error) {
	real := r.WithContext(r.Context()) // a RoundTripper must not change the request that it was given
	real.URL = r.Context().Value(realURL{}).(*url.URL)
	return v.next.RoundTrip(real)
}
