// Package mysqltest gives each test a MySQL database of its own.
//
// By default the database is on the embedded engine of package embedded, one for all tests of a process. An environment
// variable replaces it by a real server:
//
//	TEST_MYSQL_DSN=root@tcp(127.0.0.1:3306)/    MySQL or MariaDB, a user who may create databases
//
// Servers that a test starts itself (RunServer) are MariaDB, or MySQL:
//
//	TEST_MYSQLD=/usr/sbin/mysqld                the program of Oracle's MySQL
//
// The server of TEST_MYSQL_DSN may be shared, even with other test processes. A test gets a database with a random
// name, which is dropped when the test ends. If a run is killed, its databases (wxlogin_test_…) are left behind.
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

// engine is the embedded MySQL that all tests of a process share. It lives as long as the process.
var engine = sync.OnceValues(func() (*embedded.MySQL, error) {
	return embedded.StartMySQL(embedded.MySQLOptions{})
})

// New creates an empty database for this test alone and returns its DSN, in the form of github.com/go-sql-driver/mysql,
// with the options of TEST_MYSQL_DSN (TLS, time-outs). The database is dropped at the end of the test.
//
// Pools of the database must be closed before the test ends: by a t.Cleanup after this call, or by defer.
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

// serverConfig returns the configuration of the server that a DSN names, without a database, or of the embedded server
// if the DSN is empty.
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
		return nil, errors.New("TEST_MYSQL_DSN is invalid (not shown, it may contain a password)")
	}
	config.DBName = ""
	return config, nil
}

// exec runs one statement on a new connection.
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

// NewWithSchema is like New, and creates all tables, at the latest schema version.
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
