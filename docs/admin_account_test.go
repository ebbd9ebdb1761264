package docs_test

import (
	"crypto/rand"
	"database/sql"
	"errors"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/go-sql-driver/mysql"

	"wxlogin"
	"wxlogin/internal/testenv/mysqltest"
	"wxlogin/store"
)

var adminViews = []string{
	"user_profiles", "user_identities", "merged_users", "daily_logins", "user_history", "user_list", "blocked_users",
}

// adminAccount creates an account by deploy/mysql/20-admin-account.sh and returns a DSN with it. The embedded engine has no
// accounts; there it returns dsn.
func adminAccount(t *testing.T, dsn string) string {
	t.Helper()
	if os.Getenv("TEST_MYSQL_DSN") == "" {
		return dsn
	}
	return withAccount(t, dsn, newAccount(t, dsn), adminPassword)
}

const adminPassword = `it's \ "odd"`

// newAccount creates the account and returns its name.
func newAccount(t *testing.T, dsn string) string {
	t.Helper()
	name := "wxlogin_ro_" + strings.ToLower(rand.Text()[:12])
	makeAccount(t, dsn, name)
	t.Cleanup(func() { run(t, openSQL(t, dsn), "DROP USER '"+name+"'@'%'") })
	return name
}

// makeAccount runs the script's SQL as the entrypoint of MySQL's image does.
func makeAccount(t *testing.T, dsn, name string) {
	t.Helper()
	needs(t, "bash")
	config, err := mysql.ParseDSN(dsn)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("bash", "-euo", "pipefail", "-c", "docker_process_sql() { cat; }; . ../deploy/mysql/20-admin-account.sh")
	cmd.Env = append(os.Environ(), "MYSQL_DATABASE="+config.DBName, "ADMIN_RO_USER="+name, "ADMIN_RO_PASSWORD="+adminPassword)
	script, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	run(t, openSQL(t, dsn), string(script))
}

func withAccount(t *testing.T, dsn, name, password string) string {
	t.Helper()
	config, err := mysql.ParseDSN(dsn)
	if err != nil {
		t.Fatal(err)
	}
	config.User, config.Passwd = name, password
	return config.FormatDSN()
}

// realAccounts skips a test on the embedded engine, which has no rights.
func realAccounts(t *testing.T) {
	t.Helper()
	if os.Getenv("TEST_MYSQL_DSN") == "" {
		t.Skip("NOTICE: without TEST_MYSQL_DSN the rights of accounts are not tested")
	}
}

// wantDenied asserts that the server refuses statements because the account has no right.
func wantDenied(t *testing.T, dsn string, statements ...string) {
	t.Helper()
	db := openSQL(t, dsn)
	access := []uint16{1044, 1045, 1142, 1143, 1227, 1370, 1410}
	for _, s := range statements {
		_, err := db.Exec(s)
		var answer *mysql.MySQLError
		if !errors.As(err, &answer) || !slices.Contains(access, answer.Number) {
			t.Errorf("%s: %v, want a refusal", s, err)
		}
	}
}

func TestAdminAccount_Rights(t *testing.T) {
	realAccounts(t)
	dsn, other := mysqltest.NewWithSchema(t), mysqltest.NewWithSchema(t)
	otherConfig, err := mysql.ParseDSN(other)
	if err != nil {
		t.Fatal(err)
	}
	people(t, openSQL(t, dsn), newPast())
	admin := adminAccount(t, dsn)
	for _, view := range adminViews {
		run(t, openSQL(t, admin), "SELECT * FROM "+view, "SHOW CREATE VIEW "+view)
	}
	const known = "SELECT table_name AS n FROM information_schema.tables WHERE table_schema = DATABASE()"
	seen := column(t, openSQL(t, admin), known, "n")
	slices.Sort(seen)
	if want := slices.Sorted(slices.Values(adminViews)); !slices.Equal(seen, want) {
		t.Errorf("it knows of %v, want %v", seen, want)
	}
	wantDenied(t, admin,
		"SELECT phone_number FROM users", "SELECT id FROM users", "SELECT 1 FROM wechat_identities", "SELECT 1 FROM user_merges",
		"SELECT 1 FROM login_days", "SELECT 1 FROM user_changes", "SELECT 1 FROM pending_deletions", "SELECT 1 FROM schema_versions",
		"SHOW CREATE TABLE users", "LOCK TABLES users READ",
		"UPDATE users SET status = 2", "UPDATE user_profiles SET nickname = 'x'", "DELETE FROM merged_users",
		"INSERT INTO user_identities VALUES (1, 'wx1', 'oX', NOW())", "UPDATE daily_logins SET logins = 0",
		"DROP VIEW user_profiles", "CREATE OR REPLACE VIEW user_profiles AS SELECT * FROM users", "CREATE TABLE t (i INT)",
		"CREATE VIEW v AS SELECT * FROM user_profiles", "ALTER SQL SECURITY INVOKER VIEW user_profiles AS SELECT 1 AS id",
		"CREATE TEMPORARY TABLE t (i INT)", "TRUNCATE TABLE users", "SELECT * FROM user_profiles INTO OUTFILE '/tmp/x'",
		"GRANT SELECT ON user_profiles TO CURRENT_USER()", "SELECT user FROM mysql.user",
		"SELECT * FROM `"+otherConfig.DBName+"`.user_profiles", "USE `"+otherConfig.DBName+"`",
	)
}

// onMariaDB reports whether the server is MariaDB.
func onMariaDB(t *testing.T, db *sql.DB) bool {
	t.Helper()
	return strings.Contains(column(t, db, "SELECT VERSION() AS v", "v")[0], "MariaDB")
}

func TestAdminAccount_Limits(t *testing.T) {
	realAccounts(t)
	dsn := mysqltest.NewWithSchema(t)
	root := openSQL(t, dsn)
	people(t, root, newPast())
	name := newAccount(t, dsn)
	run(t, root, "ALTER USER '"+name+"'@'%' WITH MAX_USER_CONNECTIONS 0") // as an earlier version left it
	makeAccount(t, dsn, name)
	admin := withAccount(t, dsn, name, adminPassword)
	t.Run("are set", func(t *testing.T) {
		var got string
		if err := root.QueryRow("SHOW CREATE USER '" + name + "'@'%'").Scan(&got); err != nil {
			t.Fatal(err)
		}
		limits := []string{"MAX_USER_CONNECTIONS 10"}
		if onMariaDB(t, root) {
			limits = append(limits, "MAX_STATEMENT_TIME 60")
		}
		for _, limit := range limits {
			if !strings.Contains(got, limit) {
				t.Errorf("%s is missing: %s", limit, got)
			}
		}
	})
	t.Run("refuse an eleventh connection", func(t *testing.T) {
		db := openSQL(t, admin)
		db.SetMaxOpenConns(11)
		var conns []*sql.Conn
		for range 10 {
			conn, err := db.Conn(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			conns = append(conns, conn)
		}
		_, err := db.Conn(t.Context())
		var answer *mysql.MySQLError
		if !errors.As(err, &answer) || answer.Number != 1226 {
			t.Errorf("error %v, want 1226", err)
		}
		for _, conn := range conns {
			conn.Close()
		}
		db.Close()
	})
	t.Run("end a statement that holds locks, so that sign-ups go on", func(t *testing.T) {
		if !onMariaDB(t, root) {
			t.Skip("MySQL has no limit of this kind")
		}
		run(t, root, "ALTER USER '"+name+"'@'%' WITH MAX_STATEMENT_TIME 0.5")
		_, err := openSQL(t, admin).Exec("SELECT SLEEP(30), id FROM user_profiles FOR UPDATE")
		var answer *mysql.MySQLError
		if !errors.As(err, &answer) || answer.Number != 1969 {
			t.Errorf("error %v, want 1969", err)
		}
		db, err := store.Open(dsn, store.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		if _, created, err := db.Users().Login(t.Context(), store.Identity{AppID: "wx1", OpenID: "oNew"}); err != nil || !created {
			t.Errorf("created %v, error %v", created, err)
		}
	})
}

// Earlier versions let the account read the tables. The same command takes that away and keeps the password.
func TestAdminAccount_EarlierVersion(t *testing.T) {
	realAccounts(t)
	dsn := mysqltest.NewWithSchema(t)
	name := newAccount(t, dsn)
	admin := withAccount(t, dsn, name, "earlier")
	run(t, openSQL(t, dsn), "ALTER USER '"+name+"'@'%' IDENTIFIED BY 'earlier'",
		"GRANT SELECT, SHOW VIEW ON *.* TO '"+name+"'@'%'")
	run(t, openSQL(t, admin), "SELECT phone_number FROM users")
	makeAccount(t, dsn, name)
	wantDenied(t, admin, "SELECT phone_number FROM users")
	run(t, openSQL(t, admin), "SELECT * FROM user_profiles")
}

// The views read with the rights of the account that ran migrate, also if another one had created them. It needs no right
// outside its database. If it is dropped, running schema.sql as another account makes the views work again.
func TestAdminAccount_ViewOwner(t *testing.T) {
	realAccounts(t)
	dsn := mysqltest.New(t)
	root := openSQL(t, dsn)
	run(t, root, read(t, "../store/migrations/00001_first_version.sql"))
	run(t, root, "CREATE VIEW daily_logins AS SELECT 1 AS day")
	owner := "wxlogin_srv_" + strings.ToLower(rand.Text()[:12])
	config, err := mysql.ParseDSN(dsn)
	if err != nil {
		t.Fatal(err)
	}
	run(t, root, "CREATE USER '"+owner+"'@'%' IDENTIFIED BY 'owner'",
		"GRANT ALL ON `"+strings.ReplaceAll(config.DBName, "_", `\_`)+"`.* TO '"+owner+"'@'%'")
	t.Cleanup(func() { run(t, openSQL(t, dsn), "DROP USER IF EXISTS '"+owner+"'@'%'") })
	db, err := store.Open(withAccount(t, dsn, owner, "owner"), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}

	admin := openSQL(t, adminAccount(t, dsn))
	definers := "SELECT DISTINCT definer AS d FROM information_schema.views WHERE table_schema = DATABASE()"
	if got := column(t, root, definers, "d"); !slices.Equal(got, []string{owner + "@%"}) {
		t.Errorf("the views belong to %v", got)
	}
	all := "SELECT * FROM " + strings.Join(adminViews, "; SELECT * FROM ")
	run(t, admin, all)

	run(t, root, "DROP USER '"+owner+"'@'%'")
	for number, db := range map[uint16]*sql.DB{1449: root, 1045: admin} {
		var answer *mysql.MySQLError
		if _, err := db.Exec(all); !errors.As(err, &answer) || answer.Number != number {
			t.Errorf("without their owner: %v, want error %d", err, number)
		}
	}
	run(t, root, wxlogin.Schema)
	run(t, admin, all)
}
