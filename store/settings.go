package store

import (
	"context"
	"database/sql/driver"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/go-sql-driver/mysql"
)

// settings are the system variables that every connection sets, so that the statements mean the same and are committed whatever
// the server has as its global settings. MySQL, MariaDB, TiDB, Vitess and the embedded engine know all of them, and ProxySQL
// tracks them. The isolation level stays as the server has it.
var settings = map[string]string{
	"time_zone": "'+00:00'",

	// If it were off, a single statement would be answered and never committed.
	"autocommit": "1",

	// No ANSI, NO_BACKSLASH_ESCAPES or MariaDB's ORACLE, which read statements in another way, and no value is cut to fit.
	"sql_mode": "'STRICT_TRANS_TABLES,NO_ENGINE_SUBSTITUTION'",

	"sql_safe_updates": "0", // if on, it refuses an UPDATE without a key in its condition
	"sql_auto_is_null": "0", // if on, `id IS NULL` finds the row that was inserted last
	"unique_checks":    "1", // if off, InnoDB may store a unionid twice
}

// lockWait is innodb_lock_wait_timeout in seconds if the DSN has none; 1 is the minimum, and the server's default is 50. The
// caller's deadline has passed by then. The statement must not go on waiting: it may have locked other rows already.
const lockWait = "1"

// setParams makes settings and lockWait parameters of a connection, which the driver sends in one SET.
func setParams(c *mysql.Config) {
	if c.Params == nil {
		c.Params = map[string]string{}
	}
	maps.DeleteFunc(c.Params, func(name, _ string) bool {
		variable := name[strings.LastIndexAny(name, "@. ")+1:] // the DSN may say @@session.sql_mode
		return settings[strings.ToLower(variable)] != ""
	})
	maps.Copy(c.Params, settings)
	if c.Params["innodb_lock_wait_timeout"] == "" {
		c.Params["innodb_lock_wait_timeout"] = lockWait
	}
}

// connector makes connections; its errors are connectErrors.
type connector struct {
	driver.Connector
	set string // what a new connection sets, by name
}

func newConnector(c *mysql.Config) (driver.Connector, error) {
	inner, err := mysql.NewConnector(c)
	if err != nil {
		return nil, errDSN // the driver's own text may quote the DSN
	}
	return connector{inner, "SET NAMES, " + strings.Join(slices.Sorted(maps.Keys(c.Params)), ", ")}, nil
}

// Connect implements driver.Connector.
func (c connector) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := c.Connector.Connect(ctx)
	if isOf(err, badSetting) {
		err = ofStatement(c.set, err)
	}
	if err != nil {
		return nil, connectError{err}
	}
	if err := noChain(ctx, conn); err != nil {
		conn.Close()
		return nil, connectError{err}
	}
	return conn, nil
}

// noChain sets completion_type if the server has another one than NO_CHAIN: with CHAIN, each COMMIT begins a transaction that
// takes up the statements after it and is never committed; with RELEASE, it closes the connection.
//
// It is not one of settings because ProxySQL does not track it: a SET of it ties the connection to one hostgroup. SHOW goes to the
// primary there, and leaves multiplexing on, which a SELECT of @@completion_type does not.
func noChain(ctx context.Context, conn driver.Conn) error {
	value, err := completionType(ctx, conn.(driver.QueryerContext))
	if err != nil || value == "" || value == "NO_CHAIN" {
		return err
	}
	_, err = conn.(driver.ExecerContext).ExecContext(ctx, "SET completion_type = 'NO_CHAIN'", nil)
	return err
}

// completionType returns "" if the server has no such variable.
func completionType(ctx context.Context, conn driver.QueryerContext) (string, error) {
	rows, err := conn.QueryContext(ctx, "SHOW VARIABLES LIKE 'completion_type'", nil)
	if err != nil {
		return "", err
	}
	defer rows.Close()
	row := make([]driver.Value, 2)
	switch err := rows.Next(row); err {
	case nil:
		return fmt.Sprintf("%s", row[1]), nil
	case io.EOF:
		return "", nil
	default:
		return "", err
	}
}
