package store_test

import (
	"crypto/tls"
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"wxlogin/internal/testenv/mysqltest"
	"wxlogin/store"
)

func TestCheckDSN_OwnTLS(t *testing.T) {
	const address = "root:hunter2@tcp(db.example:3306)/wxlogin"
	for dsn, want := range map[string]string{ // "": none
		address: "", address + "?tls=true": "", address + "?tls=1": "", "root:hunter2@/wxlogin": "",
		address + "?tls=false": "tls=true", address + "?tls=skip-verify": "tls=true", address + "?tls=preferred": "tls=true",
		address + "?tls=true&allowFallbackToPlaintext=true": "allowFallbackToPlaintext",
		address + "?tls=hunter2":                            "must be true, skip-verify, preferred or false",
		"root:hunter2@unix(/run/hunter2.sock)/wxlogin":      "unix socket",
	} {
		err := store.CheckDSN(dsn, true)
		db, openErr := store.Open(dsn, store.Options{TLS: &tls.Config{}})
		if openErr == nil {
			db.Close()
		}
		if (err == nil) != (want == "") || fmt.Sprint(err) != fmt.Sprint(openErr) {
			t.Errorf("%s: %v, and Open: %v", dsn, err, openErr)
		}
		if err != nil && (!strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2")) {
			t.Errorf("%s: %v, want %q", dsn, err, want)
		}
	}
}

func TestOpen_InvalidDSN(t *testing.T) {
	for name, dsn := range map[string]string{
		"empty":           "",
		"no slash":        "root:hunter2@tcp(db.example:3306)",
		"no database":     "root:hunter2@tcp(db.example:3306)/",
		"bracket missing": "root:hunter2@tcp(db.example:3306/wxlogin",
		"network":         "root:hunter2@hunter2/wxlogin",
		"bool":            "root:hunter2@tcp(db.example:3306)/wxlogin?parseTime=hunter2",
		"duration":        "root:hunter2@tcp(db.example:3306)/wxlogin?timeout=hunter2",
		"escape":          "root:hunter2@tcp(db.example:3306)/wxlogin?loc=%hunter2",
		"database escape": "root:hunter2@tcp(db.example:3306)/hunter2%zz",
		"tls":             "root:hunter2@tcp(db.example:3306)/wxlogin?tls=hunter2",
		"url":             "mysql://root:hunter2@db.example:3306/wxlogin",
	} {
		t.Run(name, func(t *testing.T) {
			db, err := store.Open(dsn, store.Options{})
			if err == nil {
				db.Close()
				t.Fatal("no error")
			}
			if checked := store.CheckDSN(dsn, false); checked == nil || checked.Error() != err.Error() {
				t.Errorf("CheckDSN says %v, Open %v", checked, err)
			}
			for _, part := range []string{"hunter2", "root", "db.example", "wxlogin"} {
				if strings.Contains(err.Error(), part) {
					t.Errorf("the error echoes the DSN: %v", err)
				}
			}
		})
	}
}

func TestOpen_Settings(t *testing.T) {
	c, err := store.ParseDSN("u:p@tcp(db.example:3306)/wxlogin?loc=Asia%2FShanghai&parseTime=false&multiStatements=true&interpolateParams=false&" +
		"sql_mode=%27ANSI%27&@@Session.Autocommit=0&UNIQUE_CHECKS=0&session sql_safe_updates=1&max_execution_time=500")
	if err != nil {
		t.Fatal(err)
	}
	if c.Loc != time.UTC || !c.ParseTime || c.MultiStatements || !c.InterpolateParams || !c.RejectReadOnly {
		t.Errorf("settings %+v", c)
	}
	if want := map[string]string{"time_zone": "'+00:00'", "autocommit": "1", "unique_checks": "1", "sql_safe_updates": "0",
		"sql_auto_is_null": "0", "sql_mode": "'STRICT_TRANS_TABLES,NO_ENGINE_SUBSTITUTION'",
		"innodb_lock_wait_timeout": "1", "max_execution_time": "500"}; !maps.Equal(c.Params, want) {
		t.Errorf("params %v, want %v", c.Params, want)
	}
	if c.Timeout <= 0 || c.ReadTimeout <= 0 || c.WriteTimeout <= 0 {
		t.Errorf("time-outs %v %v %v", c.Timeout, c.ReadTimeout, c.WriteTimeout)
	}
	c, err = store.ParseDSN("u:p@tcp(db.example:3306)/wxlogin?timeout=1s&readTimeout=2s&writeTimeout=4s&innodb_lock_wait_timeout=3")
	if err != nil {
		t.Fatal(err)
	}
	if c.Params["innodb_lock_wait_timeout"] != "3" || c.Timeout != time.Second || c.ReadTimeout != 2*time.Second || c.WriteTimeout != 4*time.Second {
		t.Errorf("the DSN's own time-outs are lost: %v %v %v %v", c.Timeout, c.ReadTimeout, c.WriteTimeout, c.Params)
	}
}

func TestOpen(t *testing.T) {
	t.Run("times are UTC", func(t *testing.T) {
		f := newFixture(t)
		user, _ := f.login(appA, "oAlice", "")
		user, _ = f.login(appA, "oAlice", "")
		if user.CreatedAt.Location() != time.UTC {
			t.Errorf("location %v", user.CreatedAt.Location())
		}
		if got := f.user(user.ID)["created_at"]; got != "2025-03-14 15:09:26.535" {
			t.Errorf("created_at %q", got)
		}
	})

	t.Run("defaults", func(t *testing.T) {
		db, err := store.Open(mysqltest.New(t), store.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		if err := db.Ping(t.Context()); err != nil {
			t.Error(err)
		}
	})

	t.Run("logs statements without values", func(t *testing.T) {
		f := newFixture(t)
		f.login(appA, "oSecret", "")
		if logs := f.logs.String(); logs != "" {
			t.Errorf("statements that are not slow are logged: %s", logs)
		}
		f.db.LogAll()
		f.login(appA, "oSecret", "uSecret")
		f.login(appB, "oSecret", "")
		f.update(appA, "oSecret", store.Profile{NickName: "nSecret"})
		logs := f.logs.String()
		for _, verb := range []string{"SELECT", "INSERT", "UPDATE"} {
			if !strings.Contains(logs, verb) {
				t.Errorf("no %s in the log: %s", verb, logs)
			}
		}
		if strings.Contains(logs, "Secret") || strings.Contains(logs, appA) {
			t.Errorf("the log holds values: %s", logs)
		}
	})
}

func TestDB_CheckCharset(t *testing.T) {
	dsn := mysqltest.New(t)
	with := func(param string) string {
		if strings.Contains(dsn, "?") {
			return dsn + "&" + param
		}
		return dsn + "?" + param
	}
	for _, tt := range []struct {
		name, dsn string
		good      bool
	}{
		{"as the driver has it", dsn, true},
		{"utf8mb4", with("charset=utf8mb4"), true},
		{"utf8mb4_with_collation", with("collation=utf8mb4_unicode_ci"), true},
		{"latin1", with("charset=latin1"), false},
		{"utf8mb3", with("charset=utf8mb3"), false},
		{"results only", with("character_set_results=latin1"), false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			db, err := store.Open(tt.dsn, store.Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			err = db.CheckCharset(t.Context())
			if tt.good && err != nil || !tt.good && !errors.Is(err, store.ErrCharset) {
				t.Errorf("error %v, good is to be %v", err, tt.good)
			}
		})
	}
}

// globals are settings of a server that the store must not depend on, each with the statement that restores the
// default.
var globals = map[string][2]string{
	"autocommit OFF":          variable("autocommit", "OFF"),
	"completion_type CHAIN":   variable("completion_type", "'CHAIN'"),
	"completion_type RELEASE": variable("completion_type", "'RELEASE'"),
	"no sql_mode":             variable("sql_mode", "''"),
	"ANSI":                    variable("sql_mode", "ANSI"),
	"NO_BACKSLASH_ESCAPES":    variable("sql_mode", "'STRICT_TRANS_TABLES,NO_BACKSLASH_ESCAPES,PAD_CHAR_TO_FULL_LENGTH'"),
	"READ COMMITTED":          isolation("READ COMMITTED"),
	"SERIALIZABLE":            isolation("SERIALIZABLE"),
	"sql_safe_updates":        variable("sql_safe_updates", "ON"),
	"sql_auto_is_null":        variable("sql_auto_is_null", "ON"),
	"no unique_checks":        variable("unique_checks", "OFF"),
	"sql_select_limit":        variable("sql_select_limit", "1"),
}

// combined are the globals that can be set together.
var combined = []string{"autocommit OFF", "completion_type CHAIN", "ANSI", "SERIALIZABLE", "sql_safe_updates",
	"sql_auto_is_null", "no unique_checks", "sql_select_limit"}

func variable(name, value string) [2]string {
	return [2]string{"SET GLOBAL " + name + " = " + value, "SET GLOBAL " + name + " = DEFAULT"}
}

func isolation(level string) [2]string {
	const set = "SET GLOBAL TRANSACTION ISOLATION LEVEL "
	return [2]string{set + level, set + "REPEATABLE READ"}
}

// The account has no SUPER, like the one in the documentation.
func TestDB_GlobalSettings(t *testing.T) {
	s := mysqltest.RunServer(t)
	cases := map[string][]string{"all": combined}
	for name := range globals {
		cases[name] = []string{name}
	}
	n := 0
	for name, chosen := range cases {
		n++
		t.Run(name, func(t *testing.T) {
			dsn := s.NewDatabase(t, fmt.Sprint("app", n), "ALL")
			for _, name := range chosen {
				s.Exec(t, globals[name][0])
				defer s.Exec(t, globals[name][1])
			}
			wantAllKept(t, dsn)
		})
	}
}

// wantAllKept makes all kinds of writes, and checks that another connection sees what the calls returned.
func wantAllKept(t *testing.T, dsn string) {
	t.Helper()
	const nickName = `Bob "the' \ builder`
	f := &fixture{t: t, dsn: dsn, clock: newClock()}
	var err error
	if f.db, err = store.Open(dsn, store.Options{Now: f.clock.now, Replicas: []string{dsn}}); err != nil {
		t.Fatal(err)
	}
	defer f.db.Close()
	f.users = f.db.Users()
	if done, err := f.db.Migrate(t.Context()); err != nil || done.To != store.SchemaVersion {
		t.Fatalf("Migrate: %+v, %v", done, err)
	}
	wantReady(t, f.db)

	bob, _ := f.login(appA, "oBob", "")
	first, _ := f.login(appA, "oAliceInA", "")
	f.bind(appA, "oBob", firstPhone)
	f.login(appB, "oAliceInB", "uAlice")
	survivor, created := f.login(appA, "oAliceInA", "uAlice")
	if created || survivor.ID != first.ID {
		t.Errorf("Login: user %d, want %d", survivor.ID, first.ID)
	}
	concurrently(64, func(i int) {
		if _, err := f.users.Find(t.Context(), appA, []string{"oBob", "oAliceInA"}[i%2]); err != nil {
			t.Errorf("Find: %v", err)
		}
	})
	if errs := f.db.CheckReplicas(t.Context()); errs[0] != nil {
		t.Errorf("CheckReplicas: %v", errs[0])
	}
	if err := f.db.WriteLoginDays(t.Context()); err != nil {
		t.Error(err)
	}
	// These come after the last transaction: with completion_type CHAIN, the next one would commit them.
	f.clock.advance(time.Hour)
	f.login(appA, "oBob", "")
	f.update(appA, "oBob", typed(nickName))
	f.bind(appA, "oBob", secondPhone)

	f.raw = openRaw(t, dsn)
	id := func(u store.User) string { return fmt.Sprint(u.ID) }
	for query, want := range map[string]map[string]string{
		"SELECT nickname, phone_number, last_login_at > created_at AS returned FROM users WHERE id = " + id(bob): {
			"nickname": nickName, "phone_number": secondPhone.Number, "returned": "1"},
		"SELECT status, unionid FROM users WHERE id = " + id(first): {"status": "1", "unionid": "uAlice"},
		"SELECT COUNT(*) AS identities, COUNT(DISTINCT user_id) AS users FROM wechat_identities": {
			"identities": "3", "users": "2"},
		"SELECT survivor_id, unionid FROM user_merges":                             {"survivor_id": id(first), "unionid": "uAlice"},
		"SELECT SUM(logins) AS logins, SUM(new_users) AS new_ones FROM login_days": {"logins": "4", "new_ones": "3"},
		"SELECT MAX(version_id) AS version FROM schema_versions":                   {"version": fmt.Sprint(store.SchemaVersion)},
	} {
		if got := f.row(query); !maps.Equal(got, want) {
			t.Errorf("%s: %q, want %q", query, got, want)
		}
	}
}
