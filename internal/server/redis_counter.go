package server

import (
	"log/slog"
	"time"

	"github.com/redis/go-redis/v9"

	"wxlogin/handlers"
	"wxlogin/internal/ratelimit"
	"wxlogin/session"
)

// newCounter makes the counter of the limits a minute, which instances on one Redis share. It must be closed before client,
// which gives up by itself within timeout.
func newCounter(client redis.UniversalClient, timeout time.Duration, logger *slog.Logger) *ratelimit.Counter {
	return ratelimit.New(ratelimit.Options{
		Redis:   client,
		Prefix:  session.DefaultKeyPrefix + "rate:",
		Window:  handlers.RateWindow,
		Timeout: timeout,
		OnDegraded: func(degraded bool) {
			logger.Debug("rate limits", "countedLocally", degraded) // that Redis is away is logged once, by logOutages
		},
	})
}

// newDailyCounter is newCounter for the limits a day.
func newDailyCounter(client redis.UniversalClient) *ratelimit.Counter {
	return ratelimit.New(ratelimit.Options{
		Redis:   client,
		Prefix:  session.DefaultKeyPrefix + "daily:",
		Window:  handlers.DailyWindow,
		Timeout: counterTimeout,
	})
}
