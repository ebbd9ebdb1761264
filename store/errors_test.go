package store_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"wxlogin/internal/testenv"
	"wxlogin/internal/testenv/mysqltest"
	"wxlogin/internal/tracing"
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

// serverText is what Vitess appends to each of its error messages.
const serverText = `target: wxlogin.0.primary: vttablet: rpc error: code = Unknown (CallerID: app): Sql: "select id from users ` +
	`where unionid = :v1", BindVars: {v1: "type:VARCHAR value:\"oSecretUnionID\""}`

// leakTest is a store on a server that returns errors, with all output of the store.
type leakTest struct {
	t      *testing.T
	server *errorProxy
	db     *store.DB
	log    testenv.Log
	spans  *tracetest.InMemoryExporter
}

func newLeakTest(t *testing.T, dsn string) *leakTest {
	t.Helper()
	l := &leakTest{t: t, spans: tracetest.NewInMemoryExporter()}
	l.server, dsn = newErrorProxy(t, dsn)
	var err error
	if l.db, err = store.Open(dsn, store.Options{
		OpenDB: tracing.New(l.spans).OpenDB, Replicas: []string{dsn},
		Logger: slog.New(slog.NewTextHandler(&l.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.db.Close() })
	l.db.LogAll()
	return l
}

// calls makes all calls concurrently, in a trace, and returns their errors.
func (l *leakTest) calls() map[string]error {
	users := l.db.Users()
	ctx := trace.ContextWithSpanContext(l.t.Context(), trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: trace.TraceID{1}, SpanID: trace.SpanID{1}, TraceFlags: trace.FlagsSampled,
	}))
	var mu sync.Mutex
	errs := map[string]error{}
	var running sync.WaitGroup
	for name, call := range map[string]func() error{
		"Login": func() error {
			_, _, err := users.Login(ctx, store.Identity{AppID: appA, OpenID: "oSecretAlice", UnionID: "oSecretUnionID"})
			return err
		},
		"UpdateProfile": func() error {
			_, _, err := users.UpdateProfile(ctx, appA, "oSecretAlice", typed("oSecretName"))
			return err
		},
		"BindPhone": func() error {
			_, err := users.BindPhone(ctx, appA, "oSecretAlice", firstPhone)
			return err
		},
		"Find":          func() error { _, err := users.Find(ctx, appA, "oSecretAlice"); return err },
		"FindOnReplica": func() error { _, err := users.FindOnReplica(ctx, appA, "oSecretAlice"); return err },
		"AvatarURLs":    func() error { return users.AvatarURLs(ctx, func(string) error { return nil }) },
		"Exist":         func() error { _, err := users.Exist(ctx); return err },
		"login days":    func() error { return l.db.WriteLoginDays(ctx) },
		"Ping":          func() error { return l.db.Ping(ctx) },
		"Ready":         func() error { return l.db.Ready(ctx) },
		"CheckTables":   func() error { return l.db.CheckTables(ctx) },
		"CheckCharset":  func() error { return l.db.CheckCharset(ctx) },
		"CheckReplicas": func() error { return errors.Join(l.db.CheckReplicas(ctx)...) },
		"Migrate": func() error {
			bounded, cancel := context.WithTimeout(ctx, 3*time.Second) // it waits while the migration lock seems to be held
			defer cancel()
			_, err := l.db.Migrate(bounded)
			return err
		},
	} {
		running.Go(func() {
			err := call()
			mu.Lock()
			defer mu.Unlock()
			errs[name] = err
		})
	}
	running.Wait()
	return errs
}

// wantNone fails if a part of a server's text or a value is in the output.
func (l *leakTest) wantNone(where, text string) {
	l.t.Helper()
	for _, part := range []string{"oSecret", "BindVars", "vttablet", firstPhone.Number} {
		if strings.Contains(text, part) {
			l.t.Errorf("%s shows %s: %s", where, part, text)
		}
	}
}

// serverErrors has errors with every known number, with some unknown ones, and with the known texts.
func serverErrors() []*mysql.MySQLError {
	all := []*mysql.MySQLError{
		{Number: 1105, Message: "pessimistic lock retry limit reached " + serverText},
		{Number: 1105, Message: "lock wait timeout " + serverText},
		{Number: 1105, Message: `table "users" does not have column "x" ` + serverText},
		{Number: 2014, Message: "statement ID is not found from record " + serverText},
	}
	for _, number := range append(store.ErrorNumbers(), 1048, 1105, 1366, 1406, 1690, 65535) {
		all = append(all, &mysql.MySQLError{Number: number, Message: serverText})
	}
	return all
}

func TestDB_ErrorsHoldNoServerText(t *testing.T) {
	l := newLeakTest(t, mysqltest.NewWithSchema(t))
	if _, _, err := l.db.Users().Login(t.Context(), store.Identity{AppID: appA, OpenID: "oSecretBob"}); err != nil {
		t.Fatal(err)
	}
	for _, serverErr := range serverErrors() {
		for stage, inject := range map[string]func(statement string) *mysql.MySQLError{
			"connecting": func(string) *mysql.MySQLError { return serverErr },
			"connected": func(statement string) *mysql.MySQLError {
				if strings.HasPrefix(statement, "SET ") || strings.Contains(statement, "completion_type") {
					return nil
				}
				return serverErr
			},
		} {
			l.server.set(inject)
			l.db.CloseIdle()
			for name, err := range l.calls() {
				where := fmt.Sprintf("%s, %d while %s", name, serverErr.Number, stage)
				if err == nil {
					t.Errorf("%s: no error", where)
					continue
				}
				l.wantNone(where, err.Error()+fmt.Sprintf(" %+v %#v", err, err))
				var leaked *mysql.MySQLError
				if errors.As(err, &leaked) {
					t.Errorf("%s: the server's error is within %v", where, err)
				}
			}
		}
	}
	l.wantNone("the log", l.log.String())
	if !strings.Contains(l.log.String(), "prepared statements are refused") {
		t.Error("the log has nothing of prepared statements")
	}
	if spans := l.spans.GetSpans(); len(spans) == 0 {
		t.Error("there are no spans")
	} else {
		l.wantNone("a span", fmt.Sprintf("%+v", spans))
	}
}

// Each error of Migrate names the step and the statement, which is this package's own.
func TestDB_MigrateFailedStatement(t *testing.T) {
	dsn := mysqltest.New(t)
	l := newLeakTest(t, dsn)
	for _, tt := range []struct{ begins, want string }{
		{"SELECT GET_LOCK", ": migrate: MySQL error 1142 (HY000): no right on the table"},
		{"CREATE TABLE IF NOT EXISTS schema_versions", "no right on the table: CREATE TABLE schema_versions"},
		{"CREATE TABLE IF NOT EXISTS users", "migrate: step 00001_first_version.sql: MySQL error 1142 (HY000): " +
			"no right on the table: CREATE TABLE IF NOT EXISTS users ( id BIGINT UNSIGNED NOT NU…"},
		{"INSERT INTO schema_versions", "no right on the table: INSERT INTO schema_versions"},
		{"EXECUTE change_users", "step 00002_profile_source_phone_merges.sql: MySQL error 1142 (HY000): " +
			"no right on the table: EXECUTE change_users"},
		{"CREATE OR REPLACE ALGORITHM = MERGE SQL SECURITY DEFINER VIEW daily_logins", "step 00003_login_days_admin_views.sql: " +
			"MySQL error 1142 (HY000): no right on the table: CREATE OR REPLACE ALGORITHM = MERGE SQL SECURITY DEFINER VIE…"},
	} {
		l.server.set(func(statement string) *mysql.MySQLError {
			if strings.HasPrefix(strings.TrimSpace(statement), tt.begins) {
				return &mysql.MySQLError{Number: 1142, Message: serverText}
			}
			return nil
		})
		_, err := l.db.Migrate(t.Context())
		if !errors.Is(err, store.ErrNoRights) || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.begins, err, tt.want)
		}
		l.wantNone("Migrate", fmt.Sprint(err))
	}
}
