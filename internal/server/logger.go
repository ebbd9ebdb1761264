package server

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"

	"github.com/redis/go-redis/v9"
)

// NewLogger makes the logger that a configuration asks for.
func NewLogger(c LogConfig, w io.Writer) *slog.Logger {
	o := &slog.HandlerOptions{Level: c.Level}
	if c.Format == "text" {
		return slog.New(slog.NewTextHandler(w, o))
	}
	return slog.New(slog.NewJSONHandler(w, o))
}

// redisLogger brings go-redis's own messages (a pool that cannot dial, a node that left) into the log's format. While Redis is away
// there is one for each attempt to connect; what they say comes back as the error of a command too, and logOutages logs an outage
// once. So they are for debugging, but for the panics that the library recovers.
type redisLogger struct{ logger *slog.Logger }

func (l redisLogger) Printf(ctx context.Context, format string, args ...any) {
	level := slog.LevelDebug
	if strings.Contains(format, "panic") {
		level = slog.LevelError
	}
	if l.logger.Enabled(ctx, level) {
		l.logger.Log(ctx, level, "redis client", "message", fmt.Sprintf(format, args...))
	}
}

// RouteRedisLog sends go-redis's messages to a logger. They are a global of that library: a command calls this once.
func RouteRedisLog(logger *slog.Logger) { redis.SetLogger(redisLogger{logger}) }
