package server

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/redis/go-redis/v9"

	"wxlogin/handlers"
	"wxlogin/internal/config"
	"wxlogin/internal/erasure"
	"wxlogin/internal/ratelimit"
	"wxlogin/internal/redisclient"
	"wxlogin/session"
	"wxlogin/store"
	"wxlogin/wechat/push"
)

const (
	// startCheckTimeout bounds the check of MySQL, and then that of Redis, before the server starts.
	startCheckTimeout = 3 * time.Second

	// counterTimeout is how long Redis may take to store the counts of rate limits. If it takes longer, each process counts
	// locally until Redis responds again. No request waits for it.
	counterTimeout = 250 * time.Millisecond
)

// components holds the handlers' dependencies; close releases them.
type components struct {
	redis         redis.UniversalClient
	counterRedis  redis.UniversalClient
	counter       *ratelimit.Counter // of limits per minute
	dailyCounter  *ratelimit.Counter
	db            *store.DB
	stopLoginDays func() // ends the goroutine that writes db's login counts
	sessions      *session.Store
	apps          []handlers.CodeExchanger
	phoneNumbers  phoneNumbers
	avatars       avatarStorage
	eraser        *erasure.Eraser
	stopErasures  func() // ends the goroutine that finishes erases that were cut off
	metrics       *handlers.Metrics
}

// newComponents builds all components. It connects to MySQL and Redis to check the configuration, and to nothing else.
func newComponents(ctx context.Context, c config.Config, o Options) (*components, error) {
	p := &components{metrics: handlers.NewMetrics()}
	err := p.build(ctx, c, o)
	if err == nil {
		err = ctx.Err() // the checks succeed if they are cut short
	}
	if err != nil {
		return nil, errors.Join(err, p.close())
	}
	return p, nil
}

func (p *components) build(ctx context.Context, c config.Config, o Options) (err error) {
	if err = p.openRedis(c, o); err != nil {
		return err
	}
	if p.db, err = openDatabase(c, o); err != nil {
		return err
	}
	if err := checkPrimary(ctx, p.db); err != nil {
		return err
	}
	checkErasing(ctx, p.db, o.Logger)
	checkReplicas(ctx, p.db, o.Logger)
	p.stopLoginDays = startBackground(p.db.RunLoginDays)
	if p.avatars, err = openAvatars(c.Avatars); err != nil {
		return err
	}
	p.avatars.registerMetrics(p.metrics, o.Logger)
	if p.apps, err = newExchangers(c, o, p.metrics); err != nil {
		return err
	}
	if p.phoneNumbers, err = newPhoneNumbers(c, o, p.redis, p.metrics); err != nil {
		return err
	}
	var apps []session.App
	for _, app := range c.AllApps() {
		apps = append(apps, session.App(app))
	}
	p.sessions, err = session.New(session.Options{
		Redis: p.redis, Apps: apps, IdleTTL: c.SessionIdleTTL, MaxLifetime: c.SessionMaxTTL,
		MaxPerUser: c.MaxSessionsPerUser, Logger: o.Logger,
		AutoPipeline: o.Tracing == nil, // a trace has a span per command
	})
	if err != nil {
		return err
	}
	p.eraser = &erasure.Eraser{Users: p.db.Users(), Sessions: p.sessions, Logger: o.Logger, Timeout: o.StorageTimeout}
	if p.avatars.store != nil {
		p.eraser.Avatars = p.avatars.store
	}
	p.stopErasures = startBackground(p.eraser.Run)
	p.registerMetrics(c, o.Version)
	return checkRedis(ctx, p.redis, p.sessions, c.Redis.Mode)
}

// openRedis makes the clients of Redis, and the counters of rate limits, whose client waits less and never retries.
func (p *components) openRedis(c config.Config, o Options) error {
	tls, err := c.Redis.TLSConfig()
	if err != nil {
		return err
	}
	options := redisclient.Options{Mode: c.Redis.Mode, URL: c.RedisURL, TLS: tls}
	if p.redis, err = redisclient.New(options); err != nil {
		return err
	}
	options.Timeout, options.OverrideURL, options.NoRetry = counterTimeout, true, true
	if p.counterRedis, err = redisclient.New(options); err != nil {
		return err
	}
	p.counter = newCounter(p.counterRedis, "rate:", handlers.RateWindow, func(degraded bool) {
		o.Logger.Debug("rate limits", "countedLocally", degraded) // logOutages logs the outage of Redis
	})
	p.dailyCounter = newCounter(p.counterRedis, "daily:", handlers.DailyWindow, nil)
	return o.Tracing.Redis(p.redis)
}

// newCounter returns a counter of limits, which all instances on one Redis share. It must be closed before client.
func newCounter(client redis.UniversalClient, prefix string, window time.Duration, onDegraded func(bool)) *ratelimit.Counter {
	return ratelimit.New(ratelimit.Options{
		Redis: client, Prefix: session.DefaultKeyPrefix + prefix, Window: window, Timeout: counterTimeout, OnDegraded: onDegraded,
	})
}

// publicOptions returns the options of the public listener's handler.
func (p *components) publicOptions(c config.Config, o Options) handlers.PublicOptions {
	public := handlers.PublicOptions{
		Apps: p.apps, Sessions: p.sessions, Users: p.db.Users(), Logger: o.Logger, Metrics: p.metrics,
		PhoneNumbers:   p.phoneNumbers,
		Eraser:         p.eraser,
		PushForward:    c.PushForward,
		StorageTimeout: o.StorageTimeout,
		TrustedProxies: c.TrustedProxies,
		Limits: handlers.Limits{
			LoginsInFlight: c.Limits.LoginsInFlight,
			Logins:         c.Limits.Logins, Updates: c.Limits.Updates, FailedUpdates: c.Limits.FailedUpdates,
			Uploads: c.Limits.Uploads,
			Counter: p.counter, DailyCounter: p.dailyCounter,
		},
	}
	p.avatars.setOptions(&public)
	return public
}

// handlers returns the handlers of both listeners.
func (p *components) handlers(
	c config.Config, o Options, closing context.Context, stopping handlers.Check,
) (public, internal http.Handler, err error) {
	options := p.publicOptions(c, o)
	options.Closing = closing
	if options.Pushes, err = pushReceivers(c); err != nil {
		return nil, nil, err
	}
	if public, err = handlers.NewPublic(options); err != nil {
		return nil, nil, err
	}
	internal, err = handlers.NewInternal(handlers.InternalOptions{
		Checks: append(p.checks(), stopping),
		Logger: o.Logger, Metrics: p.metrics,
		Sessions: p.sessions, Users: p.db.Users(), Directory: p.db.Users(), APIKeys: apiKeys(c), StorageTimeout: o.StorageTimeout,
		Eraser: p.eraser, Avatars: options.Avatars, AppIDs: appIDs(c),
		FailedUpdates: options.Limits.FailedUpdates, Counter: options.Limits.Counter, AccessTokens: p.accessTokens(c),
	})
	return o.Tracing.Handler(public, c.TrustedProxies.SentDirectly), o.Tracing.Handler(internal, trustAll), err
}

func pushReceivers(c config.Config) (map[string]*push.Receiver, error) {
	receivers := make(map[string]*push.Receiver)
	for _, p := range c.Pushes {
		receiver, err := p.Receiver()
		if err != nil {
			return nil, err // config has checked it
		}
		receivers[p.AppID] = receiver
	}
	return receivers, nil
}

func apiKeys(c config.Config) (keys []handlers.APIKey) {
	for _, key := range c.APIKeys() {
		keys = append(keys, handlers.APIKey(key))
	}
	return keys
}

func appIDs(c config.Config) (ids []string) {
	for _, app := range c.AllApps() {
		ids = append(ids, app.AppID)
	}
	return ids
}

// accessTokens returns the caches of phone numbers' access_tokens for other services, by appid, and nil if that is off.
func (p *components) accessTokens(c config.Config) map[string]handlers.AccessTokens {
	if !c.AccessTokenAPI {
		return nil
	}
	tokens := make(map[string]handlers.AccessTokens)
	for appID, app := range p.phoneNumbers {
		tokens[appID] = app.tokens
	}
	return tokens
}

// trustAll is for the internal listener, which only the operator's services reach.
func trustAll(*http.Request) bool { return true }

// close releases the components. Those that newComponents has not built are skipped.
func (p *components) close() error {
	var errs []error
	if p.stopErasures != nil {
		p.stopErasures()
	}
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
	if p.stopLoginDays != nil {
		p.stopLoginDays()
	}
	if p.db != nil {
		errs = append(errs, p.db.Close())
	}
	return errors.Join(append(errs, p.avatars.close())...)
}
