package app

import (
	"errors"
	"log/slog"
	"time"

	"github.com/go-chi/httprate"
	httprateredis "github.com/go-chi/httprate-redis"
	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"wxlogin/handlers"
	"wxlogin/session"
)

const (
	redisTimeout = time.Second
	// counterTimeout is what a rate limit may cost a request where Redis hangs: from then on each process counts for
	// itself, until Redis answers again.
	counterTimeout = 250 * time.Millisecond
)

// openRedis makes a client whose waiting is bounded on purpose; what the URL itself sets (redis://…?read_timeout=…) stays.
func openRedis(url string) (*redis.Client, error) {
	o, err := redisOptions(url)
	if err != nil {
		return nil, err
	}
	for _, d := range []*time.Duration{&o.DialTimeout, &o.ReadTimeout, &o.WriteTimeout, &o.PoolTimeout} {
		if *d == 0 {
			*d = redisTimeout
		}
	}
	return redis.NewClient(o), nil
}

// openCounterRedis makes a client for the rate limits alone, which waits less and never tries twice.
func openCounterRedis(url string) (*redis.Client, error) {
	o, err := redisOptions(url)
	if err != nil {
		return nil, err
	}
	o.DialTimeout, o.ReadTimeout, o.WriteTimeout, o.PoolTimeout = counterTimeout, counterTimeout, counterTimeout, counterTimeout
	o.MaxRetries = -1
	return redis.NewClient(o), nil
}

func redisOptions(url string) (*redis.Options, error) {
	o, err := redis.ParseURL(url)
	if err != nil {
		return nil, errors.New("REDIS_URL cannot be read") // the error itself would show the password
	}
	o.DialerRetries = 1 // a command that found no connection is tried again as a whole
	o.ContextTimeoutEnabled = true
	o.DisableIdentity = true
	o.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled} // only Redis Enterprise has them
	return o, nil
}

// newCounter makes the counter of all rate limits, which instances on one Redis share.
func newCounter(client *redis.Client, logger *slog.Logger) httprate.LimitCounter {
	return httprateredis.NewCounter(&httprateredis.Config{
		Client:       client,
		WindowLength: handlers.RateWindow,
		PrefixKey:    session.KeyPrefix + "rate",
		OnFallbackChange: func(local bool) {
			if local {
				logger.Warn("Redis is away: each instance counts rate limits for itself")
				return
			}
			logger.Info("Redis is back: instances count rate limits together")
		},
	})
}
