package store

import (
	"context"
	"database/sql"
	"errors"
	"time"
)

// turnPause is how long a Migrate waits before it asks for its turn again. It asks, and does not have the server wait, for
// the engine of the demo runs one statement at a time.
const turnPause = 100 * time.Millisecond

// turnName names the lock, in at most 64 characters. Such names belong to the server, not to the database. MD5 and SHA1 are not
// in every server: MySQL 9.6 moved them to a component.
const turnName = "CONCAT('wxlogin migrate ', LEFT(SHA2(DATABASE(), 256), 32))"

// takeTurn waits until no other Migrate works on the database, as long as the context allows. The turn ends with the
// connection, so a process that dies holds nobody up.
func takeTurn(ctx context.Context, conn *sql.Conn) error {
	for {
		var got sql.NullInt64 // 0 = another one has it, NULL = the server could not
		err := conn.QueryRowContext(ctx, "SELECT GET_LOCK("+turnName+", 0)").Scan(&got)
		switch {
		case isTiDBConflict(err): // so TiDB may say that another one has it
		case err != nil:
			return err
		case !got.Valid:
			return errors.New("store: the server gives no lock")
		case got.Int64 == 1:
			return nil
		}
		timer := time.NewTimer(turnPause)
		select {
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		case <-timer.C:
		}
	}
}

// endTurn gives the turn to the next one. Where it fails, the end of the connection does it.
func endTurn(conn *sql.Conn) {
	ctx, cancel := context.WithTimeout(context.Background(), writeTimeout)
	defer cancel()
	if rows, err := conn.QueryContext(ctx, "SELECT RELEASE_LOCK("+turnName+")"); err == nil {
		rows.Close()
	}
}
