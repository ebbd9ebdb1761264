package tracing

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"slices"
	"strings"

	"github.com/XSAM/otelsql"
	"github.com/redis/go-redis/extra/redisotel/v9"
	"github.com/redis/go-redis/v9"
	"go.opentelemetry.io/otel/metric/noop"
	semconv "go.opentelemetry.io/otel/semconv/v1.37.0"
	"go.opentelemetry.io/otel/trace"
)

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
