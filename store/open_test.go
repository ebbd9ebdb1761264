package store_test

import (
	"crypto/tls"
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
