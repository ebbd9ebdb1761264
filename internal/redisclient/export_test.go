package redisclient

import "github.com/redis/go-redis/v9"

// For the tests, which are in an external package because package config imports this one.
var (
	ConfigError        = configError
	ErrClusterAsSingle = errClusterAsSingle
	ErrDatabase        = errDatabase
)

// PoolStats is poolStats with exported fields.
type PoolStats struct {
	Idle, InUse, Limit int
	TimedOut           uint64
}

// PoolStatsOf is poolStatsOf for tests.
func PoolStatsOf(client redis.UniversalClient) func() PoolStats {
	stats := poolStatsOf(client)
	return func() PoolStats {
		s := stats()
		return PoolStats{s.idle, s.inUse, s.limit, s.timedOut}
	}
}
