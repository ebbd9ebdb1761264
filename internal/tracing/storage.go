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

// OpenDB makes a span of every statement that belongs to a trace. What runs by itself, as checks of readiness do, has none.
// A span shows the statement as it was written, with ? in the place of values.
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

// statementName names a span by a statement's verb, and one without a statement by what it does: MySQL SELECT, MySQL commit.
func statementName(_ context.Context, method otelsql.Method, query string) string {
	if verb, _, _ := strings.Cut(strings.TrimSpace(query), " "); verb != "" {
		return "MySQL " + verb
	}
	return "MySQL " + string(method)
}

// Redis makes a span of every command of a client, by its name alone: keys hold openids, values hold records.
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

// isBackground tells commands of checks, of metrics and of a connection's beginning, which belong to no request.
func isBackground(cmd redis.Cmder) bool {
	switch cmd.Name() {
	case "ping", "dbsize", "hello", "auth", "select", "client", "readonly":
		return true
	}
	return slices.ContainsFunc(cmd.Args(), isReadyKey)
}

// readyPrefix begins the keys of session.Store.Ready, which this package does not import.
const readyPrefix = "wxlogin:ready:"

// isReadyKey reports whether an argument of a command is a key of session.Store.Ready.
func isReadyKey(arg any) bool {
	key, ok := arg.(string)
	return ok && strings.HasPrefix(key, readyPrefix)
}

// asked tells the others.
func inRequest(cmd redis.Cmder) bool { return !isBackground(cmd) }
