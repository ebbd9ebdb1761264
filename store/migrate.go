package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/go-sql-driver/mysql"
)

// Migrate runs a script of several statements, each ended by a semicolon, such as wxlogin.Schema. It uses a connection
// of its own, which may carry several statements at once; those of the pool refuse that. The first statement that
// fails ends it; what ran before it stays (MySQL commits each CREATE).
//
// The error is ErrUnavailable where the database cannot be reached, and else holds the server's own words.
func (d *DB) Migrate(ctx context.Context, schema string) (err error) {
	config := d.config.Clone()
	config.MultiStatements = true
	config.ReadTimeout = 0 // changing a large table takes its time; ctx is the limit
	connector, err := mysql.NewConnector(config)
	if err != nil {
		return errDSN
	}
	pool := sql.OpenDB(connector)
	defer func() { err = errors.Join(err, pool.Close()) }()

	_, err = pool.ExecContext(ctx, schema)
	var answer *mysql.MySQLError
	if errors.As(err, &answer) && !unreachable(err) {
		return fmt.Errorf("store: migrate: %w", err) // a script holds no values that were anybody's secret
	}
	return d.fault(ctx, "migrate", err)
}
