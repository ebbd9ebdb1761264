// Package embedded runs MySQL and Redis inside the process, for the demo and for tests. There is nothing to install,
// nothing is written to disk, and all data is gone when the process ends. The server does not link this package.
//
//	StartMySQL   go-mysql-server with in-memory storage, on a loopback port, behind the serializer
//	StartRedis   miniredis on a loopback port, with keys that expire in real time
//
// Both speak the real protocols, so the ordinary mysql, mariadb and redis-cli clients can connect. Neither asks for a
// password (MySQL takes any user, root by convention), so both refuse to listen on anything but loopback.
//
// # The serializer
//
// The in-memory storage has no isolation: if two connections write at once, one of the writes is lost. The serializer
// therefore admits one connection at a time:
//
//	statement outside a transaction    admitted from its start to its end
//	BEGIN … COMMIT or ROLLBACK         admitted throughout; with autocommit = 0, from the first statement
//	anything else                      waits, in order of arrival
//
// If the admitted client sends nothing for MySQLOptions.TransactionIdle, or does not read its rows for that long, its
// connection is closed and its transaction rolled back. If a client hangs up while it waits, its statement is dropped;
// if it hangs up during a statement, the statement is cancelled. Isolation is therefore perfect and concurrency nil,
// which suits a demo and tests of correctness, but not load tests.
//
// Two patterns that a real server supports are a problem here. A program that holds a transaction and queries over a
// second connection waits for itself, until the transaction times out as idle. And a connection with autocommit = 0
// that goes idle after any statement, SELECT included, times out as well.
//
// The serializer also corrects some behaviour of the engine; finishStatement and splitScript say which.
//
// # What this MySQL cannot do
//
//   - Savepoints: SAVEPOINT is an error. With GORM, set DisableNestedTransaction.
//   - Foreign keys: not to be relied on. Simple ones are enforced, others are refused.
//   - Locks: FOR UPDATE does nothing, as there is no second transaction; deadlocks and lock time-outs do not occur. If
//     one connection holds a GET_LOCK and another asks for it, the second waits inside the serializer, which keeps
//     the first one out.
//   - KILL and SHOW PROCESSLIST wait for the serializer like any other statement.
//   - Error numbers: only some are MySQL's (1062 duplicate key, 1146 no such table, 1049 no such database). Most
//     others are 1105: syntax error (MySQL: 1064), no such column (1054), text too long for its column (1406).
//     The SQLSTATE is always HY000, and the messages are its own.
//   - An ascii column accepts text that is not ASCII.
//   - Comparisons do not ignore trailing blanks, whatever the collation.
//   - UTC_TIMESTAMP(3) returns microseconds; write times from the program.
//   - EXPLAIN returns values that the Go driver cannot read in the text protocol.
//   - Accounts and grants, replication, events, everything on disk. Compression and TLS are not offered.
//
// It reports version MySQL 8.0. It uses the process's clock, and the machine's time zone unless SET time_zone
// overrides it.
//
// # What this Redis cannot do
//
// It is one node: no cluster, no persistence, no memory limit.
//
// # Side effects
//
// The engine logs through the standard logger of logrus; StartMySQL turns that logger off for the whole process.
package embedded

import (
	"cmp"
	"fmt"
	"net"

	"github.com/alicebob/miniredis/v2"
)

const anyPort = "127.0.0.1:0"

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
	addr   string // the server has none when it is closed
}

// StartRedis starts a server and returns when it accepts connections. The caller must Close it.
func StartRedis(o RedisOptions) (*Redis, error) {
	o.Addr = cmp.Or(o.Addr, anyPort)
	if err := RequireLoopback(o.Addr); err != nil {
		return nil, err
	}
	server := miniredis.NewMiniRedis()
	server.ClockTTL(true) // otherwise keys expire only by FastForward
	if err := server.StartAddr(o.Addr); err != nil {
		return nil, fmt.Errorf("embedded: start Redis: %w", err)
	}
	return &Redis{server, server.Addr()}, nil
}

// Addr returns the host:port the server listens on.
func (r *Redis) Addr() string { return r.addr }

// URL returns the address as a redis:// URL of logical database 0.
func (r *Redis) URL() string { return "redis://" + r.Addr() + "/0" }

// Close stops the server and closes its connections. It never fails, and later calls are no-ops.
func (r *Redis) Close() error {
	r.server.Close()
	return nil
}

// RequireLoopback returns an error if other machines could reach the host:port.
func RequireLoopback(addr string) error {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Errorf("embedded: address %q: %w", addr, err)
	}
	ip := net.ParseIP(host)
	if host == "localhost" || ip != nil && ip.IsLoopback() {
		return nil
	}
	return fmt.Errorf("embedded: address %q is not a loopback address", addr)
}
