package embedded

import (
	"fmt"
	"sync"
	"time"

	"github.com/alicebob/miniredis/v2"
)

// RedisOptions configures StartRedis. The zero value is usable.
type RedisOptions struct {
	// Addr is the host:port to listen on. The host must be a loopback address. Port 0 takes a free one.
	// Default "127.0.0.1:0".
	Addr string
}

// Redis is a running embedded Redis server. Its data lives in memory and is gone when it is closed. Keys expire in
// real time.
type Redis struct {
	server *miniredis.Miniredis
	addr   string
	close  func()
}

// StartRedis starts a server and returns when it accepts connections. The caller must Close it.
func StartRedis(o RedisOptions) (*Redis, error) {
	if o.Addr == "" {
		o.Addr = "127.0.0.1:0"
	}
	if err := RequireLoopback(o.Addr); err != nil {
		return nil, err
	}
	server := miniredis.NewMiniRedis()
	server.ClockTTL(true) // otherwise keys expire only by FastForward
	if err := server.StartAddr(o.Addr); err != nil {
		return nil, fmt.Errorf("embedded: start Redis: %w", err)
	}
	return &Redis{server: server, addr: server.Addr(), close: sync.OnceFunc(server.Close)}, nil
}

// Addr returns the host:port the server listens on.
func (r *Redis) Addr() string { return r.addr }

// URL returns the address as a redis:// URL of logical database 0.
func (r *Redis) URL() string { return "redis://" + r.Addr() + "/0" }

// FastForward subtracts d from the remaining time of every key and deletes the expired ones. The server's clock (TIME,
// EXPIREAT) does not move.
func (r *Redis) FastForward(d time.Duration) { r.server.FastForward(d) }

// Close stops the server and closes its connections. It never fails, and later calls are no-ops.
func (r *Redis) Close() error {
	r.close()
	return nil
}
