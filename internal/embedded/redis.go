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

// Redis is a running embedded Redis server. Its data lives in memory and ends with it. Keys expire as time passes.
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
	server.ClockTTL(true) // left alone, no key would ever expire: miniredis is made for tests that move time
	if err := server.StartAddr(o.Addr); err != nil {
		return nil, fmt.Errorf("embedded: start Redis: %w", err)
	}
	return &Redis{server: server, addr: server.Addr(), close: sync.OnceFunc(server.Close)}, nil
}

// Addr returns the host:port the server listens on.
func (r *Redis) Addr() string { return r.addr }

// URL returns the address as redis:// URL of the logical database 0.
func (r *Redis) URL() string { return "redis://" + r.Addr() + "/0" }

// FastForward takes d off the time that every key has left, and removes those whose time is over. The server's
// clock (TIME, EXPIREAT) stays where it is.
func (r *Redis) FastForward(d time.Duration) { r.server.FastForward(d) }

// Close stops the server and closes its connections. Calling it again does nothing.
func (r *Redis) Close() error {
	r.close()
	return nil
}
