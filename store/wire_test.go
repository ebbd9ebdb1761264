package store_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/go-sql-driver/mysql"
)

// wire is between the pool and the real driver. It records what is sent to the server, and can break the connection
// before a statement is sent or after that.
type wire struct {
	mu       sync.Mutex
	sent     []statement
	prepared int // number of preparations; each connection makes its own, and they are not in sent
	before   func(sql string) error
	after    func(sql string) error
	refuse   func(stage string) error // returns the error of a prepared statement at the stage "prepare" or "execute", before it is sent
}

type statement struct {
	sql      string
	args     []driver.NamedValue
	affected int64
}

// verbs returns the first words of the statements since the last reset.
func (w *wire) verbs() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var verbs []string
	for _, s := range w.sent {
		verb, _, _ := strings.Cut(s.sql, " ")
		verbs = append(verbs, verb)
	}
	return verbs
}

func (w *wire) statements() []statement {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.sent)
}

func (w *wire) reset() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sent, w.prepared, w.before, w.after = nil, 0, nil, nil
}

// sabotage sets the hooks before and after statements; both may be nil.
func (w *wire) sabotage(before, after func(sql string) error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.before, w.after = before, after
}

// beforeUpdate calls f once, before the first UPDATE. If f returns an error, the UPDATE is not sent.
func (w *wire) beforeUpdate(f func() error) {
	done := false
	w.sabotage(func(sql string) error {
		if done || !strings.HasPrefix(sql, "UPDATE") {
			return nil
		}
		done = true
		return f()
	}, nil)
}

// refusePrepared sets the hook for prepared statements; nil means none.
func (w *wire) refusePrepared(refuse func(stage string) error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.refuse = refuse
}

func (w *wire) refused(stage string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.refuse == nil {
		return nil
	}
	return w.refuse(stage)
}

// preparations returns how often a statement was prepared since the last reset.
func (w *wire) preparations() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.prepared
}

// wantVerbs checks the statements since the last reset.
func (w *wire) wantVerbs(t *testing.T, want ...string) {
	t.Helper()
	if got := w.verbs(); !slices.Equal(got, want) {
		t.Errorf("statements %v, want %v", got, want)
	}
}

// wantNothingPrepared checks that no statement was prepared since the last reset.
func (w *wire) wantNothingPrepared(t *testing.T) {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.prepared != 0 {
		t.Errorf("prepared %d times, want never", w.prepared)
	}
}

// send runs one statement and records it. errCut from a hook closes the connection, as a crash would.
func (w *wire) send(c *wireConn, s statement, run func() (affected int64, err error)) error {
	w.mu.Lock()
	before, after := w.before, w.after
	w.mu.Unlock()
	if before != nil {
		if err := before(s.sql); err != nil {
			return c.broken(err)
		}
	}
	affected, err := run()
	s.affected = affected
	w.mu.Lock()
	w.sent = append(w.sent, s)
	w.mu.Unlock()
	if err == nil && after != nil {
		err = c.broken(after(s.sql))
	}
	return err
}

var errCut = mysql.ErrInvalidConn

func (w *wire) openDB(c driver.Connector) *sql.DB { return sql.OpenDB(wireConnector{c, w}) }

type wireConnector struct {
	driver.Connector
	wire *wire
}

func (c wireConnector) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	return &wireConn{conn.(mysqlConn), c.wire}, nil
}

// mysqlConn is what database/sql uses of the driver's connection.
type mysqlConn interface {
	driver.Conn
	driver.ConnBeginTx
	driver.ExecerContext
	driver.QueryerContext
	driver.Pinger
	driver.SessionResetter
	driver.Validator
	driver.NamedValueChecker
}

type wireConn struct {
	mysqlConn
	wire *wire
}

func (c *wireConn) broken(err error) error {
	if err == errCut {
		c.mysqlConn.Close()
	}
	return err
}

func (c *wireConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (result driver.Result, err error) {
	err = c.wire.send(c, statement{sql: query, args: args}, func() (int64, error) {
		if result, err = c.mysqlConn.ExecContext(ctx, query, args); err != nil {
			return 0, err
		}
		return result.RowsAffected()
	})
	return result, err
}

func (c *wireConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (rows driver.Rows, err error) {
	err = c.wire.send(c, statement{sql: query, args: args}, func() (int64, error) {
		rows, err = c.mysqlConn.QueryContext(ctx, query, args)
		return 0, err
	})
	return rows, err
}

func (c *wireConn) PrepareContext(ctx context.Context, query string) (driver.Stmt, error) {
	c.wire.mu.Lock()
	c.wire.prepared++
	c.wire.mu.Unlock()
	if err := c.wire.refused("prepare"); err != nil {
		return nil, err
	}
	stmt, err := c.mysqlConn.(driver.ConnPrepareContext).PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	return wireStmt{stmt.(mysqlStmt), c, query}, nil
}

// mysqlStmt is what database/sql uses of the driver's prepared statement.
type mysqlStmt interface {
	driver.Stmt
	driver.StmtQueryContext
	driver.StmtExecContext
	driver.NamedValueChecker
}

type wireStmt struct {
	mysqlStmt
	conn  *wireConn
	query string
}

func (s wireStmt) QueryContext(ctx context.Context, args []driver.NamedValue) (rows driver.Rows, err error) {
	if err := s.conn.wire.refused("execute"); err != nil {
		return nil, err
	}
	err = s.conn.wire.send(s.conn, statement{sql: s.query, args: args}, func() (int64, error) {
		rows, err = s.mysqlStmt.QueryContext(ctx, args)
		return 0, err
	})
	return rows, err
}

func (s wireStmt) ExecContext(ctx context.Context, args []driver.NamedValue) (result driver.Result, err error) {
	if err := s.conn.wire.refused("execute"); err != nil {
		return nil, err
	}
	err = s.conn.wire.send(s.conn, statement{sql: s.query, args: args}, func() (int64, error) {
		if result, err = s.mysqlStmt.ExecContext(ctx, args); err != nil {
			return 0, err
		}
		return result.RowsAffected()
	})
	return result, err
}

func (c *wireConn) BeginTx(ctx context.Context, o driver.TxOptions) (tx driver.Tx, err error) {
	err = c.wire.send(c, statement{sql: "BEGIN"}, func() (int64, error) {
		tx, err = c.mysqlConn.BeginTx(ctx, o)
		return 0, err
	})
	return wireTx{tx, c}, err
}

type wireTx struct {
	driver.Tx
	conn *wireConn
}

func (t wireTx) Commit() error {
	return t.conn.wire.send(t.conn, statement{sql: "COMMIT"}, func() (int64, error) { return 0, t.Tx.Commit() })
}

func (t wireTx) Rollback() error {
	return t.conn.wire.send(t.conn, statement{sql: "ROLLBACK"}, func() (int64, error) { return 0, t.Tx.Rollback() })
}
