package redisclient

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/url"
	"strings"

	"github.com/redis/go-redis/v9"
)

// The modes of a client, which are the values of REDIS_MODE.
const (
	Single   = "single"
	Sentinel = "sentinel"
	Cluster  = "cluster"
)

// parsedURL is a URL as go-redis reads it in one of the modes. Exactly one field is set.
type parsedURL struct {
	single   *redis.Options
	sentinel *redis.FailoverOptions
	cluster  *redis.ClusterOptions
}

// CheckURL checks a mode and a URL (REDIS_MODE and REDIS_URL) without connecting.
func CheckURL(mode, url string) error {
	_, err := parseURL(mode, url)
	return err
}

// Describe returns the mode and the addresses of a URL for a log line, and an empty group if the URL is invalid. It
// holds no user name and no password.
func Describe(mode, url string) slog.Value {
	u, err := parseURL(mode, url)
	switch {
	case err != nil:
		return slog.GroupValue()
	case u.sentinel != nil:
		return slog.GroupValue(slog.String("mode", Sentinel), slog.Any("sentinels", u.sentinel.SentinelAddrs),
			slog.String("master", u.sentinel.MasterName), slog.Int("database", u.sentinel.DB), slog.Bool("tls", u.sentinel.TLSConfig != nil))
	case u.cluster != nil:
		return slog.GroupValue(slog.String("mode", Cluster), slog.Any("nodes", u.cluster.Addrs),
			slog.Bool("tls", u.cluster.TLSConfig != nil))
	}
	return slog.GroupValue(slog.String("mode", Single), slog.String("address", u.single.Addr),
		slog.Int("database", u.single.DB), slog.Bool("tls", u.single.TLSConfig != nil))
}

// parseURL reads a URL. Its errors contain neither the URL nor go-redis's message, which may quote a part of a password
// that was not escaped.
func parseURL(mode, url string) (parsedURL, error) {
	switch mode {
	case Single, "":
		return parseSingle(url)
	case Sentinel:
		return parseSentinel(url)
	case Cluster:
		return parseCluster(url)
	}
	return parsedURL{}, fmt.Errorf("REDIS_MODE: %q is not %s, %s or %s", mode, Single, Sentinel, Cluster)
}

func parseSingle(url string) (parsedURL, error) {
	o, err := redis.ParseURL(url)
	if err != nil {
		return parsedURL{}, errors.New("REDIS_URL is not of the form redis://user:password@host:port/number, or has unknown options")
	}
	return parsedURL{single: o},
		checkPoolSizes(o.PoolSize, o.MinIdleConns, o.MaxIdleConns, o.MaxActiveConns, o.PipelinePoolSize)
}

func parseSentinel(url string) (parsedURL, error) {
	o, err := redis.ParseFailoverURL(url)
	if err != nil {
		return parsedURL{}, errors.New("REDIS_URL is not of the form redis://user:password@sentinel:port/number" +
			"?master_name=name&addr=sentinel:port, or has unknown options")
	}
	if o.MasterName == "" {
		return parsedURL{}, errors.New("REDIS_URL has no option master_name, which REDIS_MODE=sentinel requires")
	}
	if o.RouteByLatency || o.RouteRandomly || o.ReplicaOnly || o.UseDisconnectedReplicas {
		return parsedURL{}, errReadsReplicas
	}
	return parsedURL{sentinel: o},
		checkPoolSizes(o.PoolSize, o.MinIdleConns, o.MaxIdleConns, o.MaxActiveConns, o.PipelinePoolSize)
}

func parseCluster(url string) (parsedURL, error) {
	o, err := redis.ParseClusterURL(url)
	if err != nil {
		return parsedURL{}, errors.New("REDIS_URL is not of the form redis://user:password@node:port?addr=node:port, " +
			"or has unknown options")
	}
	if hasDatabase(url) {
		return parsedURL{}, errors.New("REDIS_URL names a database, but a Cluster has only database 0")
	}
	if o.ReadOnly || o.RouteByLatency || o.RouteRandomly {
		return parsedURL{}, errReadsReplicas
	}
	return parsedURL{cluster: o},
		checkPoolSizes(o.PoolSize, o.MinIdleConns, o.MaxIdleConns, o.MaxActiveConns, o.PipelinePoolSize)
}

// errReadsReplicas refuses reads from replicas: a replica may not have a session that was created a moment ago.
var errReadsReplicas = errors.New("REDIS_URL has an option to read from replicas, which may not have a new session yet")

// hasDatabase reports whether a URL's path names a database other than 0. ParseClusterURL ignores the path.
func hasDatabase(s string) bool {
	u, err := url.Parse(s)
	return err != nil || strings.Trim(u.Path, "/") != "" && u.Path != "/0"
}

// checkPoolSizes rejects sizes at which go-redis would panic.
func checkPoolSizes(sizes ...int) error {
	for _, size := range sizes {
		if size < -1 || size > math.MaxInt16 {
			return fmt.Errorf("REDIS_URL: %d is not a valid pool size", size)
		}
	}
	return nil
}
