package store_test

import (
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"wxlogin/internal/testenv"
	"wxlogin/internal/testenv/mysqltest"
	"wxlogin/store"
)

const (
	appA = "wxaaaaaaaaaaaaaaaa"
	appB = "wxbbbbbbbbbbbbbbbb"
	appC = "wxcccccccccccccccc"
)

// realServer reports whether the tests run on a MySQL or MariaDB server, not on the embedded engine.
var realServer = os.Getenv("TEST_MYSQL_DSN") != ""

// fixture is a migrated database with a store, a settable clock, and a second connection to look at the rows.
type fixture struct {
	t     testing.TB
	dsn   string
	db    *store.DB
	users *store.Users
	wire  *wire
	clock *clock
	raw   *sql.DB
	logs  *testenv.Log
}

func newFixture(t testing.TB) *fixture {
	t.Helper()
	f := &fixture{t: t, dsn: mysqltest.New(t), wire: &wire{}, clock: newClock(), logs: &testenv.Log{}}
	var err error
	f.db, err = store.Open(f.dsn, store.Options{
		Now:          f.clock.now,
		MaxOpenConns: 64,
		Logger:       slog.New(slog.NewTextHandler(f.logs, nil)),
		OpenDB:       f.wire.openDB,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.db.Close() })
	if _, err := f.db.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.users = f.db.Users()
	f.raw = openRaw(t, f.dsn)
	return f
}

// secondServer is another store on the same database, whose clock is ahead by lead.
func (f *fixture) secondServer(lead time.Duration) *store.DB {
	f.t.Helper()
	now := func() time.Time { return f.clock.now().Add(lead) }
	db, err := store.Open(f.dsn, store.Options{Now: now, MaxOpenConns: 64})
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() { db.Close() })
	return db
}

func openRaw(t testing.TB, dsn string) *sql.DB {
	t.Helper()
	config, err := mysql.ParseDSN(dsn)
	if err != nil {
		t.Fatal(err)
	}
	config.Params = map[string]string{"time_zone": "'+00:00'"}
	config.ParseTime = false        // times are compared as text
	config.InterpolateParams = true // works without prepared statements
	connector, err := mysql.NewConnector(config)
	if err != nil {
		t.Fatal(err)
	}
	raw := sql.OpenDB(connector)
	t.Cleanup(func() { raw.Close() })
	return raw
}

// login logs in and fails the test on an error.
func (f *fixture) login(app, openID, unionID string) (store.User, bool) {
	f.t.Helper()
	user, created, err := f.users.Login(context.Background(), store.Identity{AppID: app, OpenID: openID, UnionID: unionID})
	if err != nil {
		f.t.Fatalf("Login: %v", err)
	}
	return user, created
}

// update updates a profile and fails the test on an error.
func (f *fixture) update(app, openID string, p store.Profile) store.User {
	f.t.Helper()
	user, _, err := f.users.UpdateProfile(context.Background(), app, openID, p)
	if err != nil {
		f.t.Fatalf("UpdateProfile: %v", err)
	}
	return user
}

func (f *fixture) exec(query string, args ...any) {
	f.t.Helper()
	if _, err := f.raw.Exec(query, args...); err != nil {
		f.t.Fatalf("%s: %v", query, err)
	}
}

// rows reads a result as maps from column to text; NULL is "NULL".
func (f *fixture) rows(query string, args ...any) []map[string]string {
	f.t.Helper()
	result, err := f.raw.Query(query, args...)
	if err != nil {
		f.t.Fatalf("%s: %v", query, err)
	}
	defer result.Close()
	columns, err := result.Columns()
	if err != nil {
		f.t.Fatal(err)
	}
	var all []map[string]string
	for result.Next() {
		values, into := make([]sql.NullString, len(columns)), make([]any, len(columns))
		for i := range values {
			into[i] = &values[i]
		}
		if err := result.Scan(into...); err != nil {
			f.t.Fatal(err)
		}
		row := map[string]string{}
		for i, name := range columns {
			row[name] = "NULL"
			if values[i].Valid {
				row[name] = values[i].String
			}
		}
		all = append(all, row)
	}
	if err := result.Err(); err != nil {
		f.t.Fatal(err)
	}
	return all
}

// row reads a single row.
func (f *fixture) row(query string, args ...any) map[string]string {
	f.t.Helper()
	rows := f.rows(query, args...)
	if len(rows) != 1 {
		f.t.Fatalf("%s: %d rows, want 1", query, len(rows))
	}
	return rows[0]
}

func (f *fixture) user(id uint64) map[string]string {
	f.t.Helper()
	return f.row("SELECT * FROM users WHERE id = ?", id)
}

// wantCounts checks the number of rows of both tables.
func (f *fixture) wantCounts(users, identities int) {
	f.t.Helper()
	for table, want := range map[string]int{"users": users, "wechat_identities": identities} {
		if got := f.row("SELECT COUNT(*) AS n FROM " + table)["n"]; got != fmt.Sprint(want) {
			f.t.Errorf("%s has %s rows, want %d", table, got, want)
		}
	}
}

// changed returns the columns in which two rows differ.
func changed(before, after map[string]string) []string {
	var names []string
	for name, value := range after {
		if before[name] != value {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// wantWritten checks that these columns of a user, and no others, differ from before. With a nickname or an avatar goes the
// time of the data that it is from.
func (f *fixture) wantWritten(t testing.TB, id uint64, before map[string]string, columns []string) {
	t.Helper()
	wrote, want := changed(before, f.user(id)), slices.Clone(columns)
	for column, asOf := range map[string]string{"nickname": "nickname_as_of", "avatar_url": "avatar_as_of"} {
		if slices.Contains(want, column) {
			want = append(want, asOf)
		}
	}
	slices.Sort(want)
	if !slices.Equal(wrote, want) {
		t.Errorf("wrote %v, want %v", wrote, want)
	}
}

// concurrently runs n calls at the same moment.
func concurrently(n int, call func(i int)) {
	var ready, done sync.WaitGroup
	start := make(chan struct{})
	for i := range n {
		ready.Add(1)
		done.Go(func() {
			ready.Done()
			<-start
			call(i)
		})
	}
	ready.Wait()
	close(start)
	done.Wait()
}

type clock struct {
	mu   sync.Mutex
	t    time.Time
	tick time.Duration // added at each call of now
}

func newClock() *clock { return &clock{t: time.Date(2025, 3, 14, 15, 9, 26, 535_897_932, time.UTC)} }

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(c.tick)
	return c.t
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}
