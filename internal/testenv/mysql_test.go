package testenv_test

import (
	"strings"
	"testing"

	"github.com/go-sql-driver/mysql"

	"wxlogin/internal/testenv"
)

func TestMySQL_databases_are_fresh_and_apart(t *testing.T) {
	for _, name := range []string{"one", "two", "three"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := open(t, testenv.MySQL(t))
			for _, statement := range []string{
				"CREATE TABLE t (name VARCHAR(10) NOT NULL)", // there is none of that name yet
				"INSERT INTO t VALUES ('" + name + "🏮')",
			} {
				if _, err := db.Exec(statement); err != nil {
					t.Fatalf("%s: %v", statement, err)
				}
			}
			var got string
			if err := db.QueryRow("SELECT name FROM t").Scan(&got); err != nil || got != name+"🏮" {
				t.Errorf("%q, %v", got, err)
			}
		})
	}
}

func TestMySQL_database_ends_with_its_test(t *testing.T) {
	lasting := open(t, testenv.MySQL(t))
	i := &inner{TB: t}
	dsn := testenv.MySQL(i)
	config, err := mysql.ParseDSN(dsn)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(config.DBName, "wxlogin_test_") {
		t.Errorf("the name %q does not say what it is", config.DBName)
	}
	exists := func() (n int) {
		t.Helper()
		const query = "SELECT COUNT(*) FROM information_schema.schemata WHERE schema_name = ?"
		if err := lasting.QueryRow(query, config.DBName).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	if exists() != 1 {
		t.Error("there is no such database")
	}
	i.end()
	if exists() != 0 || len(i.failures) != 0 {
		t.Errorf("the database is still there; failures: %q", i.failures)
	}
}

func TestMySQL_unreadable_dsn_is_not_shown(t *testing.T) {
	t.Setenv("TEST_MYSQL_DSN", "root:hidden@127.0.0.1:3306")
	i := &inner{TB: t}
	i.run(func() { testenv.MySQL(i) })
	if len(i.failures) != 1 || strings.Contains(i.failures[0], "hidden") {
		t.Errorf("failures: %q", i.failures)
	}
}
