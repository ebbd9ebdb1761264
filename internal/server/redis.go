package server

import (
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

const (
	redisTimeout = time.Second
	// counterTimeout is how long Redis has to take counts of rate limits in. Where it hangs, each process counts for itself
	// from then on, until Redis answers again. No request waits for that.
	counterTimeout = 250 * time.Millisecond
	// stateInterval is how long a Cluster's state is believed where every command succeeds.
	stateInterval = 10 * time.Second
)

// redisBounds are how long a client waits, and how often it tries.
type redisBounds struct {
	wait  time.Duration
	fixed bool // what the URL itself sets (redis://…?read_timeout=…) does not count
	once  bool // what failed is not tried again
}

// set bounds waits.
func (b redisBounds) set(waits ...*time.Duration) {
	for _, wait := range waits {
		if *wait == 0 || b.fixed {
			*wait = b.wait
		}
	}
}

// openRedis makes a client whose waiting is bounded on purpose. It connects to nothing yet.
func openRedis(c Config) (redis.UniversalClient, error) {
	return newRedis(c, redisBounds{wait: redisTimeout})
}

// openCounterRedis makes a client for the rate limits alone, which waits less and never tries twice.
func openCounterRedis(c Config) (redis.UniversalClient, error) {
	return newRedis(c, redisBounds{wait: counterTimeout, fixed: true, once: true})
}

func newRedis(c Config, b redisBounds) (redis.UniversalClient, error) {
	o, err := parseRedis(c.Redis.Mode, c.RedisURL)
	if err != nil {
		return nil, err
	}
	switch {
	case o.sentinel != nil:
		return newSentinelClient(o.sentinel, c.Redis, b)
	case o.cluster != nil:
		return newClusterClient(o.cluster, c.Redis, b)
	}
	return newSingleClient(o.single, c.Redis, b)
}

func newSingleClient(o *redis.Options, c RedisConfig, b redisBounds) (_ redis.UniversalClient, err error) {
	if o.TLSConfig, err = c.tls(o.TLSConfig); err != nil {
		return nil, err
	}
	b.set(&o.DialTimeout, &o.ReadTimeout, &o.WriteTimeout, &o.PoolTimeout)
	if b.once {
		o.MaxRetries = -1
	}
	o.PipelinePoolSize = onePool(o.PipelinePoolSize)
	o.DialerRetries = 1 // a command that found no connection is tried again as a whole
	o.ContextTimeoutEnabled = true
	o.DisableIdentity = true
	o.Protocol = plainProtocol(o.Protocol)
	o.MaintNotificationsConfig = noMaintNotifications()
	return redis.NewClient(o), nil
}

// newSentinelClient makes a client that asks the Sentinels for the master before each connection that it makes, and leaves
// the connections to another when they tell of a new one.
func newSentinelClient(o *redis.FailoverOptions, c RedisConfig, b redisBounds) (_ redis.UniversalClient, err error) {
	if o.TLSConfig, err = c.tls(o.TLSConfig); err != nil {
		return nil, err
	}
	b.set(&o.DialTimeout, &o.ReadTimeout, &o.WriteTimeout, &o.PoolTimeout)
	if b.once {
		o.MaxRetries = -1
	}
	o.PipelinePoolSize = onePool(o.PipelinePoolSize)
	o.DialerRetries = 1
	o.ContextTimeoutEnabled = true
	o.DisableIdentity = true
	o.Protocol = plainProtocol(o.Protocol)
	return redis.NewFailoverClient(o), nil // which has no maintenance notifications
}

// newClusterClient makes a client that reads and writes on masters alone.
func newClusterClient(o *redis.ClusterOptions, c RedisConfig, b redisBounds) (_ redis.UniversalClient, err error) {
	if o.TLSConfig, err = c.tls(o.TLSConfig); err != nil {
		return nil, err
	}
	b.set(&o.DialTimeout, &o.ReadTimeout, &o.WriteTimeout, &o.PoolTimeout)
	if b.once {
		o.MaxRedirects = 1 // to where a slot has moved; a write that may have been done is never repeated
	}
	o.PipelinePoolSize = onePool(o.PipelinePoolSize)
	o.DialerRetries = 1
	o.ContextTimeoutEnabled = true
	o.DisableIdentity = true
	o.Protocol = plainProtocol(o.Protocol)
	o.MaintNotificationsConfig = noMaintNotifications()
	o.DisableRoutingPolicies = true // for commands to many nodes, which are not used; they ask for COMMAND without a bound
	o.ClusterStateReloadInterval = stateInterval
	client := redis.NewClusterClient(o)
	client.AddHook(reloadOnFault{client})
	return client, nil
}

// onePool makes pipelines use the pool of all other commands, so that pool_size is the number of connections, unless the
// URL gives them one of their own.
func onePool(ofURL int) int {
	if ofURL == 0 {
		return -1
	}
	return ofURL
}

// plainProtocol makes connections speak RESP2, unless the URL asks for another: RESP3 has messages that come unasked, of
// which there are none here, and looking for them before each answer takes a tenth of a command's time.
func plainProtocol(ofURL int) int {
	if ofURL == 0 {
		return 2
	}
	return ofURL
}

// noMaintNotifications: only Redis Enterprise has them.
func noMaintNotifications() *maintnotifications.Config {
	return &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
}
