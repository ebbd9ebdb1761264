package embedded_test

import (
	"context"
	"database/sql"
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"wxlogin/internal/embedded"
)

// start runs a server for the length of a test.
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

// open makes a pool for m. change may alter how it connects.
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

// conn takes one connection out of the pool.
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

// number answers a query for one number.
func queryInt(t testing.TB, db queryer, query string, args ...any) (n int) {
	t.Helper()
	if err := db.QueryRowContext(t.Context(), query, args...).Scan(&n); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return n
}

// counter makes the table that most tests count in, with n = 0.
func createCounter(t testing.TB, db execer) {
	t.Helper()
	exec(t, db, "CREATE TABLE counter (id INT PRIMARY KEY, n INT NOT NULL)", "INSERT INTO counter VALUES (1, 0)")
}

const (
	increment = "UPDATE counter SET n = n + 1 WHERE id = 1"
	count     = "SELECT n FROM counter WHERE id = 1"
)

// severable is a dialler whose last connection can be cut, as when a client's machine dies.
type connTracker struct{ last net.Conn }

func (s *connTracker) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	var d net.Dialer
	c, err := d.DialContext(ctx, network, addr)
	s.last = c
	return c, err
}

// eventually waits until ok says so.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !ok(); {
		if time.Now().After(deadline) {
			t.Fatalf("%s: still not so", what)
		}
	}
}

// within fails when do takes longer than the limit: something waits for a gate that nobody opens.
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
