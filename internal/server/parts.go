package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"wxlogin/handlers"
	"wxlogin/internal/clientip"
	"wxlogin/internal/ratelimit"
	"wxlogin/session"
	"wxlogin/store"
	"wxlogin/wechat"
)

// startCheckTimeout bounds the look at MySQL, and then at Redis, before the server starts.
const startCheckTimeout = 3 * time.Second

// parts are what the handlers are made of, and what must be closed in the end.
type parts struct {
	redis        redis.UniversalClient
	counterRedis redis.UniversalClient
	counter      *ratelimit.Counter // a minute
	dailyCounter *ratelimit.Counter
	db           *store.DB
	stopCounting func() // ends what writes db's counts of logins
	sessions     *session.Store
	apps         []handlers.CodeExchanger
	phoneNumbers phoneNumbers
	avatars      avatarParts
	metrics      *handlers.Metrics
}

// openParts makes all parts. Nothing is connected yet but for a look at MySQL's character set and at Redis.
func openParts(ctx context.Context, c Config, logger *slog.Logger) (*parts, error) {
	p := &parts{metrics: handlers.NewMetrics()}
	err := p.open(ctx, c, logger)
	if err == nil {
		err = ctx.Err() // the checks do not say that they were cut short
	}
	if err != nil {
		return nil, errors.Join(err, p.close())
	}
	return p, nil
}

func (p *parts) open(ctx context.Context, c Config, logger *slog.Logger) error {
	var err error
	if p.redis, err = openRedis(c); err != nil {
		return err
	}
	if p.counterRedis, err = openCounterRedis(c); err != nil {
		return err
	}
	p.counter, p.dailyCounter = newCounter(p.counterRedis, counterTimeout, logger), newDailyCounter(p.counterRedis)
	if err = c.Tracing.Redis(p.redis); err != nil {
		return err
	}
	if p.db, err = openDatabase(c, logger); err != nil {
		return err
	}
	if err := checkDatabase(ctx, p.db, logger); err != nil {
		return err
	}
	p.stopCounting = startBackground(p.db.RunLoginDays)
	if p.avatars, err = openAvatars(c.Avatars); err != nil {
		return err
	}
	p.avatars.registerMetrics(p.metrics, logger)
	if p.apps, err = newExchangers(c, p.metrics, logger); err != nil {
		return err
	}
	if p.phoneNumbers, err = newPhoneNumbers(c, p.redis, p.metrics, logger); err != nil {
		return err
	}
	p.sessions, err = session.New(session.Options{
		Redis: p.redis, Apps: sessionApps(c), IdleTTL: c.SessionIdleTTL, MaxLifetime: c.SessionMaxTTL,
		MaxPerUser: c.MaxSessionsPerUser, Logger: logger,
		AutoPipeline: c.Tracing == nil, // a trace wants each command for itself
	})
	if err != nil {
		return err
	}
	p.watch(c)
	return checkRedis(ctx, p.redis, p.sessions, c.Redis.Mode)
}

// checkDatabase refuses what only another configuration mends: a wrong password, an unknown database, missing rights, a
// connection that is not utf8mb4 and would lose or refuse emoji. A database that cannot be reached yet, is read-only, or is of
// an earlier version, is no fault: logOutages and /readyz say so until it is well. Replicas that cannot be used are logged.
func checkDatabase(ctx context.Context, db *store.DB, logger *slog.Logger) error {
	if err := checkPrimary(ctx, db); err != nil {
		return err
	}
	checkReplicas(ctx, db, logger)
	return nil
}

// newExchangers makes a client of WeChat for each app, each behind a circuit breaker of its own.
func newExchangers(c Config, metrics *handlers.Metrics, logger *slog.Logger) ([]handlers.CodeExchanger, error) {
	var apps []handlers.CodeExchanger
	for _, app := range c.allApps() {
		client, breaker, err := newClient(c, app, metrics, logger)
		if err != nil {
			return nil, err
		}
		metrics.WatchBreaker(app.AppID, func() string { return breaker.State().String() })
		apps = append(apps, guarded{client, breaker})
	}
	return apps, nil
}

// newClient makes a client of WeChat for one app, with a circuit breaker and connections of its own: what made the breaker
// open may have killed the idle connections too, so that WeChat is tried again on new ones, and other apps keep theirs.
func newClient(c Config, app App, metrics *handlers.Metrics, logger *slog.Logger) (*wechat.Client, *breaker, error) {
	transport := wechat.NewTransport()
	client, err := wechat.NewClient(wechat.Options{
		AppID: app.AppID, Secret: wechat.Secret(app.Secret), BaseURL: c.WeChatAPIBase, Transport: c.Tracing.Transport(transport),
		OnCall: metrics.WeChatCall,
	})
	if err != nil {
		return nil, nil, fmt.Errorf("app %s: %w", app.AppID, err)
	}
	return client, newBreaker(defaultBreaker, logger.With("appid", app.AppID), transport.CloseIdleConnections), nil
}

func sessionApps(c Config) []session.App {
	var apps []session.App
	for _, app := range c.allApps() {
		apps = append(apps, session.App(app))
	}
	return apps
}

// publicOptions are the parts and limits of the public listener.
func (p *parts) publicOptions(c Config, logger *slog.Logger) handlers.PublicOptions {
	o := handlers.PublicOptions{
		Apps: p.apps, Sessions: p.sessions, Users: p.db.Users(), Logger: logger, Metrics: p.metrics,
		PhoneNumbers:   p.phoneNumbers,
		StorageTimeout: c.StorageTimeout,
		TrustedProxies: c.TrustedProxies,
		Limits: handlers.Limits{
			LoginsInFlight: c.Limits.LoginsInFlight,
			Logins:         c.Limits.Logins, Updates: c.Limits.Updates, FailedUpdates: c.Limits.FailedUpdates,
			Uploads: c.Limits.Uploads,
			Counter: p.counter, DailyCounter: p.dailyCounter,
		},
	}
	p.avatars.options(&o)
	return o
}

// handlers makes the handlers of both listeners.
func (p *parts) handlers(
	c Config, closing context.Context, stopping handlers.Check, logger *slog.Logger,
) (public, internal http.Handler, err error) {
	proxies, err := clientip.ParseNetworks(c.TrustedProxies)
	if err != nil {
		return nil, nil, err
	}
	options := p.publicOptions(c, logger)
	options.Closing = closing
	if public, err = handlers.NewPublic(options); err != nil {
		return nil, nil, err
	}
	internal, err = handlers.NewInternal(handlers.InternalOptions{
		Checks: append(p.checks(), stopping),
		Logger: logger, Metrics: p.metrics,
		Sessions: p.sessions, Users: p.db.Users(), APIKey: c.InternalAPIKey, StorageTimeout: c.StorageTimeout,
	})
	return c.Tracing.Handler(public, fromProxy(proxies)), c.Tracing.Handler(internal, anybody), err
}

// mysqlReady asks whether MySQL can serve logins; until it did so once, whether its connection is utf8mb4 too, which
// could not be seen at a start without MySQL.
func (p *parts) mysqlReady() func(context.Context) error {
	var utf8mb4 atomic.Bool
	return func(ctx context.Context) error {
		if !utf8mb4.Load() {
			if err := p.db.CheckCharset(ctx); err != nil {
				return err
			}
			utf8mb4.Store(true)
		}
		return p.db.Ready(ctx)
	}
}

// close closes what was opened, in any state of openParts.
func (p *parts) close() error {
	var errs []error
	for _, counter := range []*ratelimit.Counter{p.counter, p.dailyCounter} {
		if counter != nil {
			errs = append(errs, counter.Close())
		}
	}
	for _, client := range []redis.UniversalClient{p.redis, p.counterRedis} {
		if client != nil {
			errs = append(errs, client.Close())
		}
	}
	if p.stopCounting != nil {
		p.stopCounting()
	}
	if p.db != nil {
		errs = append(errs, p.db.Close())
	}
	return errors.Join(append(errs, p.avatars.close())...)
}
