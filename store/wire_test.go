package store_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"encoding/binary"
	"io"
	"net"
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

// errorProxy is a proxy in front of a database server that responds to some statements with errors.
type errorProxy struct {
	backend string
	mu      sync.Mutex
	errorOf func(statement string) *mysql.MySQLError // nil lets the statement pass
}

// newErrorProxy returns a proxy and the DSN of the database through it.
func newErrorProxy(t *testing.T, dsn string) (f *errorProxy, through string) {
	t.Helper()
	config, err := mysql.ParseDSN(dsn)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	f = &errorProxy{backend: config.Addr}
	config.Addr = l.Addr().String()
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			go f.serve(client)
		}
	}()
	return f, config.FormatDSN()
}

// set sets the errors; nil means none.
func (f *errorProxy) set(errorOf func(statement string) *mysql.MySQLError) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.errorOf = errorOf
}

// serve forwards packets. Commands have the sequence number 0, packets of the handshake another one.
func (f *errorProxy) serve(client net.Conn) {
	defer client.Close()
	server, err := net.Dial("tcp", f.backend)
	if err != nil {
		return
	}
	defer server.Close()
	go func() {
		io.Copy(client, server)
		client.Close()
	}()
	for {
		packet := make([]byte, 4)
		if _, err := io.ReadFull(client, packet); err != nil {
			return
		}
		body := make([]byte, binary.LittleEndian.Uint32([]byte{packet[0], packet[1], packet[2], 0}))
		if _, err := io.ReadFull(client, body); err != nil {
			return
		}
		to, packet := server, append(packet, body...)
		if injected := f.errorFor(packet[3], body); injected != nil {
			to, packet = client, errPacket(injected)
		}
		if _, err := to.Write(packet); err != nil {
			return
		}
	}
}

// errorFor returns the error for a command. A ping or an execution has no text.
func (f *errorProxy) errorFor(sequence byte, body []byte) *mysql.MySQLError {
	const query, ping, prepare, execute = 3, 14, 22, 23
	f.mu.Lock()
	defer f.mu.Unlock()
	if sequence != 0 || f.errorOf == nil {
		return nil
	}
	switch body[0] {
	case query, prepare:
		return f.errorOf(string(body[1:]))
	case ping, execute:
		return f.errorOf("")
	}
	return nil
}

func errPacket(e *mysql.MySQLError) []byte {
	body := append(binary.LittleEndian.AppendUint16([]byte{0xff}, e.Number), "#HY000"+e.Message...)
	header := binary.LittleEndian.AppendUint32(nil, uint32(len(body)))
	header[3] = 1 // the first response to a command
	return append(header, body...)
}
