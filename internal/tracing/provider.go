package tracing

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/exporters/stdout/stdouttrace"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.37.0"
)

// ErrConfig is in the error of an environment that cannot be followed.
var ErrConfig = errors.New("tracing cannot be set up")

// Provider is where traces begin. A nil Provider makes none.
type Provider struct{ sdk *sdk.TracerProvider }

// FromEnvironment makes the Provider that the process's environment asks for: nil where it asks for none. console is where
// the exporter of that name writes. It does not connect: a collector that is away costs its traces and nothing else.
//
// ErrConfig: OTEL_TRACES_EXPORTER, or the protocol, is one that this server does not speak.
func FromEnvironment(ctx context.Context, version string, console io.Writer) (*Provider, error) {
	exporter, err := newExporter(ctx, console)
	if exporter == nil || err != nil {
		return nil, err
	}
	about, err := resource.New(ctx,
		resource.WithAttributes(semconv.ServiceName("wxlogin"), semconv.ServiceVersion(version)),
		resource.WithTelemetrySDK(),
		resource.WithFromEnv(), // the last word: OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES
	)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrConfig, err)
	}
	return &Provider{sdk.NewTracerProvider(sdk.WithBatcher(exporter), sdk.WithResource(about))}, nil
}

// New makes a Provider that gives every span to an exporter at once.
func New(exporter sdk.SpanExporter) *Provider {
	return &Provider{sdk.NewTracerProvider(sdk.WithSyncer(exporter))}
}

// newExporter is nil where nothing is to be exported.
func newExporter(ctx context.Context, console io.Writer) (sdk.SpanExporter, error) {
	if strings.EqualFold(os.Getenv("OTEL_SDK_DISABLED"), "true") {
		return nil, nil
	}
	switch name := os.Getenv("OTEL_TRACES_EXPORTER"); name {
	case "", "none":
		return nil, nil
	case "console":
		return stdouttrace.New(stdouttrace.WithWriter(console))
	case "otlp":
		return newOTLP(ctx)
	default:
		return nil, fmt.Errorf("%w: OTEL_TRACES_EXPORTER is none of none, otlp and console", ErrConfig)
	}
}

// newOTLP speaks protobuf over HTTP, which the specification recommends and every collector takes.
func newOTLP(ctx context.Context) (sdk.SpanExporter, error) {
	for _, name := range []string{"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"} {
		if protocol := os.Getenv(name); protocol != "" && protocol != "http/protobuf" {
			return nil, fmt.Errorf("%w: %s is not http/protobuf", ErrConfig, name)
		}
	}
	exporter, err := otlptracehttp.New(ctx)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrConfig, err)
	}
	return exporter, nil
}

// Shutdown exports what is left, within ctx. A nil Provider has nothing left.
func (p *Provider) Shutdown(ctx context.Context) error {
	if p == nil {
		return nil
	}
	return p.sdk.Shutdown(ctx)
}

// errorLogInterval is how long nothing more is said after a fault: a collector that is away fails with every batch.
const errorLogInterval = time.Minute

// LogErrors sends what OpenTelemetry has to complain about to a logger, once a minute at most. It is a global of that
// library: a command calls this once.
func LogErrors(logger *slog.Logger) {
	otel.SetLogger(logr.Discard()) // it tells the same, and more
	otel.SetErrorHandler(&errorHandler{logger: logger, now: time.Now})
}

type errorHandler struct {
	logger     *slog.Logger
	now        func() time.Time
	mutedUntil atomic.Int64 // until when, in nanoseconds of Unix time
}

// Handle implements otel.ErrorHandler.
func (f *errorHandler) Handle(err error) {
	now, quiet := f.now(), f.mutedUntil.Load()
	if now.UnixNano() < quiet || !f.mutedUntil.CompareAndSwap(quiet, now.Add(errorLogInterval).UnixNano()) {
		return
	}
	f.logger.Warn("traces are lost", "cause", err)
}
