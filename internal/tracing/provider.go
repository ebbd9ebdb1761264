// Package tracing creates OpenTelemetry traces if the environment enables them by the standard variables. Each request
// is one trace, with spans for its calls of WeChat, its MySQL statements and its Redis commands.
//
//	OTEL_TRACES_EXPORTER   none (default), otlp (OTLP over HTTP) or console (JSON on standard output)
//	OTEL_EXPORTER_OTLP_…, OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES, OTEL_TRACES_SAMPLER, OTEL_BSP_…, OTEL_SDK_DISABLED
//	                       as in OpenTelemetry's specification
//
// If no exporter is set, Handler, Transport, OpenDB and Redis wrap nothing, and a request costs the same as without
// this package.
//
// No span contains a path, query, field or token that a client or WeChat sent. Requests are named by their route, calls
// of WeChat are shown without their query, statements without arguments, and commands by name only.
//
// The package is used by internal/server and cmd/wxlogin, and imports no other package of this module.
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

// ErrConfig is wrapped by errors about invalid environment variables.
var ErrConfig = errors.New("invalid tracing configuration")

// Provider creates traces. A nil *Provider creates none.
type Provider struct{ sdk *sdk.TracerProvider }

// FromEnvironment returns the Provider that the environment variables configure, or nil if tracing is off. The console
// exporter writes to console. FromEnvironment does not connect: if the collector is unreachable, only spans are lost.
//
// It returns ErrConfig if OTEL_TRACES_EXPORTER or the protocol is not supported.
func FromEnvironment(ctx context.Context, version string, console io.Writer) (*Provider, error) {
	exporter, err := newExporter(ctx, console)
	if exporter == nil || err != nil {
		return nil, err
	}
	attributes, err := resource.New(ctx,
		resource.WithAttributes(semconv.ServiceName("wxlogin"), semconv.ServiceVersion(version)),
		resource.WithTelemetrySDK(),
		resource.WithFromEnv(), // last, so that OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES override
	)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrConfig, err)
	}
	return &Provider{sdk.NewTracerProvider(sdk.WithBatcher(exporter), sdk.WithResource(attributes))}, nil
}

// New returns a Provider that exports every span immediately.
func New(exporter sdk.SpanExporter) *Provider {
	return &Provider{sdk.NewTracerProvider(sdk.WithSyncer(exporter))}
}

// newExporter returns nil if tracing is off.
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
		return nil, fmt.Errorf("%w: OTEL_TRACES_EXPORTER must be none, otlp or console", ErrConfig)
	}
}

// newOTLP returns an exporter of protobuf over HTTP, the specification's recommendation, which every collector
// supports.
func newOTLP(ctx context.Context) (sdk.SpanExporter, error) {
	for _, name := range []string{"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"} {
		if protocol := os.Getenv(name); protocol != "" && protocol != "http/protobuf" {
			return nil, fmt.Errorf("%w: %s must be http/protobuf", ErrConfig, name)
		}
	}
	exporter, err := otlptracehttp.New(ctx)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrConfig, err)
	}
	return exporter, nil
}

// Shutdown exports the remaining spans before ctx ends. It is a no-op for a nil Provider.
func (p *Provider) Shutdown(ctx context.Context) error {
	if p == nil {
		return nil
	}
	return p.sdk.Shutdown(ctx)
}

// errorLogInterval is the minimum time between two log entries: if the collector is unreachable, every batch fails.
const errorLogInterval = time.Minute

// LogErrors logs OpenTelemetry's errors, at most one a minute. It changes global state of that library, so only a
// command's main should call it.
func LogErrors(logger *slog.Logger) {
	otel.SetLogger(logr.Discard()) // it reports the same errors, and more
	otel.SetErrorHandler(&errorHandler{logger: logger, now: time.Now})
}

type errorHandler struct {
	logger     *slog.Logger
	now        func() time.Time
	mutedUntil atomic.Int64 // in nanoseconds of Unix time
}

// Handle implements otel.ErrorHandler.
func (h *errorHandler) Handle(err error) {
	now, mutedUntil := h.now(), h.mutedUntil.Load()
	if now.UnixNano() < mutedUntil || !h.mutedUntil.CompareAndSwap(mutedUntil, now.Add(errorLogInterval).UnixNano()) {
		return
	}
	h.logger.Warn("tracing error, spans may be lost", "cause", err)
}
