package embedded_test

import (
	"context"
	"database/sql"
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/redis/go-redis/v9"

	"wxlogin/internal/embedded"
)

// startMySQL runs a server until the end of the test.
func startMySQL(t testing.TB, o embedded.MySQLOptions) *embedded.MySQL {
	t.Helper()
	m, err := embedded.StartMySQL(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return m
}

// openDB opens a pool on m. change, if not nil, adjusts the configuration.
func openDB(t testing.TB, m *embedded.MySQL, change func(*mysql.Config)) *sql.DB {
	t.Helper()
	config, err := mysql.ParseDSN(m.DSN())
	if err != nil {
		t.Fatal(err)
	}
	config.Logger = &mysql.NopLogger{} // the tests cut connections on purpose
	if change != nil {
		change(config)
	}
	connector, err := mysql.NewConnector(config)
	if err != nil {
		t.Fatal(err)
	}
	db := sql.OpenDB(connector)
	db.SetMaxIdleConns(64)
	t.Cleanup(func() { db.Close() })
	return db
}

func multiStatements(c *mysql.Config) { c.MultiStatements = true }

// takeConn takes one connection out of the pool.
func takeConn(t testing.TB, db *sql.DB) *sql.Conn {
	t.Helper()
	c, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

type execer interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
}

func exec(t testing.TB, db execer, statements ...string) {
	t.Helper()
	for _, s := range statements {
		if _, err := db.ExecContext(t.Context(), s); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
}

type queryer interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// queryInt runs a query that returns one number.
func queryInt(t testing.TB, db queryer, query string, args ...any) (n int) {
	t.Helper()
	if err := db.QueryRowContext(t.Context(), query, args...).Scan(&n); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return n
}

// createCounter creates the table that most tests count in, with n = 0.
func createCounter(t testing.TB, db execer) {
	t.Helper()
	exec(t, db, "CREATE TABLE counter (id INT PRIMARY KEY, n INT NOT NULL)", "INSERT INTO counter VALUES (1, 0)")
}

const (
	increment = "UPDATE counter SET n = n + 1 WHERE id = 1"
	count     = "SELECT n FROM counter WHERE id = 1"
)

// connTracker dials and keeps the last connection, so that a test can cut it as if the client's machine had died.
type connTracker struct{ last net.Conn }

func (c *connTracker) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, network, addr)
	c.last = conn
	return conn, err
}

// eventually polls until ok returns true.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !ok(); {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within 20 seconds", what)
		}
	}
}

// withTimeout calls do and returns its error, or another one if it takes longer than the limit: then a statement is
// stuck in the serializer.
func withTimeout(t testing.TB, limit time.Duration, do func() error) error {
	t.Helper()
	done := make(chan error, 1)
	go func() { done <- do() }()
	select {
	case err := <-done:
		return err
	case <-time.After(limit):
		return fmt.Errorf("still waiting after %v", limit)
	}
}

func startRedis(t *testing.T) (*embedded.Redis, *redis.Client) {
	t.Helper()
	r, err := embedded.StartRedis(embedded.RedisOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	o, err := redis.ParseURL(r.URL())
	if err != nil {
		t.Fatal(err)
	}
	client := redis.NewClient(o)
	t.Cleanup(func() { client.Close() })
	return r, client
}

func TestRedis_Expiry(t *testing.T) {
	_, client := startRedis(t)
	if err := client.Set(t.Context(), "soon", 1, 30*time.Millisecond).Err(); err != nil {
		t.Fatal(err)
	}
	client.Set(t.Context(), "later", 1, time.Hour)
	eventually(t, "the key expires", func() bool { return client.Exists(t.Context(), "soon").Val() == 0 })
	if left := client.PTTL(t.Context(), "later").Val(); left <= time.Hour-time.Minute || left >= time.Hour {
		t.Errorf("the other key has %v left", left)
	}
}

func TestRedis_StartAndClose(t *testing.T) {
	r, _ := startRedis(t)
	if _, err := embedded.StartRedis(embedded.RedisOptions{Addr: r.Addr()}); err == nil {
		t.Error("a second server starts on the same address")
	}
	if _, err := embedded.StartRedis(embedded.RedisOptions{Addr: "0.0.0.0:0"}); err == nil {
		t.Error("it listens on a public address")
	}
	for range 2 {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}
	if c, err := net.Dial("tcp", r.Addr()); err == nil {
		c.Close()
		t.Error("still listening after Close")
	}
}
