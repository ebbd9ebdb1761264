package store_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"wxlogin/store"
)

// calls are all ways to the database.
func calls(ctx context.Context, db *store.DB) map[string]error {
	_, _, login := db.Users().Login(ctx, store.Identity{AppID: appA, OpenID: "oSecret"})
	_, _, profile := db.Users().UpdateProfile(ctx, appA, "oSecret", store.Profile{NickName: "x"})
	_, migrate := db.Migrate(ctx)
	return map[string]error{
		"Login":         login,
		"UpdateProfile": profile,
		"Ping":          db.Ping(ctx),
		"CheckCharset":  db.CheckCharset(ctx),
		"Migrate":       migrate,
	}
}

func TestDB_unavailable(t *testing.T) {
	t.Run("dead_port", func(t *testing.T) {
		db, err := store.Open("root:hunter2@tcp("+deadAddr(t)+")/wxlogin", store.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		for name, err := range calls(t.Context(), db) {
			if !errors.Is(err, store.ErrUnavailable) || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
	t.Run("closed", func(t *testing.T) {
		f := newFixture(t)
		f.db.Close()
		for name, err := range calls(t.Context(), f.db) {
			if !errors.Is(err, store.ErrUnavailable) && name != "Migrate" { // Migrate has a connection of its own
				t.Errorf("%s: %v", name, err)
			}
		}
	})
	t.Run("expired_context", func(t *testing.T) {
		f := newFixture(t)
		ctx, cancel := context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
		defer cancel()
		for name, err := range calls(ctx, f.db) {
			if !errors.Is(err, store.ErrUnavailable) || !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
	t.Run("cancelled_context_is_the_callers_doing", func(t *testing.T) {
		f := newFixture(t)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		for name, err := range calls(ctx, f.db) {
			if errors.Is(err, store.ErrUnavailable) || !errors.Is(err, context.Canceled) {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
	t.Run("cancelled_while_inserting", func(t *testing.T) {
		f := newFixture(t)
		ctx, cancel := context.WithCancel(t.Context())
		f.wire.sabotage(func(sql string) error {
			if strings.HasPrefix(sql, "INSERT INTO wechat_identities") {
				cancel()
			}
			return nil
		}, nil)
		_, created, err := f.users.Login(ctx, store.Identity{AppID: appA, OpenID: "oAlice"})
		if created || errors.Is(err, store.ErrUnavailable) || !errors.Is(err, context.Canceled) {
			t.Errorf("created %v, error %v", created, err)
		}
		f.wire.reset()
		if _, created := f.login(appA, "oAlice", ""); !created {
			t.Error("the cancelled login left a user")
		}
		f.wantCounts(1, 1)
	})
}

// deadAddr is an address where nobody listens.
func deadAddr(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func TestDB_a_missing_table_is_not_unavailable(t *testing.T) {
	f := newFixture(t)
	f.exec("DROP TABLE wechat_identities")
	_, _, err := f.users.Login(t.Context(), store.Identity{AppID: appA, OpenID: "oAlice"})
	if err == nil || errors.Is(err, store.ErrUnavailable) || !strings.Contains(err.Error(), "1146") {
		t.Errorf("error %v, want MySQL's 1146", err)
	}
	if err := f.db.Ping(t.Context()); err != nil {
		t.Errorf("Ping: %v", err)
	}
}

// TestUsers_server_errors has the server answer errors that are hard to bring about, each with a value in its text.
func TestUsers_server_errors(t *testing.T) {
	for name, tt := range map[string]struct {
		number      uint16
		unavailable bool
	}{
		"too_many_connections": {1040, true},
		"shutdown":             {1053, true},
		"lock_wait_time-out":   {1205, true},
		"interrupted":          {1317, true},
		"read-only":            {1290, true},
		"killed_on_mysql":      {3169, true},
		"killed_on_mariadb":    {1927, true},
		"syntax":               {1064, false},
		"data_too_long":        {1406, false},
		"incorrect_string":     {1366, false},
		"access_denied":        {1045, false},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			text := "near 'oSecret'"
			if tt.number == 1045 || tt.number == 1040 || tt.number == 1053 || tt.number == 1205 || tt.number == 1290 {
				text = "as the server puts it" // these texts hold no values, and are passed on
			}
			f.wire.sabotage(func(string) error { return &mysql.MySQLError{Number: tt.number, Message: text} }, nil)
			_, _, err := f.users.Login(t.Context(), store.Identity{AppID: appA, OpenID: "oSecret"})
			if err == nil || errors.Is(err, store.ErrUnavailable) != tt.unavailable {
				t.Errorf("error %v, unavailable is to be %v", err, tt.unavailable)
			}
			if strings.Contains(err.Error(), "oSecret") {
				t.Errorf("the error holds a value: %v", err)
			}
		})
	}
}

func TestUsers_deadlock(t *testing.T) {
	deadlock := &mysql.MySQLError{Number: 1213, Message: "Deadlock found when trying to get lock"}
	t.Run("is_repeated", func(t *testing.T) {
		f := newFixture(t)
		left := 3
		f.wire.sabotage(func(sql string) error {
			if strings.HasPrefix(sql, "INSERT INTO wechat_identities") && left > 0 {
				left--
				return deadlock
			}
			return nil
		}, nil)
		if _, created := f.login(appA, "oAlice", ""); !created || left != 0 {
			t.Errorf("created %v, %d deadlocks left", created, left)
		}
		f.wantCounts(1, 1)
		f.wantNoOrphans()
	})
	t.Run("that_never_ends_is_unavailable", func(t *testing.T) {
		f := newFixture(t)
		tries := 0
		f.wire.sabotage(func(sql string) error {
			if strings.HasPrefix(sql, "INSERT INTO wechat_identities") {
				tries++
				return deadlock
			}
			return nil
		}, nil)
		_, created, err := f.users.Login(t.Context(), store.Identity{AppID: appA, OpenID: "oAlice"})
		if created || !errors.Is(err, store.ErrUnavailable) || tries != store.MaxAttempts {
			t.Errorf("created %v, error %v, %d tries", created, err, tries)
		}
		f.wire.reset()
		f.wantCounts(0, 0)
	})
	t.Run("ends_with_the_context", func(t *testing.T) {
		f := newFixture(t)
		ctx, cancel := context.WithCancel(t.Context())
		f.wire.sabotage(func(sql string) error {
			if strings.HasPrefix(sql, "INSERT") {
				cancel()
				return deadlock
			}
			return nil
		}, nil)
		if _, _, err := f.users.Login(ctx, store.Identity{AppID: appA, OpenID: "oAlice"}); !errors.Is(err, context.Canceled) {
			t.Errorf("error %v", err)
		}
	})
}
