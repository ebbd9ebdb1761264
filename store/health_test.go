package store_test

import (
	"errors"
	"strings"
	"testing"

	"wxlogin/internal/testenv/mysqltest"
	"wxlogin/store"
)

func TestDB_ReadyVersions(t *testing.T) {
	t.Run("first version", func(t *testing.T) {
		f := newFirstVersion(t)
		err := f.db.Ready(t.Context())
		if !errors.Is(err, store.ErrSchema) || errors.Is(err, store.ErrUnavailable) ||
			!strings.Contains(err.Error(), "run: wxlogin migrate") {
			t.Errorf("error %v", err)
		}
	})
	t.Run("later version", func(t *testing.T) {
		f := newFixture(t)
		f.exec("INSERT INTO schema_versions (version_id, is_applied) VALUES (99, 1)")
		if err := f.db.Ready(t.Context()); err != nil {
			t.Errorf("a server must go on while the next one's step is taken: %v", err)
		}
	})
	t.Run("version on record but columns gone", func(t *testing.T) {
		f := newFixture(t)
		f.exec("ALTER TABLE users DROP COLUMN language")
		if err := f.db.Ready(t.Context()); !errors.Is(err, store.ErrUnavailable) || errors.Is(err, store.ErrSchema) {
			t.Errorf("error %v", err)
		}
	})
}

func TestDB_Ready(t *testing.T) {
	db, err := store.Open(mysqltest.New(t), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.Ready(t.Context()); err == nil || errors.Is(err, store.ErrUnavailable) {
		t.Errorf("without tables: %v", err)
	}
	if _, err := db.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := db.Ready(t.Context()); err != nil {
		t.Errorf("with tables: %v", err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if err := db.Ready(t.Context()); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("closed: %v", err)
	}
}

// requiredRights are the rights of an account that serves.
const requiredRights = "SELECT, INSERT, UPDATE"

// migratedServer is a server for this test with a migrated database, opened by an account with these rights.
func migratedServer(t *testing.T, rights string, args ...string) (*mysqltest.Server, *store.DB) {
	t.Helper()
	s := mysqltest.RunServer(t, args...)
	dsn := s.NewDatabase(t, "app", rights)
	migrate(t, s.DSN("root", "", "app"))
	return s, open(t, dsn)
}

func open(t *testing.T, dsn string) *store.DB {
	t.Helper()
	db, err := store.Open(dsn, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func migrate(t *testing.T, dsn string) {
	t.Helper()
	if _, err := open(t, dsn).Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// wantUnready checks that a database is not ready, for a reason that an operator can read.
func wantUnready(t *testing.T, db *store.DB, kind error, text string) {
	t.Helper()
	err := db.Ready(t.Context())
	if !errors.Is(err, kind) || !errors.Is(err, store.ErrUnavailable) || !strings.Contains(err.Error(), text) {
		t.Errorf("Ready: %v, want %v with %q", err, kind, text)
	}
}

func wantReady(t *testing.T, db *store.DB) {
	t.Helper()
	if err := db.Ready(t.Context()); err != nil {
		t.Errorf("Ready: %v", err)
	}
}

func login(t *testing.T, db *store.DB, openID string) error {
	t.Helper()
	_, _, err := db.Users().Login(t.Context(), store.Identity{AppID: appA, OpenID: openID})
	return err
}

func TestDB_ReadyReadOnly(t *testing.T) {
	s, db := migratedServer(t, requiredRights)
	transactions := "tx_read_only"
	if s.MySQL {
		transactions = "transaction_read_only"
	}
	super := open(t, s.DSN("root", "", "app"))
	session := open(t, s.DSN("app", "app", "app")+"?"+transactions+"=1")
	wantReady(t, db)
	wantReady(t, super)
	wantUnready(t, session, store.ErrReadOnly, transactions+" is ON")

	for _, variable := range []string{"read_only", transactions} {
		t.Run(variable, func(t *testing.T) {
			s.Exec(t, "SET GLOBAL "+variable+" = 1")
			fresh := open(t, s.DSN("app", "app", "app"))
			wantUnready(t, fresh, store.ErrReadOnly, variable+" is ON")
			if err := login(t, fresh, "oAlice"); !errors.Is(err, store.ErrUnavailable) {
				t.Errorf("Login: %v", err)
			}
			if variable == "read_only" { // the other one is per session
				wantUnready(t, db, store.ErrReadOnly, variable+" is ON")
				wantUnready(t, super, store.ErrReadOnly, variable+" is ON")
			}
			s.Exec(t, "SET GLOBAL "+variable+" = 0")
			wantReady(t, open(t, s.DSN("app", "app", "app")))
			wantReady(t, db)
			if err := login(t, db, "o_"+variable); err != nil {
				t.Errorf("Login: %v", err)
			}
		})
	}

	t.Run("it writes nothing", func(t *testing.T) {
		var before, after [2]string
		read := func(into *[2]string) {
			if err := s.Root.QueryRow("SHOW GLOBAL STATUS LIKE 'Handler_update'").Scan(&into[0], &into[1]); err != nil {
				t.Fatal(err)
			}
		}
		read(&before)
		wantReady(t, db)
		if read(&after); before != after {
			t.Errorf("updates %v, then %v", before, after)
		}
	})
	t.Run("it waits for no lock", func(t *testing.T) {
		tx, err := s.Root.Begin()
		if err != nil {
			t.Fatal(err)
		}
		defer tx.Rollback()
		if _, err := tx.Exec("UPDATE app.users SET status = 2"); err != nil {
			t.Fatal(err)
		}
		wantReady(t, db)
	})
}

func TestDB_ReadyReadOnlyInnoDB(t *testing.T) {
	s, db := migratedServer(t, requiredRights)
	wantReady(t, db)
	s.Restart(t, "--innodb-read-only")
	fresh := open(t, s.DSN("app", "app", "app"))
	wantUnready(t, fresh, store.ErrReadOnly, "innodb_read_only is ON")
	if err := login(t, fresh, "oAlice"); !errors.Is(err, store.ErrReadOnly) {
		t.Errorf("Login: %v", err)
	}
}

func TestDB_ReadyRights(t *testing.T) {
	s, db := migratedServer(t, "SELECT")
	for _, tt := range []struct{ rights, lacks string }{
		{"SELECT", "no right on the table: UPDATE users"},
		{"SELECT, INSERT", "no right on the table: UPDATE users"},
		{"SELECT, UPDATE", "no right on the table: EXPLAIN INSERT INTO wechat_identities"},
	} {
		s.Exec(t, "REVOKE ALL ON app.* FROM app@'127.0.0.1'", "GRANT "+tt.rights+" ON app.* TO app@'127.0.0.1'")
		wantUnready(t, open(t, s.DSN("app", "app", "app")), store.ErrNoRights, tt.lacks)
	}
	if err := login(t, db, "oAlice"); !errors.Is(err, store.ErrNoRights) {
		t.Errorf("Login: %v", err)
	}
	s.Exec(t, "GRANT "+requiredRights+" ON app.* TO app@'127.0.0.1'")
	db = open(t, s.DSN("app", "app", "app"))
	wantReady(t, db)
	if err := login(t, db, "oAlice"); err != nil {
		t.Errorf("Login: %v", err)
	}
}

// The embedded engine has the variable, and ignores it just as a server ignores it for SUPER.
func TestDB_ReadyReadOnlyEmbedded(t *testing.T) {
	if realServer {
		t.Skip("the server may be shared")
	}
	f := newFixture(t)
	f.exec("SET GLOBAL read_only = 1")
	defer f.exec("SET GLOBAL read_only = 0")
	fresh := open(t, f.dsn)
	wantUnready(t, fresh, store.ErrReadOnly, "read_only is ")
}

// An operator can fix it by migrating, so it is not a bug: requests are to be retried.
func TestDB_MissingTable(t *testing.T) {
	for name, tt := range map[string]struct{ statement, text string }{
		"identities": {"DROP TABLE wechat_identities", "wechat_identities"},
		"users":      {"DROP TABLE users", "users"},
		"column":     {"ALTER TABLE users DROP COLUMN language", "language"},
		"merges":     {"DROP TABLE user_merges", "user_merges"},
		"login_days": {"DROP TABLE login_days", "login_days"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			f.login(appA, "oAlice", "")
			wantReady(t, f.db)
			f.exec(tt.statement)
			err := f.db.Ready(t.Context())
			if !errors.Is(err, store.ErrUnavailable) || errors.Is(err, store.ErrSchema) {
				t.Errorf("Ready: %v", err)
			}
			if name == "merges" || name == "login_days" {
				return // a login uses neither
			}
			_, _, update := f.users.UpdateProfile(t.Context(), appA, "oAlice", store.Profile{NickName: "Alice"})
			_, bind := f.users.BindPhone(t.Context(), appA, "oAlice", firstPhone)
			_, find := f.users.Find(t.Context(), appA, "oAlice")
			for call, err := range map[string]error{"known": login(t, f.db, "oAlice"), "new": login(t, f.db, "oBob"),
				"update": update, "bind": bind, "find": find} {
				if !errors.Is(err, store.ErrUnavailable) {
					t.Errorf("%s: %v", call, err)
				}
			}
		})
	}
}
