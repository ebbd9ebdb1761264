package store

import (
	"context"
	"database/sql"
	"time"
)

// direct sends the statements of statements.go, past GORM. Slow ones are logged as GORM's are.
type direct struct {
	to       conn
	prepared *prepared // nil interpolates all
	log      statementLog
}

// conn is a pool or a transaction.
type conn interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
}

func newDirect(pool *sql.DB, o Options) direct {
	return direct{to: pool, prepared: newPrepared(pool, o), log: statementLog{o.Logger, slowStatement}}
}

// in is for a transaction.
func (d direct) in(tx conn) direct { return direct{to: tx, log: d.log} }

// one reads the user that a statement finds. It returns ErrNotFound where there is none.
func (d direct) one(ctx context.Context, q query, args ...any) (row userRow, err error) {
	err = d.read(ctx, q, args, func(rows *sql.Rows) error { return rows.Scan(row.columns()...) })
	if err == nil && row.ID == 0 {
		err = ErrNotFound
	}
	return row, err
}

// read hands out the rows that a statement finds.
func (d direct) read(ctx context.Context, q query, args []any, take func(*sql.Rows) error) error {
	defer func(begin time.Time) { d.log.sent(ctx, begin, texts[q]) }(time.Now())
	rows, err := d.rows(ctx, q, args)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := take(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

func (d direct) rows(ctx context.Context, q query, args []any) (rows *sql.Rows, err error) {
	err = d.prepared.run(ctx, q, func(stmt *sql.Stmt) (err error) {
		if stmt == nil {
			rows, err = d.to.QueryContext(ctx, texts[q], args...)
		} else {
			rows, err = stmt.QueryContext(ctx, args...)
		}
		return err
	})
	return rows, err
}

// update runs a statement that changes rows, and tells how many it did.
func (d direct) update(ctx context.Context, q query, args ...any) (rows int64, err error) {
	result, err := d.exec(ctx, q, args)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

// updateRows runs a statement that is to change as many rows. Where it changes fewer, it returns errAgain: they are not as
// they were read.
func (d direct) updateRows(ctx context.Context, want int, q query, args ...any) error {
	rows, err := d.update(ctx, q, args...)
	if err == nil && rows < int64(want) {
		err = errAgain
	}
	return err
}

// insert adds a row, and returns the number that the server gave it.
func (d direct) insert(ctx context.Context, q query, args ...any) (id uint64, err error) {
	result, err := d.exec(ctx, q, args)
	if err != nil {
		return 0, err
	}
	n, err := result.LastInsertId()
	return uint64(n), err
}

func (d direct) exec(ctx context.Context, q query, args []any) (result sql.Result, err error) {
	defer func(begin time.Time) { d.log.sent(ctx, begin, texts[q]) }(time.Now())
	err = d.prepared.run(ctx, q, func(stmt *sql.Stmt) (err error) {
		if stmt == nil {
			result, err = d.to.ExecContext(ctx, texts[q], args...)
		} else {
			result, err = stmt.ExecContext(ctx, args...)
		}
		return err
	})
	return result, err
}

// transaction runs work in a transaction, and undoes all of it where an error comes back. That is errAgain where a key of
// the tables refuses a row: somebody else has inserted it since it was looked for.
func (d *DB) transaction(ctx context.Context, work func(tx direct) error) (err error) {
	defer func() {
		if duplicate(err) {
			err = errAgain
		}
	}()
	tx, err := d.sql.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() // of no effect after the COMMIT; where it fails, the connection is gone, and the server does it
	if err := work(d.direct.in(tx)); err != nil {
		return err
	}
	return tx.Commit()
}
