package tracing

import (
	"net/http"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/propagation"
)

// probes are asked all the time, and never by somebody who waits for more than the answer.
var probes = map[string]bool{"/healthz": true, "/readyz": true, "/metrics": true}

// Handler makes a span of every request, probes aside. The handler itself names it by its route, which is not known before.
//
// A request whose caller is trusted goes on with the caller's trace (traceparent, W3C Trace Context). Others begin one of
// their own that is linked to it: what comes from phones must not decide what is recorded.
func (p *Provider) Handler(next http.Handler, trusted func(*http.Request) bool) http.Handler {
	if p == nil {
		return next
	}
	return otelhttp.NewHandler(next, "request",
		otelhttp.WithTracerProvider(p.sdk),
		otelhttp.WithMeterProvider(noop.NewMeterProvider()), // there is /metrics
		otelhttp.WithPropagators(propagation.TraceContext{}),
		otelhttp.WithPublicEndpointFn(func(r *http.Request) bool { return !trusted(r) }),
		otelhttp.WithFilter(func(r *http.Request) bool { return !probes[r.URL.Path] }),
		otelhttp.WithSpanNameFormatter(func(operation string, _ *http.Request) string { return operation }),
	)
}
