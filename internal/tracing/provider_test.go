package tracing

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/protobuf/proto"

	"wxlogin/internal/testenv"
)

// clearEnv clears variables that a developer's machine may have set.
func clearEnv(t *testing.T) {
	for _, name := range []string{"OTEL_SDK_DISABLED", "OTEL_TRACES_EXPORTER", "OTEL_EXPORTER_OTLP_PROTOCOL",
		"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_SERVICE_NAME", "OTEL_TRACES_SAMPLER"} {
		t.Setenv(name, "")
	}
}

func setenv(t *testing.T, variables ...string) {
	clearEnv(t)
	for _, v := range variables {
		name, value, _ := strings.Cut(v, "=")
		t.Setenv(name, value)
	}
}

func newProvider(t *testing.T, console io.Writer) *Provider {
	t.Helper()
	p, err := FromEnvironment(t.Context(), "v1.2.3", console)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// sendRequest sends one request through a Provider's handler.
func sendRequest(p *Provider) {
	trustAll := func(*http.Request) bool { return true }
	h := p.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}), trustAll)
	h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, "/onLogin", nil))
}

func TestFromEnvironment_Off(t *testing.T) {
	for _, variables := range [][]string{
		nil, {"OTEL_TRACES_EXPORTER=none"}, {"OTEL_TRACES_EXPORTER=otlp", "OTEL_SDK_DISABLED=true"},
		{"OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:1"},
	} {
		setenv(t, variables...)
		p := newProvider(t, io.Discard)
		if p != nil {
			t.Errorf("%q: tracing is on", variables)
		}
		if err := p.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

// If tracing is off, nothing is wrapped.
func TestProvider_Off(t *testing.T) {
	var off *Provider
	transport := http.DefaultTransport
	if off.Transport(transport) != transport {
		t.Error("a transport is wrapped")
	}
	mux := http.NewServeMux()
	if off.Handler(mux, nil) != http.Handler(mux) {
		t.Error("a handler is wrapped")
	}
	if err := off.Redis(nil); err != nil { // nil would panic if it were instrumented
		t.Error(err)
	}
}

func TestFromEnvironment_Unsupported(t *testing.T) {
	for _, variable := range []string{
		"OTEL_TRACES_EXPORTER=jaeger", "OTEL_EXPORTER_OTLP_PROTOCOL=grpc", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL=http/json",
	} {
		setenv(t, "OTEL_TRACES_EXPORTER=otlp", variable)
		_, err := FromEnvironment(t.Context(), "", io.Discard)
		name, _, _ := strings.Cut(variable, "=")
		if !errors.Is(err, ErrConfig) || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", variable, err)
		}
	}
}

func TestFromEnvironment_Console(t *testing.T) {
	setenv(t, "OTEL_TRACES_EXPORTER=console")
	var console bytes.Buffer
	p := newProvider(t, &console)
	sendRequest(p)
	if err := p.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"Name":"request"`, `"wxlogin"`, `"v1.2.3"`} {
		if !strings.Contains(console.String(), want) {
			t.Errorf("no %s in %s", want, console.String())
		}
	}
}

// The collector gets a request as the specification defines it, with the operator's service name.
func TestFromEnvironment_OTLP(t *testing.T) {
	var got collector.ExportTraceServiceRequest
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err == nil {
			err = proto.Unmarshal(body, &got)
		}
		if err != nil || r.URL.Path != "/v1/traces" {
			t.Errorf("%s: %v", r.URL.Path, err)
		}
	}))
	defer server.Close()
	setenv(t, "OTEL_TRACES_EXPORTER=otlp", "OTEL_EXPORTER_OTLP_ENDPOINT="+server.URL, "OTEL_SERVICE_NAME=logins")
	p := newProvider(t, io.Discard)
	sendRequest(p)
	if err := p.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(got.ResourceSpans) != 1 || len(got.ResourceSpans[0].ScopeSpans[0].Spans) != 1 {
		t.Fatalf("the collector received %v", got.ResourceSpans)
	}
	if attributes := got.ResourceSpans[0].Resource.String(); !strings.Contains(attributes, `"logins"`) || strings.Contains(attributes, `"wxlogin"`) {
		t.Errorf("the service is %s", attributes)
	}
}

// The request reaches WeChat unchanged, without trace headers.
func TestTransport(t *testing.T) {
	exporter := tracetest.NewInMemoryExporter()
	var query string
	var sent http.Header
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { query, sent = r.URL.RawQuery, r.Header }))
	defer server.Close()
	client := &http.Client{Transport: New(exporter).Transport(http.DefaultTransport)}
	res, err := client.Get(server.URL + "/sns/jscode2session?secret=hunter2")
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if query != "secret=hunter2" || sent.Get("traceparent") != "" {
		t.Errorf("query %q, header %v", query, sent)
	}
	spans := exporter.GetSpans()
	if len(spans) != 1 || spans[0].Name != "GET /sns/jscode2session" {
		t.Fatalf("%d spans", len(spans))
	}
	for _, a := range spans[0].Attributes {
		if strings.Contains(a.Value.String(), "hunter2") {
			t.Errorf("%s shows the query", a.Key)
		}
	}
}

// If the collector is unreachable, every batch fails. This must not flood the log.
func TestErrorHandler(t *testing.T) {
	var log testenv.Log
	clock := testenv.NewClock()
	h := &errorHandler{logger: slog.New(slog.NewJSONHandler(&log, nil)), now: clock.Now}
	for range 3 {
		h.Handle(errors.New("refused"))
		h.Handle(errors.New("refused"))
		clock.Advance(errorLogInterval)
	}
	if n := strings.Count(log.String(), "tracing error, spans may be lost"); n != 3 {
		t.Errorf("%d log entries, want 3:\n%s", n, log.String())
	}
}
