package embedded

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/dolthub/go-mysql-server/server"
	"github.com/dolthub/go-mysql-server/sql"
	"github.com/dolthub/vitess/go/mysql"
	"github.com/dolthub/vitess/go/sqltypes"
	querypb "github.com/dolthub/vitess/go/vt/proto/query"
)

// gate lets one client at a time into the engine: for one statement, or for one transaction.
//
// The engine's storage has no isolation. A transaction copies the tables that it touches into its session and its
// commit puts those copies in place of the tables, whatever others have committed since. With at most one
// transaction open at any time there are no others, and the copies are always the newest.
type serializer struct {
	mysql.Handler // the engine's; set before the first connection

	slot     chan struct{} // holds an element while somebody is inside; waiting senders are served in order
	closing     chan struct{} // closed when nobody may enter any more
	idleTimeout     time.Duration
	listener *listener
}

func newSerializer(idle time.Duration, l *listener) *serializer {
	return &serializer{slot: make(chan struct{}, 1), closing: make(chan struct{}), idleTimeout: idle, listener: l}
}

// visitor is what the gate knows of a connection. It belongs to the goroutine that runs the connection's commands.
type connState struct {
	conn    *mysql.Conn
	session sql.Session // nil until the first command that needs one
	holdsSlot  bool        // keeps the gate between its statements: a transaction is open
	idleTimer   *time.Timer // runs between the statements of a transaction
	running    atomic.Bool // a statement is under way, perhaps in the goroutine of a cursor
}

func stateOf(c *mysql.Conn) *connState { return c.ClientData.(*connState) }

// captureSessions lets the gate see the sessions that the engine makes.
func (g *serializer) captureSessions(build server.SessionBuilder) server.SessionBuilder {
	return func(ctx context.Context, c *mysql.Conn, addr string) (sql.Session, error) {
		session, err := build(ctx, c, addr)
		stateOf(c).session = session
		return session, err
	}
}

var (
	errClientGone = mysql.NewSQLError(mysql.ERQueryInterrupted, mysql.SSUnknownSQLState,
		"the client hung up while its statement waited")
	errShutdown = mysql.NewSQLError(mysql.ERServerShutdown, mysql.SSServerShutdown, "the server is being stopped")
	errIdleTransaction = mysql.NewSQLError(mysql.ERServerShutdown, mysql.SSServerShutdown,
		"the transaction was idle for too long and is rolled back")
	errOutOfSync = mysql.NewSQLError(mysql.CRCommandsOutOfSync, mysql.SSUnknownComError,
		"commands out of sync: an earlier statement has not been read to its end")
)

// pass runs do inside the gate. The context of do ends when the client hangs up.
func (g *serializer) run(ctx context.Context, c *mysql.Conn, do func(context.Context) error) error {
	v := stateOf(c)
	if !v.running.CompareAndSwap(false, true) {
		return errOutOfSync
	}
	defer v.running.Store(false)

	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if conn, ok := c.Conn.(*clientConn); ok {
		conn.watch(cancel)
		defer conn.stopWatch()
	}
	if err := g.acquire(ctx, v); err != nil {
		return err
	}
	defer g.releaseUnlessOpen(v)
	return do(ctx)
}

// enter waits until v is inside, or until its client has gone.
func (g *serializer) acquire(ctx context.Context, v *connState) error {
	if v.holdsSlot {
		if !v.idleTimer.Stop() {
			return errIdleTransaction // the connection is closed already; nothing may be committed on it any more
		}
		return nil
	}
	select {
	case g.slot <- struct{}{}:
	case <-g.closing:
		return errShutdown
	case <-ctx.Done():
		return errClientGone
	}
	select {
	case <-g.closing: // in the same moment as the turn
		<-g.slot
		return errShutdown
	default:
		v.holdsSlot = true
		return nil
	}
}

// leave opens the gate for the next one, unless the statement has left a transaction open.
func (g *serializer) releaseUnlessOpen(v *connState) {
	if finishStatement(v.session) {
		v.idleTimer = time.AfterFunc(g.idleTimeout, v.conn.Close)
		return
	}
	g.release(v)
}

func (g *serializer) release(v *connState) {
	v.holdsSlot = false
	<-g.slot
}

// abandon rolls back what v has open and lets the next one in.
func (g *serializer) abort(v *connState) {
	if !v.holdsSlot {
		return
	}
	v.idleTimer.Stop()
	rollback(v.session)
	g.release(v)
}

// spool closes the connection of a client that does not take its rows: it is inside while it reads.
func (g *serializer) withSendTimeout(c *mysql.Conn, send mysql.ResultSpoolFn) mysql.ResultSpoolFn {
	return func(result *sqltypes.Result, more bool) error {
		limit := time.AfterFunc(g.idleTimeout, c.Close)
		defer limit.Stop()
		return send(result, more)
	}
}

// NewConnection implements mysql.Handler.
func (g *serializer) NewConnection(c *mysql.Conn) {
	c.ClientData = &connState{conn: c}
	g.Handler.NewConnection(c)
}

// ConnectionClosed implements mysql.Handler: a transaction that is still open is rolled back.
func (g *serializer) ConnectionClosed(c *mysql.Conn) {
	defer g.listener.handlerDone(c.Conn)
	g.abort(stateOf(c))
	g.Handler.ConnectionClosed(c)
}

// ComResetConnection implements mysql.Handler: a transaction that is still open is rolled back.
func (g *serializer) ComResetConnection(c *mysql.Conn) error {
	g.abort(stateOf(c))
	return g.Handler.ComResetConnection(c)
}

// ComQuery implements mysql.Handler.
func (g *serializer) ComQuery(ctx context.Context, c *mysql.Conn, query string, send mysql.ResultSpoolFn) error {
	return g.run(ctx, c, func(ctx context.Context) error {
		return g.Handler.ComQuery(ctx, c, query, g.withSendTimeout(c, send))
	})
}

// ComMultiQuery implements mysql.Handler: it runs the first statement of a script and returns the others. After a
// statement that failed there are no others, as in MySQL; the engine would go on.
func (g *serializer) ComMultiQuery(ctx context.Context, c *mysql.Conn, script string, send mysql.ResultSpoolFn) (string, error) {
	options, err := g.ParserOptionsForConnection(c)
	if err != nil {
		return "", err
	}
	first, others := splitScript(ctx, script, options)
	spool := g.withSendTimeout(c, func(result *sqltypes.Result, _ bool) error { return send(result, others != "") })
	err = g.run(ctx, c, func(ctx context.Context) error {
		return g.Handler.ComQuery(ctx, c, first, spool)
	})
	if err != nil {
		return "", err
	}
	return others, nil
}

// ComPrepare implements mysql.Handler.
func (g *serializer) ComPrepare(ctx context.Context, c *mysql.Conn, query string, prepare *mysql.PrepareData) ([]*querypb.Field, error) {
	var fields []*querypb.Field
	err := g.run(ctx, c, func(ctx context.Context) (err error) {
		fields, err = g.Handler.ComPrepare(ctx, c, query, prepare)
		return err
	})
	return fields, err
}

// ComStmtExecute implements mysql.Handler.
func (g *serializer) ComStmtExecute(ctx context.Context, c *mysql.Conn, prepare *mysql.PrepareData, send func(*sqltypes.Result) error) error {
	spool := g.withSendTimeout(c, func(result *sqltypes.Result, _ bool) error { return send(result) })
	return g.run(ctx, c, func(ctx context.Context) error {
		return g.Handler.ComStmtExecute(ctx, c, prepare, func(result *sqltypes.Result) error {
			return spool(result, false)
		})
	})
}
