package embedded

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/dolthub/go-mysql-server/server"
	"github.com/dolthub/go-mysql-server/sql"
	"github.com/dolthub/go-mysql-server/sql/plan"
	"github.com/dolthub/vitess/go/mysql"
	"github.com/dolthub/vitess/go/sqltypes"
	querypb "github.com/dolthub/vitess/go/vt/proto/query"
)

// serializer is a mysql.Handler that admits one client at a time to the engine: for one statement, or for one
// transaction.
//
// The engine's storage has no isolation. A transaction copies the tables that it touches into its session, and its
// commit replaces the tables by those copies, even if another transaction has committed since. With at most one open
// transaction there is no other, and the copies are always current.
type serializer struct {
	mysql.Handler // the engine's; set before the first connection

	slot        chan struct{} // a semaphore of one; blocked senders are served in order
	closing     chan struct{} // closed at shutdown: no more statements are admitted
	idleTimeout time.Duration
	listener    *listener
}

func newSerializer(idle time.Duration, l *listener) *serializer {
	return &serializer{slot: make(chan struct{}, 1), closing: make(chan struct{}), idleTimeout: idle, listener: l}
}

// connState is the serializer's state of a connection. It is used only by the goroutine that runs the connection's
// commands, except for running.
type connState struct {
	conn      *mysql.Conn
	session   sql.Session // nil until the first command that needs one
	holdsSlot bool        // between statements too: a transaction is open
	idleTimer *time.Timer // set between the statements of a transaction
	running   atomic.Bool // a statement is in flight, perhaps in the goroutine of a cursor
}

func stateOf(c *mysql.Conn) *connState { return c.ClientData.(*connState) }

// captureSessions wraps build so that the serializer sees each connection's session.
func (s *serializer) captureSessions(build server.SessionBuilder) server.SessionBuilder {
	return func(ctx context.Context, c *mysql.Conn, addr string) (sql.Session, error) {
		session, err := build(ctx, c, addr)
		stateOf(c).session = session
		return session, err
	}
}

var (
	errClientGone = mysql.NewSQLError(mysql.ERQueryInterrupted, mysql.SSUnknownSQLState,
		"the client hung up while its statement was waiting")
	errShutdown        = mysql.NewSQLError(mysql.ERServerShutdown, mysql.SSServerShutdown, "the server is shutting down")
	errIdleTransaction = mysql.NewSQLError(mysql.ERServerShutdown, mysql.SSServerShutdown,
		"the transaction was idle for too long and was rolled back")
	errOutOfSync = mysql.NewSQLError(mysql.CRCommandsOutOfSync, mysql.SSUnknownComError,
		"commands out of sync: the result of an earlier statement has not been read completely")
)

// run waits for the slot and calls do. The context of do is cancelled if the client hangs up.
func (s *serializer) run(ctx context.Context, c *mysql.Conn, do func(context.Context) error) error {
	state := stateOf(c)
	if !state.running.CompareAndSwap(false, true) {
		return errOutOfSync
	}
	defer state.running.Store(false)

	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if conn, ok := c.Conn.(*clientConn); ok {
		conn.watch(cancel)
		defer conn.stopWatch()
	}
	if err := s.acquire(ctx, state); err != nil {
		return err
	}
	defer s.releaseUnlessOpen(state)
	return do(ctx)
}

// acquire waits for the slot, unless the connection holds it already. It fails if the server shuts down or ctx ends.
func (s *serializer) acquire(ctx context.Context, state *connState) error {
	if state.holdsSlot {
		if !state.idleTimer.Stop() {
			return errIdleTransaction // the connection is being closed; nothing may be committed on it any more
		}
		return nil
	}
	select {
	case s.slot <- struct{}{}:
	case <-s.closing:
		return errShutdown
	case <-ctx.Done():
		return errClientGone
	}
	select {
	case <-s.closing: // select chose at random between the slot and the shutdown
		<-s.slot
		return errShutdown
	default:
		state.holdsSlot = true
		return nil
	}
}

// releaseUnlessOpen releases the slot, unless the statement has left a transaction open.
func (s *serializer) releaseUnlessOpen(state *connState) {
	if finishStatement(state.session) {
		state.idleTimer = time.AfterFunc(s.idleTimeout, state.conn.Close)
		return
	}
	s.release(state)
}

func (s *serializer) release(state *connState) {
	state.holdsSlot = false
	<-s.slot
}

// abort rolls back the connection's open transaction, if any, and releases the slot.
func (s *serializer) abort(state *connState) {
	if !state.holdsSlot {
		return
	}
	state.idleTimer.Stop()
	rollback(state.session)
	s.release(state)
}

// withSendTimeout wraps send so that the connection is closed if the client does not read its rows in time: it holds
// the slot while it reads.
func (s *serializer) withSendTimeout(c *mysql.Conn, send mysql.ResultSpoolFn) mysql.ResultSpoolFn {
	return func(result *sqltypes.Result, more bool) error {
		limit := time.AfterFunc(s.idleTimeout, c.Close)
		defer limit.Stop()
		return send(result, more)
	}
}

// NewConnection implements mysql.Handler.
func (s *serializer) NewConnection(c *mysql.Conn) {
	c.ClientData = &connState{conn: c}
	s.Handler.NewConnection(c)
}

// ConnectionClosed implements mysql.Handler. It rolls back an open transaction.
func (s *serializer) ConnectionClosed(c *mysql.Conn) {
	defer s.listener.handlerDone(c.Conn)
	s.abort(stateOf(c))
	s.Handler.ConnectionClosed(c)
}

// ComResetConnection implements mysql.Handler. It rolls back an open transaction.
func (s *serializer) ComResetConnection(c *mysql.Conn) error {
	s.abort(stateOf(c))
	return s.Handler.ComResetConnection(c)
}

// ComQuery implements mysql.Handler.
func (s *serializer) ComQuery(ctx context.Context, c *mysql.Conn, query string, send mysql.ResultSpoolFn) error {
	return s.run(ctx, c, func(ctx context.Context) error {
		return s.Handler.ComQuery(ctx, c, query, s.withSendTimeout(c, send))
	})
}

// ComMultiQuery implements mysql.Handler. It runs the first statement of a script and returns the rest. If the
// statement fails there is no rest, as in MySQL; the engine would go on.
func (s *serializer) ComMultiQuery(ctx context.Context, c *mysql.Conn, script string, send mysql.ResultSpoolFn) (string, error) {
	options, err := s.ParserOptionsForConnection(c)
	if err != nil {
		return "", err
	}
	first, rest := splitScript(ctx, script, options)
	spool := s.withSendTimeout(c, func(result *sqltypes.Result, _ bool) error { return send(result, rest != "") })
	err = s.run(ctx, c, func(ctx context.Context) error {
		return s.Handler.ComQuery(ctx, c, first, spool)
	})
	if err != nil {
		return "", err
	}
	return rest, nil
}

// ComPrepare implements mysql.Handler.
func (s *serializer) ComPrepare(ctx context.Context, c *mysql.Conn, query string, prepare *mysql.PrepareData) ([]*querypb.Field, error) {
	var fields []*querypb.Field
	err := s.run(ctx, c, func(ctx context.Context) (err error) {
		fields, err = s.Handler.ComPrepare(ctx, c, query, prepare)
		return err
	})
	return fields, err
}

// ComStmtExecute implements mysql.Handler.
func (s *serializer) ComStmtExecute(ctx context.Context, c *mysql.Conn, prepare *mysql.PrepareData, send func(*sqltypes.Result) error) error {
	spool := s.withSendTimeout(c, func(result *sqltypes.Result, _ bool) error { return send(result) })
	return s.run(ctx, c, func(ctx context.Context) error {
		return s.Handler.ComStmtExecute(ctx, c, prepare, func(result *sqltypes.Result) error {
			return spool(result, false)
		})
	})
}

// finishStatement cleans up a session after a statement and reports whether a transaction is still open.
//
// The engine leaves two things behind that MySQL does not. If a statement fails outside a transaction, its implicit
// transaction stays open, with copies of the tables that the session's next statement would read, and commit, although
// they are outdated by then. And if a statement inside BEGIN commits implicitly (CREATE TABLE), autocommit stays off.
func finishStatement(session sql.Session) bool {
	if session == nil {
		return false
	}
	explicit := session.GetIgnoreAutoCommit()
	if session.GetTransaction() == nil {
		session.SetIgnoreAutoCommit(false)
	} else if on, err := plan.IsSessionAutocommit(sessionContext(session)); !explicit && (on || err != nil) {
		rollback(session)
	}
	return session.GetTransaction() != nil
}

// rollback drops the changes of the session's transaction: they exist only in the session's copies of the tables.
func rollback(session sql.Session) {
	if session == nil {
		return
	}
	if s, ok := session.(sql.TransactionSession); ok {
		// The in-memory session does nothing here that could fail.
		_ = s.Rollback(sessionContext(session), session.GetTransaction())
	}
	session.SetIgnoreAutoCommit(false)
	session.SetTransaction(nil)
}

func sessionContext(session sql.Session) *sql.Context {
	return sql.NewContext(context.Background(), sql.WithSession(session))
}
