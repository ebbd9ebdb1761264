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
