package app

import (
	"log/slog"

	"github.com/redis/go-redis/v9"

	"wxlogin/handlers"
	"wxlogin/internal/ratelimit"
	"wxlogin/session"
)

// newCounter makes the counter of the limits a minute, which instances on one Redis share. It must be closed before client.
func newCounter(client redis.UniversalClient, logger *slog.Logger) *ratelimit.Counter {
	return ratelimit.New(ratelimit.Options{
		Redis:   client,
		Prefix:  session.KeyPrefix + "rate:",
		Window:  handlers.RateWindow,
		Timeout: counterTimeout,
		OnDegraded: func(degraded bool) {
			if degraded {
				logger.Warn("Redis is away: each instance counts rate limits for itself")
				return
			}
			logger.Info("Redis is back: instances count rate limits together")
		},
	})
}

// newDailyCounter is newCounter for the limits a day.
func newDailyCounter(client redis.UniversalClient) *ratelimit.Counter {
	return ratelimit.New(ratelimit.Options{
		Redis:   client,
		Prefix:  session.KeyPrefix + "daily:",
		Window:  handlers.DailyWindow,
		Timeout: counterTimeout,
	})
}
