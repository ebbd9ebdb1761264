package server

import (
	"errors"
	"fmt"
	"math"
	"net/url"
	"strings"

	"github.com/redis/go-redis/v9"
)

// The values of REDIS_MODE. None is redisSingle.
const (
	redisSingle   = "single"
	redisSentinel = "sentinel"
	redisCluster  = "cluster"
)

// redisOptions is REDIS_URL as its mode reads it: one of the three is set.
type redisOptions struct {
	single   *redis.Options
	sentinel *redis.FailoverOptions
	cluster  *redis.ClusterOptions
}

// redisFaults checks how Redis is to be reached, without connecting.
func (c Config) redisFaults() []error {
	if c.RedisURL == "" {
		return nil // reported as not set
	}
	_, err := parseRedis(c.Redis.Mode, c.RedisURL)
	if err != nil {
		return []error{err}
	}
	return c.Redis.tlsFaults(c.RedisURL)
}

// parseRedis reads REDIS_URL. Its errors name neither the URL nor what the client library says of it, which may be a part
// of a password that was not written as URLs want it.
func parseRedis(mode, url string) (redisOptions, error) {
	switch mode {
	case redisSingle, "":
		return parseSingle(url)
	case redisSentinel:
		return parseSentinel(url)
	case redisCluster:
		return parseCluster(url)
	}
	return redisOptions{}, fmt.Errorf("REDIS_MODE: %q is not %s, %s or %s", mode, redisSingle, redisSentinel, redisCluster)
}

func parseSingle(url string) (redisOptions, error) {
	o, err := redis.ParseURL(url)
	if err != nil {
		return redisOptions{}, errors.New("REDIS_URL is not of the form redis://user:password@host:port/number, or has unknown options")
	}
	return redisOptions{single: o},
		poolFault(o.PoolSize, o.MinIdleConns, o.MaxIdleConns, o.MaxActiveConns, o.PipelinePoolSize)
}

func parseSentinel(url string) (redisOptions, error) {
	o, err := redis.ParseFailoverURL(url)
	if err != nil {
		return redisOptions{}, errors.New("REDIS_URL is not of the form redis://user:password@sentinel:port/number" +
			"?master_name=name&addr=sentinel:port, or has unknown options")
	}
	if o.MasterName == "" {
		return redisOptions{}, errors.New("REDIS_URL has no option master_name, which REDIS_MODE=sentinel needs")
	}
	if o.RouteByLatency || o.RouteRandomly || o.ReplicaOnly || o.UseDisconnectedReplicas {
		return redisOptions{}, errReadsReplicas
	}
	return redisOptions{sentinel: o},
		poolFault(o.PoolSize, o.MinIdleConns, o.MaxIdleConns, o.MaxActiveConns, o.PipelinePoolSize)
}

func parseCluster(url string) (redisOptions, error) {
	o, err := redis.ParseClusterURL(url)
	if err != nil {
		return redisOptions{}, errors.New("REDIS_URL is not of the form redis://user:password@node:port?addr=node:port, " +
			"or has unknown options")
	}
	if hasDatabase(url) {
		return redisOptions{}, errors.New("REDIS_URL names a database, and a Cluster has none but 0")
	}
	if o.ReadOnly || o.RouteByLatency || o.RouteRandomly {
		return redisOptions{}, errReadsReplicas
	}
	return redisOptions{cluster: o},
		poolFault(o.PoolSize, o.MinIdleConns, o.MaxIdleConns, o.MaxActiveConns, o.PipelinePoolSize)
}

// errReadsReplicas: a replica may not have the session yet that was begun a moment ago.
var errReadsReplicas = errors.New("REDIS_URL has an option to read from replicas, which may not know a new session yet")

// hasDatabase tells whether a URL's path names a database other than 0. ParseClusterURL leaves the path unread.
func hasDatabase(s string) bool {
	u, err := url.Parse(s)
	return err != nil || strings.Trim(u.Path, "/") != "" && u.Path != "/0"
}

// poolFault finds a size that the client library would end the process for.
func poolFault(sizes ...int) error {
	for _, size := range sizes {
		if size < -1 || size > math.MaxInt16 {
			return fmt.Errorf("REDIS_URL: %d is no size of a pool of connections", size)
		}
	}
	return nil
}
