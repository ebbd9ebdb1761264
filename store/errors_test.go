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

// calls are all calls that use the database.
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

func TestDB_Unavailable(t *testing.T) {
	t.Run("dead port", func(t *testing.T) {
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
	t.Run("expired context", func(t *testing.T) {
		f := newFixture(t)
		ctx, cancel := context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
		defer cancel()
		for name, err := range calls(ctx, f.db) {
			if !errors.Is(err, store.ErrUnavailable) || !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
	t.Run("cancelled context is not an outage", func(t *testing.T) {
		f := newFixture(t)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		for name, err := range calls(ctx, f.db) {
			if errors.Is(err, store.ErrUnavailable) || !errors.Is(err, context.Canceled) {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
	t.Run("cancelled while inserting", func(t *testing.T) {
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
			t.Error("the cancelled login created a user")
		}
		f.wantCounts(1, 1)
	})
}

// deadAddr returns an address without a listener.
func deadAddr(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// The server returns errors that are hard to provoke, each with a value in its text.
func TestUsers_ServerErrors(t *testing.T) {
	for name, tt := range map[string]struct {
		number      uint16
		unavailable bool
	}{
		"too many connections": {1040, true},
		"shutdown":             {1053, true},
		"lock_wait_time-out":   {1205, true},
		"interrupted":          {1317, true},
		"read-only":            {1290, true},
		"killed on mysql":      {3169, true},
		"killed on mariadb":    {1927, true},
		"syntax":               {1064, false},
		"data too long":        {1406, false},
		"incorrect string":     {1366, false},
		"password changed":     {1045, true},
		"no such table":        {1146, true},
		"unknown column":       {1054, true},
		"no right":             {1142, true},
		"read-only_innodb":     {1036, true},
		"read-only_rows":       {1015, true},
		"read-only_database":   {3989, true},
		"read-only_session":    {1792, true},
		"too many of user":     {1203, true},
		"user limit":           {1226, true},
		"out of memory":        {1037, true},
		"out of resources":     {1041, true},
		"disk full":            {1021, true},
		"table full":           {1114, true},
		"group replication":    {3100, true},
		"galera":               {1047, true},
		"offline":              {3032, true},
		"proxy lost it":        {2013, true},
		"conflict at commit":   {3101, true},
		"no default":           {1364, false},
		"bad null":             {1048, false},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			f.wire.sabotage(func(string) error { return &mysql.MySQLError{Number: tt.number, Message: "near 'oSecret'"} }, nil)
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

func TestUsers_Deadlock(t *testing.T) {
	deadlock := &mysql.MySQLError{Number: 1213, Message: "Deadlock found when trying to get lock"}
	for name, conflict := range map[string]error{
		"is_repeated":    deadlock,
		"TiDB retries":   &mysql.MySQLError{Number: 1105, Message: "pessimistic lock retry limit reached"},
		"TiDB lock wait": &mysql.MySQLError{Number: 1105, Message: "lock wait timeout"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			remaining := 3
			f.wire.sabotage(func(sql string) error {
				if strings.HasPrefix(sql, "INSERT INTO wechat_identities") && remaining > 0 {
					remaining--
					return conflict
				}
				return nil
			}, nil)
			if _, created := f.login(appA, "oAlice", ""); !created || remaining != 0 {
				t.Errorf("created %v, %d deadlocks to come", created, remaining)
			}
			f.wantCounts(1, 1)
			f.wantNoOrphans()
		})
	}
	t.Run("that never ends is unavailable", func(t *testing.T) {
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
	t.Run("ends with the context", func(t *testing.T) {
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
