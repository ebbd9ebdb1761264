// Package tracing makes OpenTelemetry traces where the environment asks for them, by the standard variables: one trace a
// request, with spans of its calls of WeChat, its statements in MySQL and its commands in Redis.
//
//	OTEL_TRACES_EXPORTER   none (default), otlp (OTLP over HTTP) or console (JSON on standard output)
//	OTEL_EXPORTER_OTLP_…, OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES, OTEL_TRACES_SAMPLER, OTEL_BSP_…, OTEL_SDK_DISABLED
//	                       as in OpenTelemetry's specification
//
// Without an exporter nothing is put in between anything: Handler, Transport, OpenDB and Redis give back what they were
// given, and a request costs what it cost without this package.
//
// No span holds a path, query, field or token that a client or WeChat sent: requests are shown by their route, calls of WeChat
// without their query, statements without arguments, commands by their names.
//
// It is used by internal/server and the command of the server, and imports nothing of this module.
package tracing
