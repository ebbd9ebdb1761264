package store

import (
	"context"
	"log/slog"
	"time"

	"gorm.io/gorm/logger"
)

const slowStatement = 200 * time.Millisecond

// statementLog tells slog of slow statements, with placeholders where the values were. Errors are not logged here:
// they are returned, and logged once by whoever handles them.
type statementLog struct {
	log  *slog.Logger
	slow time.Duration // from which duration on
}

var (
	_ logger.Interface = statementLog{}
	_ paramsFilter     = statementLog{}
)

type paramsFilter interface {
	ParamsFilter(ctx context.Context, sql string, params ...any) (string, []any)
}

// LogMode implements logger.Interface; slog's own level decides.
func (l statementLog) LogMode(logger.LogLevel) logger.Interface { return l }

// Info implements logger.Interface; GORM's remarks are dropped, they may hold values.
func (l statementLog) Info(context.Context, string, ...any) {}

// Warn implements logger.Interface; see Info.
func (l statementLog) Warn(context.Context, string, ...any) {}

// Error implements logger.Interface; see Info.
func (l statementLog) Error(context.Context, string, ...any) {}

// Trace implements logger.Interface.
func (l statementLog) Trace(ctx context.Context, begin time.Time, statement func() (string, int64), _ error) {
	if time.Since(begin) < l.slow {
		return // the text is not even made
	}
	text, _ := statement()
	l.sent(ctx, begin, text)
}

// sent tells of a statement where it was slow.
func (l statementLog) sent(ctx context.Context, begin time.Time, text string) {
	if took := time.Since(begin); took >= l.slow {
		l.log.WarnContext(ctx, "store: slow statement", "sql", text, "duration", took)
	}
}

// ParamsFilter keeps GORM from writing the values into the statement that Trace gets.
func (l statementLog) ParamsFilter(_ context.Context, sql string, _ ...any) (string, []any) {
	return sql, nil
}
