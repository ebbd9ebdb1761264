// Package redisclient makes the server's clients of Redis, for a single server, Sentinel or a Cluster:
//
//	client, err := redisclient.New(redisclient.Options{Mode: redisclient.Cluster, URL: "rediss://node:6379?addr=node2:6379"})
//	if err != nil {
//		return err
//	}
//	defer client.Close()
//	err = redisclient.CheckConfig(ctx, client, redisclient.Cluster, sessions.Ready)
//
// Every wait of a client is bounded, and the bounds are the same in all modes. No error holds a user name, a password or
// the URL.
//
// It imports nothing of this module.
package redisclient

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// DefaultTimeout is the default of Options.Timeout.
const DefaultTimeout = time.Second

// clusterStateInterval is how often a Cluster's state is read if every command succeeds. reloadOnError reads it earlier.
const clusterStateInterval = 10 * time.Second

// Options configure a client.
type Options struct {
	Mode string // Single, Sentinel or Cluster; "" is Single
	URL  string // redis://… or rediss://…; the forms of each mode are those of go-redis's ParseURL functions

	// TLS is the CA and the client certificate of connections if URL is rediss://…; nil uses the system's roots.
	TLS *tls.Config

	// Timeout bounds connecting, each read and write, and the wait for a connection of the pool, unless URL sets another
	// time-out (redis://…?read_timeout=…). Default DefaultTimeout.
	Timeout time.Duration
	// OverrideURL makes Timeout replace the time-outs of URL as well.
	OverrideURL bool
	// NoRetry makes a failed command fail at once. By default it is tried again.
	NoRetry bool
}

// New returns a client that connects with its first command. The error says what is wrong with Options.Mode or
// Options.URL.
//
// A Sentinel client asks the Sentinels for the master before each new connection, and drops its connections when they
// announce another master. A Cluster client reads and writes on masters only.
func New(o Options) (redis.UniversalClient, error) {
	if o.Timeout == 0 {
		o.Timeout = DefaultTimeout
	}
	parsed, err := parseURL(o.Mode, o.URL)
	if err != nil {
		return nil, err
	}
	switch {
	case parsed.sentinel != nil:
		return newSentinelClient(parsed.sentinel, o), nil
	case parsed.cluster != nil:
		return newClusterClient(parsed.cluster, o), nil
	}
	return newSingleClient(parsed.single, o), nil
}

func newSingleClient(r *redis.Options, o Options) redis.UniversalClient {
	o.setTimeouts(&r.DialTimeout, &r.ReadTimeout, &r.WriteTimeout, &r.PoolTimeout)
	if o.NoRetry {
		r.MaxRetries = -1
	}
	r.TLSConfig = o.tlsConfig(r.TLSConfig)
	r.PipelinePoolSize = sharedPool(r.PipelinePoolSize)
	r.DialerRetries = 1 // a command that got no connection is retried as a whole
	r.ContextTimeoutEnabled = true
	r.DisableIdentity = true
	r.Protocol = defaultRESP2(r.Protocol)
	r.MaintNotificationsConfig = noMaintNotifications()
	return redis.NewClient(r)
}

func newSentinelClient(r *redis.FailoverOptions, o Options) redis.UniversalClient {
	o.setTimeouts(&r.DialTimeout, &r.ReadTimeout, &r.WriteTimeout, &r.PoolTimeout)
	if o.NoRetry {
		r.MaxRetries = -1
	}
	r.TLSConfig = o.tlsConfig(r.TLSConfig)
	r.PipelinePoolSize = sharedPool(r.PipelinePoolSize)
	r.DialerRetries = 1
	r.ContextTimeoutEnabled = true
	r.DisableIdentity = true
	r.Protocol = defaultRESP2(r.Protocol)
	return redis.NewFailoverClient(r) // it has no maintenance notifications
}

func newClusterClient(r *redis.ClusterOptions, o Options) redis.UniversalClient {
	o.setTimeouts(&r.DialTimeout, &r.ReadTimeout, &r.WriteTimeout, &r.PoolTimeout)
	if o.NoRetry {
		r.MaxRedirects = 1 // follows a slot that has moved; a write that may have been done is never repeated
	}
	r.TLSConfig = o.tlsConfig(r.TLSConfig)
	r.PipelinePoolSize = sharedPool(r.PipelinePoolSize)
	r.DialerRetries = 1
	r.ContextTimeoutEnabled = true
	r.DisableIdentity = true
	r.Protocol = defaultRESP2(r.Protocol)
	r.MaintNotificationsConfig = noMaintNotifications()
	r.DisableRoutingPolicies = true // only for commands to several nodes, which are not used; they send COMMAND without a bound
	r.ClusterStateReloadInterval = clusterStateInterval
	client := redis.NewClusterClient(r)
	client.AddHook(reloadOnError{client})
	return client
}

// setTimeouts sets those time-outs that the URL leaves at 0, or all of them.
func (o Options) setTimeouts(timeouts ...*time.Duration) {
	for _, timeout := range timeouts {
		if *timeout == 0 || o.OverrideURL {
			*timeout = o.Timeout
		}
	}
}

// tlsConfig returns the TLS configuration of a client, given the one of its URL; nil stays nil.
//
// It sets no ServerName: each node has a certificate for its own address, which with Sentinel and Cluster is not the
// address in the URL.
func (o Options) tlsConfig(ofURL *tls.Config) *tls.Config {
	if ofURL == nil {
		return nil
	}
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if o.TLS != nil {
		c = o.TLS.Clone()
	}
	c.InsecureSkipVerify = ofURL.InsecureSkipVerify
	return c
}

// sharedPool returns the size of the connection pool for pipelines: -1, which makes them use the pool of all other
// commands, unless the URL asks for a separate one. So pool_size is the number of connections.
func sharedPool(ofURL int) int {
	if ofURL == 0 {
		return -1
	}
	return ofURL
}

// defaultRESP2 returns the version of Redis's protocol: 2, unless the URL asks for another. RESP3 has push messages, which
// this server does not use, and checking for them before each reply takes a tenth of a command's time.
func defaultRESP2(ofURL int) int {
	if ofURL == 0 {
		return 2
	}
	return ofURL
}

// noMaintNotifications turns off notifications that only Redis Enterprise sends.
func noMaintNotifications() *maintnotifications.Config {
	return &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
}

// RouteLogs sends go-redis's messages to logger. They are a global of that library, so a command calls this once.
//
// go-redis logs each failed attempt to connect. The same errors are returned by the commands, and the server logs an
// outage once, so these messages have level Debug. Only panics that go-redis recovers have level Error.
func RouteLogs(logger *slog.Logger) { redis.SetLogger(logAdapter{logger}) }

// logAdapter implements go-redis's logger.
type logAdapter struct{ logger *slog.Logger }

// Printf implements go-redis's logger.
func (l logAdapter) Printf(ctx context.Context, format string, args ...any) {
	level := slog.LevelDebug
	if strings.Contains(format, "panic") {
		level = slog.LevelError
	}
	if l.logger.Enabled(ctx, level) {
		l.logger.Log(ctx, level, "redis client", "message", fmt.Sprintf(format, args...))
	}
}

// reloadOnError is a hook that reads a Cluster's state again if a command was not served. Without it, the client goes on
// sending commands to a master that has died until the next regular read of the state, although a replica has long taken
// over: it learns of a change only from the reply of a live node.
//
// The client reads the state once at a time and pauses after each read, however many commands fail.
type reloadOnError struct{ client *redis.ClusterClient }

// DialHook implements redis.Hook. It changes nothing.
func (r reloadOnError) DialHook(next redis.DialHook) redis.DialHook { return next }

// ProcessHook implements redis.Hook.
func (r reloadOnError) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		err := next(ctx, cmd)
		r.check(ctx, err)
		return err
	}
}

// ProcessPipelineHook implements redis.Hook.
func (r reloadOnError) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		err := next(ctx, cmds)
		r.check(ctx, err)
		return err
	}
}

func (r reloadOnError) check(ctx context.Context, err error) {
	if needsReload(err) {
		r.client.ReloadState(ctx)
	}
}

// needsReload reports whether a command got no reply, or one from a node that may not serve its key.
func needsReload(err error) bool {
	if err == nil || errors.Is(err, context.Canceled) { // the caller has given up
		return false
	}
	if _, replied := errors.AsType[redis.Error](err); replied {
		return redis.IsClusterDownError(err) || redis.IsReadOnlyError(err)
	}
	return true
}
