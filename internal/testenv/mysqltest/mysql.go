package mysqltest

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"wxlogin/internal/embedded"
	"wxlogin/store"
)

// engine is the embedded MySQL that all tests of a process share. It ends with the process.
var engine = sync.OnceValues(func() (*embedded.MySQL, error) {
	return embedded.StartMySQL(embedded.MySQLOptions{})
})

// New makes a database for this test alone and returns its DSN, in the form that github.com/go-sql-driver/mysql reads.
// The database is empty and is dropped at the end of the test.
//
// It is on the embedded engine, unless the environment variable TEST_MYSQL_DSN names a MySQL or MariaDB server,
// with a user who may create databases; what else that DSN says (TLS, time-outs) is kept, its database is not used.
// Databases of others are not touched: the name is random, and CREATE DATABASE fails for one that exists.
//
// Pools on it must be closed before the test ends: by a t.Cleanup after this call, or by defer.
func New(t testing.TB) (dsn string) {
	t.Helper()
	server, err := serverConfig(os.Getenv("TEST_MYSQL_DSN"))
	if err != nil {
		t.Fatalf("mysqltest: %v", err)
	}
	name := "wxlogin_test_" + strings.ToLower(rand.Text())

	if err := exec(server, "CREATE DATABASE `"+name+"` CHARACTER SET utf8mb4"); err != nil {
		t.Fatalf("mysqltest: create a database: %v", err)
	}
	t.Cleanup(func() {
		if err := exec(server, "DROP DATABASE `"+name+"`"); err != nil {
			t.Errorf("mysqltest: drop the database (does a connection still have a transaction open?): %v", err)
		}
	})

	database := server.Clone()
	database.DBName = name
	return database.FormatDSN()
}

// serverConfig tells how to reach the server, without a database: the one that a DSN names, or, where that is empty, the
// embedded one.
func serverConfig(dsn string) (*mysql.Config, error) {
	if dsn == "" {
		e, err := engine()
		if err != nil {
			return nil, err
		}
		dsn = e.DSN()
	}
	config, err := mysql.ParseDSN(dsn)
	if err != nil {
		return nil, errors.New("TEST_MYSQL_DSN cannot be read (it is not shown, as it may hold a password)")
	}
	config.DBName = ""
	return config, nil
}

// exec runs one statement on a connection of its own.
func exec(config *mysql.Config, statement string) error {
	connector, err := mysql.NewConnector(config)
	if err != nil {
		return err
	}
	db := sql.OpenDB(connector)
	defer db.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	_, err = db.ExecContext(ctx, statement)
	return err
}

// NewWithSchema is New with all tables in it, of the newest version.
func NewWithSchema(t testing.TB) (dsn string) {
	t.Helper()
	dsn = New(t)
	db, err := store.Open(dsn, store.Options{})
	if err != nil {
		t.Fatalf("mysqltest: %v", err)
	}
	defer db.Close()
	if _, err := db.Migrate(t.Context()); err != nil {
		t.Fatalf("mysqltest: %v", err)
	}
	return dsn
}
