package mysqltest

import (
	"database/sql"
	"strings"
	"testing"

	"github.com/go-sql-driver/mysql"
)

func open(t *testing.T, dsn string) *sql.DB {
	t.Helper()
	db, err := sql.Open("mysql", dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func TestNew_SeparateDatabases(t *testing.T) {
	for _, name := range []string{"one", "two", "three"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := open(t, New(t))
			for _, statement := range []string{
				"CREATE TABLE t (name VARCHAR(10) NOT NULL)", // fails if the database is not empty
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

func TestNew_DroppedAfterTest(t *testing.T) {
	outer := open(t, New(t))
	var name string
	exists := func() (n int) {
		t.Helper()
		const query = "SELECT COUNT(*) FROM information_schema.schemata WHERE schema_name = ?"
		if err := outer.QueryRow(query, name).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	t.Run("inner", func(t *testing.T) {
		config, err := mysql.ParseDSN(New(t))
		if err != nil {
			t.Fatal(err)
		}
		name = config.DBName
		if !strings.HasPrefix(name, "wxlogin_test_") {
			t.Errorf("name %q has no prefix wxlogin_test_", name)
		}
		if exists() != 1 {
			t.Error("the database does not exist")
		}
	})
	if exists() != 0 {
		t.Error("the database still exists")
	}
}

func TestNewWithSchema(t *testing.T) {
	var users int
	err := open(t, NewWithSchema(t)).QueryRow("SELECT COUNT(*) FROM users").Scan(&users)
	if err != nil || users != 0 {
		t.Errorf("%d users, %v", users, err)
	}
}

func TestServerConfig(t *testing.T) {
	t.Run("drops the database and keeps the rest", func(t *testing.T) {
		config, err := serverConfig("root@tcp(127.0.0.1:3306)/theirs?maxAllowedPacket=4096")
		if err != nil || config.DBName != "" || config.Addr != "127.0.0.1:3306" || config.MaxAllowedPacket != 4096 {
			t.Errorf("%v", err)
		}
	})

	t.Run("hides an unreadable DSN", func(t *testing.T) {
		_, err := serverConfig("root:hidden@127.0.0.1:3306")
		if err == nil || strings.Contains(err.Error(), "hidden") {
			t.Error("no error, or an error that contains the password")
		}
	})
}
