//go:build unix

package store_test

import (
	"context"
	"database/sql"
	"errors"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"wxlogin/store"
)

// benchBare sends the store's statements by database/sql: prepared where the store prepares, one after the other, and
// without a look at what comes back.
type benchBare struct {
	pool         *sql.DB
	read, change *sql.Stmt
}

func newBenchBare(b *testing.B, dsn string) *benchBare {
	b.Helper()
	config, err := store.DSNSettings(dsn)
	if err != nil {
		b.Fatal(err)
	}
	connector, err := mysql.NewConnector(config)
	if err != nil {
		b.Fatal(err)
	}
	bare := &benchBare{pool: sql.OpenDB(connector)}
	bare.pool.SetMaxOpenConns(50)
	bare.pool.SetMaxIdleConns(50)
	b.Cleanup(func() { bare.pool.Close() })
	for text, stmt := range map[string]**sql.Stmt{store.SelectByIdentity: &bare.read, store.UpdateProfile: &bare.change} {
		if *stmt, err = bare.pool.Prepare(text); err != nil {
			b.Fatal(err)
		}
	}
	return bare
}

// bareUser has the columns that are looked at, and those that are not.
type bareUser struct {
	id        uint64
	updatedAt *time.Time
	rest      [18]any
}

func (bare *benchBare) user(ctx context.Context, openID string) (u bareUser, err error) {
	into := []any{&u.id}
	for i := range u.rest {
		if i == 11 {
			into = append(into, &u.updatedAt)
		}
		into = append(into, &u.rest[i])
	}
	err = bare.read.QueryRowContext(ctx, appA, openID).Scan(into...)
	return u, err
}

func (bare *benchBare) find(ctx context.Context, goroutine, n int) error {
	_, err := bare.user(ctx, benchOpenID(goroutine, n))
	return err
}

func (bare *benchBare) update(ctx context.Context, goroutine, n int) error {
	u, err := bare.user(ctx, benchOpenID(goroutine, 0))
	if err != nil {
		return err
	}
	now := time.Now().UTC().Truncate(time.Millisecond)
	_, err = bare.change.ExecContext(ctx, benchNames[n%2], nil, nil, nil, nil, nil, nil, nil, now, now, now, u.id, 1, u.updatedAt)
	return err
}

func (bare *benchBare) insert(ctx context.Context, _, _ int) error {
	openID := benchNew()
	if _, err := bare.user(ctx, openID); !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	tx, err := bare.pool.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	now := time.Now().UTC().Truncate(time.Millisecond)
	result, err := tx.ExecContext(ctx, store.InsertUser, nil, 1, now, now, now)
	if err != nil {
		return err
	}
	id, err := result.LastInsertId()
	if err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, store.InsertIdentity, appA, openID, id, now); err != nil {
		return err
	}
	return tx.Commit()
}
