package embedded_test

import (
	"context"
	"database/sql"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"wxlogin/internal/embedded"
)

const (
	clients = 64
	rounds  = 20
)

// 64 connections increment a counter at once, in every way that a client can.
func TestSerializer_ConcurrentWrites(t *testing.T) {
	inTransaction := func(ctx context.Context, db *sql.DB) error {
		tx, err := db.BeginTx(ctx, nil)
		if err != nil {
			return err
		}
		defer tx.Rollback()
		var n int
		if err := tx.QueryRowContext(ctx, "SELECT n FROM counter WHERE id = ?", 1).Scan(&n); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, "UPDATE counter SET n = ? WHERE id = ?", n+1, 1); err != nil {
			return err
		}
		return tx.Commit()
	}
	single := func(ctx context.Context, db *sql.DB) error {
		_, err := db.ExecContext(ctx, "UPDATE counter SET n = n + 1 WHERE id = ?", 1)
		return err
	}
	withoutAutocommit := func(ctx context.Context, db *sql.DB) error {
		return errors.Join(single(ctx, db), errorOf(db.ExecContext(ctx, "COMMIT")))
	}
	text := func(c *mysql.Config) { c.InterpolateParams = true }
	prepared := func(c *mysql.Config) { c.InterpolateParams = false }
	autocommitOff := func(c *mysql.Config) { c.Params = map[string]string{"autocommit": "0"}; c.InterpolateParams = true }

	tests := map[string]struct {
		connect   func(*mysql.Config)
		increment func(context.Context, *sql.DB) error
	}{
		"text, single statement":     {text, single},
		"text, transaction":          {text, inTransaction},
		"prepared, single statement": {prepared, single},
		"prepared, transaction":      {prepared, inTransaction},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			m := startMySQL(t, embedded.MySQLOptions{TransactionIdle: time.Minute})
			createCounter(t, openDB(t, m, nil))
			db := openDB(t, m, test.connect)
			began := time.Now()
			incrementConcurrently(t, func() error { return test.increment(t.Context(), db) })
			t.Logf("%d connections, %d increments in %v", clients, clients*rounds, time.Since(began).Round(time.Millisecond))
			if n := queryInt(t, db, count); n != clients*rounds {
				t.Errorf("counted to %d, want %d", n, clients*rounds)
			}
		})
	}

	t.Run("autocommit off", func(t *testing.T) {
		m := startMySQL(t, embedded.MySQLOptions{TransactionIdle: time.Minute})
		createCounter(t, openDB(t, m, nil))
		var wg sync.WaitGroup
		for range 8 {
			db := openDB(t, m, autocommitOff)
			db.SetMaxOpenConns(1)
			wg.Go(func() {
				for range rounds {
					if err := withoutAutocommit(t.Context(), db); err != nil {
						t.Error(err)
						return
					}
				}
				db.Close() // an open transaction, even an empty one, blocks the others
			})
		}
		wg.Wait()
		if n := queryInt(t, openDB(t, m, nil), count); n != 8*rounds {
			t.Errorf("counted to %d, want %d", n, 8*rounds)
		}
	})
}

func errorOf(_ sql.Result, err error) error { return err }

// incrementConcurrently calls increment 20 times in each of 64 goroutines.
func incrementConcurrently(t *testing.T, increment func() error) {
	var wg sync.WaitGroup
	for range clients {
		wg.Go(func() {
			for range rounds {
				if err := increment(); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
}

func TestSerializer_Transactions(t *testing.T) {
	tests := map[string]struct {
		do   []string
		want int
	}{
		"commit":                             {[]string{"BEGIN", increment, increment, "COMMIT"}, 2},
		"rollback":                           {[]string{"BEGIN", increment, "ROLLBACK"}, 0},
		"START TRANSACTION":                  {[]string{"START TRANSACTION", increment, "ROLLBACK"}, 0},
		"BEGIN commits the open transaction": {[]string{"BEGIN", increment, "BEGIN", increment, "ROLLBACK"}, 1},
		"autocommit off":                     {[]string{"SET autocommit = 0", increment, "ROLLBACK", increment, "COMMIT", increment, "ROLLBACK", "SET autocommit = 1"}, 1},
		"CREATE TABLE commits":               {[]string{"BEGIN", increment, "CREATE TABLE t (id INT PRIMARY KEY)", "ROLLBACK"}, 1},
		"CREATE TABLE restores autocommit":   {[]string{"BEGIN", "CREATE TABLE t (id INT PRIMARY KEY)", increment, "ROLLBACK"}, 1},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			m := startMySQL(t, embedded.MySQLOptions{TransactionIdle: time.Minute})
			db := openDB(t, m, nil)
			createCounter(t, db)
			c := takeConn(t, db)
			exec(t, c, test.do...)
			other := openDB(t, m, nil) // fails if the slot is not released
			if n := queryInt(t, other, count); n != test.want {
				t.Errorf("another connection sees %d, want %d", n, test.want)
			}
			if n := queryInt(t, c, count); n != test.want {
				t.Errorf("the same connection sees %d, want %d", n, test.want)
			}
		})
	}
}

// failedInTransaction returns a connection in a transaction that has inserted row 3 and then failed to insert rows 2
// and 1.
func failedInTransaction(t *testing.T) (*embedded.MySQL, *sql.Conn) {
	t.Helper()
	m := startMySQL(t, embedded.MySQLOptions{TransactionIdle: time.Minute})
	db := openDB(t, m, nil)
	createCounter(t, db)
	c := takeConn(t, db)
	exec(t, c, "BEGIN", "INSERT INTO counter VALUES (3, 7)")
	var mysqlErr *mysql.MySQLError
	_, err := c.ExecContext(t.Context(), "INSERT INTO counter VALUES (2, 7), (1, 7)") // row 1 exists already
	if !errors.As(err, &mysqlErr) || mysqlErr.Number != 1062 {
		t.Fatalf("got %v, want a duplicate key", err)
	}
	return m, c
}

func TestSerializer_FailedStatement(t *testing.T) {
	t.Run("can be rolled back with its transaction", func(t *testing.T) {
		m, c := failedInTransaction(t)
		exec(t, c, "ROLLBACK")
		if n := queryInt(t, openDB(t, m, nil), "SELECT COUNT(*) FROM counter"); n != 1 {
			t.Errorf("%d rows, want 1", n)
		}
	})

	t.Run("is undone without its transaction", func(t *testing.T) {
		m, c := failedInTransaction(t)
		exec(t, c, "COMMIT")
		if n := queryInt(t, openDB(t, m, nil), "SELECT COUNT(*) FROM counter WHERE id IN (1, 3)"); n != 2 {
			t.Errorf("%d of 2 rows", n)
		}
		if n := queryInt(t, openDB(t, m, nil), "SELECT COUNT(*) FROM counter WHERE id = 2"); n != 0 {
			t.Error("the first row of the failed statement is stored")
		}
	})

	// Without finishStatement, the connection would keep the tables as they were when the statement failed.
	for name, statement := range map[string]string{
		"duplicate key":  "INSERT INTO counter VALUES (1, 7)",
		"unknown column": "UPDATE counter SET m = n + 1",
		"unknown table":  "SELECT * FROM counter, nowhere",
		"syntax":         "SELECT FROM FROM counter",
	} {
		t.Run(name+" does not leave outdated tables", func(t *testing.T) {
			m := startMySQL(t, embedded.MySQLOptions{TransactionIdle: time.Minute})
			db := openDB(t, m, nil)
			createCounter(t, db)
			c := takeConn(t, db)
			if _, err := c.ExecContext(t.Context(), statement); err == nil {
				t.Fatal("no error")
			}
			exec(t, openDB(t, m, nil), increment)
			if n := queryInt(t, c, count); n != 1 {
				t.Errorf("the same connection sees %d, want 1", n)
			}
			exec(t, c, increment)
			if n := queryInt(t, openDB(t, m, nil), count); n != 2 {
				t.Errorf("another connection sees %d, want 2", n)
			}
		})
	}
}

// A client that disconnects or dies must not block the others.
func TestSerializer_LostClients(t *testing.T) {
	t.Run("dies in a transaction", func(t *testing.T) {
		m := startMySQL(t, embedded.MySQLOptions{TransactionIdle: time.Minute})
		other := openDB(t, m, nil)
		createCounter(t, other)
		var wire connTracker
		c := takeConn(t, openDB(t, m, func(c *mysql.Config) { c.DialFunc = wire.dial }))
		exec(t, c, "BEGIN", increment)
		wire.last.Close()
		if err := withTimeout(t, 20*time.Second, func() error { return errorOf(other.Exec(increment)) }); err != nil {
			t.Fatal(err)
		}
		if n := queryInt(t, other, count); n != 1 {
			t.Errorf("counted to %d, want 1: the dead client's increment is rolled back", n)
		}
	})

	t.Run("disconnects in a transaction", func(t *testing.T) {
		m := startMySQL(t, embedded.MySQLOptions{TransactionIdle: time.Minute})
		other := openDB(t, m, nil)
		createCounter(t, other)
		leaver := openDB(t, m, nil)
		c := takeConn(t, leaver)
		exec(t, c, "BEGIN", increment)
		c.Close()
		leaver.Close() // sends COM_QUIT without ending the transaction
		if err := withTimeout(t, 20*time.Second, func() error { return errorOf(other.Exec(increment)) }); err != nil {
			t.Fatal(err)
		}
		if n := queryInt(t, other, count); n != 1 {
			t.Errorf("counted to %d, want 1", n)
		}
	})

	t.Run("is idle in a transaction", func(t *testing.T) {
		m := startMySQL(t, embedded.MySQLOptions{TransactionIdle: 500 * time.Millisecond})
		other := openDB(t, m, nil)
		createCounter(t, other)
		idler := takeConn(t, openDB(t, m, nil))
		exec(t, idler, "BEGIN", increment)
		if err := withTimeout(t, 20*time.Second, func() error { return errorOf(other.Exec(increment)) }); err != nil {
			t.Fatal(err)
		}
		if _, err := idler.ExecContext(t.Context(), "COMMIT"); err == nil {
			t.Error("the idle client could still commit")
		}
		if n := queryInt(t, other, count); n != 1 {
			t.Errorf("counted to %d, want 1", n)
		}
	})

	t.Run("is idle outside a transaction", func(t *testing.T) {
		m := startMySQL(t, embedded.MySQLOptions{TransactionIdle: 500 * time.Millisecond})
		db := openDB(t, m, nil)
		createCounter(t, db)
		idler := takeConn(t, openDB(t, m, nil))
		exec(t, idler, "BEGIN", increment, "COMMIT")
		busy := takeConn(t, db) // idles until its transaction times out; by then idler would have timed out too
		exec(t, busy, "BEGIN")
		exec(t, openDB(t, m, nil), increment)
		exec(t, idler, increment)
	})

	t.Run("stops waiting", func(t *testing.T) {
		m := startMySQL(t, embedded.MySQLOptions{TransactionIdle: time.Minute})
		db := openDB(t, m, nil)
		createCounter(t, db)
		holder := takeConn(t, db)
		waiter := takeConn(t, openDB(t, m, nil))
		exec(t, holder, "BEGIN", increment)
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		defer cancel()
		if _, err := waiter.ExecContext(ctx, increment); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("got %v, want the deadline", err)
		}
		eventually(t, "the server notices that the waiter has hung up", func() bool {
			return queryInt(t, holder, "SELECT COUNT(*) FROM information_schema.processlist") == 1
		})
		exec(t, holder, "COMMIT")
		if n := queryInt(t, holder, count); n != 1 {
			t.Errorf("counted to %d, want 1: the waiter's statement never ran", n)
		}
	})

	t.Run("hangs up during a long statement", func(t *testing.T) {
		m := startMySQL(t, embedded.MySQLOptions{})
		db := openDB(t, m, nil)
		createCounter(t, db)
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		defer cancel()
		if _, err := db.ExecContext(ctx, "SELECT SLEEP(600)"); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("got %v, want the deadline", err)
		}
		if err := withTimeout(t, 20*time.Second, func() error { return errorOf(db.Exec(increment)) }); err != nil {
			t.Fatal(err)
		}
	})

	t.Run("does not read its rows", func(t *testing.T) {
		m := startMySQL(t, embedded.MySQLOptions{TransactionIdle: time.Second})
		db := openDB(t, m, nil)
		createCounter(t, db)
		exec(t, db, "CREATE TABLE wide (id INT PRIMARY KEY AUTO_INCREMENT, text LONGTEXT NOT NULL)")
		for range 40 {
			exec(t, db, "INSERT INTO wide (text) VALUES (REPEAT('x', 1000000))")
		}
		rows, err := takeConn(t, openDB(t, m, nil)).QueryContext(t.Context(), "SELECT text FROM wide")
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		if err := withTimeout(t, 20*time.Second, func() error { return errorOf(db.Exec(increment)) }); err != nil {
			t.Fatal(err)
		}
	})
}
