package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// ErrCharset says that a connection does not speak utf8mb4: emoji in nicknames would be refused or lost.
var ErrCharset = errors.New("store: the connection's charset is not utf8mb4 (set charset=utf8mb4 in the DSN)")

// CheckCharset returns ErrCharset where the connections that the DSN makes do not carry utf8mb4 in both directions.
// A table in utf8mb4 is not enough for emoji: the connection translates. To be called once at the start.
func (d *DB) CheckCharset(ctx context.Context) error {
	const query = "SELECT @@character_set_client, @@character_set_connection, @@character_set_results"
	var client, connection, results sql.NullString // results is NULL where the server is told not to translate
	if err := d.sql.QueryRowContext(ctx, query).Scan(&client, &connection, &results); err != nil {
		return d.fault(ctx, "check charset", err)
	}
	for _, v := range []struct {
		name    string
		charset sql.NullString
	}{
		{"character_set_client", client},
		{"character_set_connection", connection},
		{"character_set_results", results},
	} {
		if v.charset.String != "utf8mb4" {
			return fmt.Errorf("%w: %s is %q", ErrCharset, v.name, v.charset.String)
		}
	}
	return nil
}
