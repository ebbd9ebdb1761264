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
type gate struct {
	mysql.Handler // the engine's; set before the first connection

	turn     chan struct{} // holds an element while somebody is inside; waiting senders are served in order
	shut     chan struct{} // closed when nobody may enter any more
	idle     time.Duration
	listener *listener
}

func newGate(idle time.Duration, l *listener) *gate {
	return &gate{turn: make(chan struct{}, 1), shut: make(chan struct{}), idle: idle, listener: l}
}

// visitor is what the gate knows of a connection. It belongs to the goroutine that runs the connection's commands.
type visitor struct {
	conn    *mysql.Conn
	session sql.Session // nil until the first command that needs one
	inside  bool        // keeps the gate between its statements: a transaction is open
	limit   *time.Timer // runs between the statements of a transaction
	busy    atomic.Bool // a statement is under way, perhaps in the goroutine of a cursor
}

func visitorOf(c *mysql.Conn) *visitor { return c.ClientData.(*visitor) }

// rememberSessions lets the gate see the sessions that the engine makes.
func (g *gate) rememberSessions(build server.SessionBuilder) server.SessionBuilder {
	return func(ctx context.Context, c *mysql.Conn, addr string) (sql.Session, error) {
		session, err := build(ctx, c, addr)
		visitorOf(c).session = session
		return session, err
	}
}

var (
	errGone = mysql.NewSQLError(mysql.ERQueryInterrupted, mysql.SSUnknownSQLState,
		"the client hung up while its statement waited")
	errShut = mysql.NewSQLError(mysql.ERServerShutdown, mysql.SSServerShutdown, "the server is being stopped")
	errIdle = mysql.NewSQLError(mysql.ERServerShutdown, mysql.SSServerShutdown,
		"the transaction was idle for too long and is rolled back")
	errBusy = mysql.NewSQLError(mysql.CRCommandsOutOfSync, mysql.SSUnknownComError,
		"commands out of sync: an earlier statement has not been read to its end")
)

// pass runs do inside the gate. The context of do ends when the client hangs up.
func (g *gate) pass(ctx context.Context, c *mysql.Conn, do func(context.Context) error) error {
	v := visitorOf(c)
	if !v.busy.CompareAndSwap(false, true) {
		return errBusy
	}
	defer v.busy.Store(false)

	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if conn, ok := c.Conn.(*clientConn); ok {
		conn.watchFor(cancel)
		defer conn.unwatch()
	}
	if err := g.enter(ctx, v); err != nil {
		return err
	}
	defer g.leave(v)
	return do(ctx)
}

// enter waits until v is inside, or until its client has gone.
func (g *gate) enter(ctx context.Context, v *visitor) error {
	if v.inside {
		if !v.limit.Stop() {
			return errIdle // the connection is closed already; nothing may be committed on it any more
		}
		return nil
	}
	select {
	case g.turn <- struct{}{}:
	case <-g.shut:
		return errShut
	case <-ctx.Done():
		return errGone
	}
	select {
	case <-g.shut: // in the same moment as the turn
		<-g.turn
		return errShut
	default:
		v.inside = true
		return nil
	}
}

// leave opens the gate for the next one, unless the statement has left a transaction open.
func (g *gate) leave(v *visitor) {
	if settle(v.session) {
		v.limit = time.AfterFunc(g.idle, v.conn.Close)
		return
	}
	g.release(v)
}

func (g *gate) release(v *visitor) {
	v.inside = false
	<-g.turn
}

// abandon rolls back what v has open and lets the next one in.
func (g *gate) abandon(v *visitor) {
	if !v.inside {
		return
	}
	v.limit.Stop()
	rollBack(v.session)
	g.release(v)
}

// spool closes the connection of a client that does not take its rows: it is inside while it reads.
func (g *gate) spool(c *mysql.Conn, send mysql.ResultSpoolFn) mysql.ResultSpoolFn {
	return func(result *sqltypes.Result, more bool) error {
		limit := time.AfterFunc(g.idle, c.Close)
		defer limit.Stop()
		return send(result, more)
	}
}

// NewConnection implements mysql.Handler.
func (g *gate) NewConnection(c *mysql.Conn) {
	c.ClientData = &visitor{conn: c}
	g.Handler.NewConnection(c)
}

// ConnectionClosed implements mysql.Handler: a transaction that is still open is rolled back.
func (g *gate) ConnectionClosed(c *mysql.Conn) {
	defer g.listener.forget(c.Conn)
	g.abandon(visitorOf(c))
	g.Handler.ConnectionClosed(c)
}

// ComResetConnection implements mysql.Handler: a transaction that is still open is rolled back.
func (g *gate) ComResetConnection(c *mysql.Conn) error {
	g.abandon(visitorOf(c))
	return g.Handler.ComResetConnection(c)
}

// ComQuery implements mysql.Handler.
func (g *gate) ComQuery(ctx context.Context, c *mysql.Conn, query string, send mysql.ResultSpoolFn) error {
	return g.pass(ctx, c, func(ctx context.Context) error {
		return g.Handler.ComQuery(ctx, c, query, g.spool(c, send))
	})
}

// ComMultiQuery implements mysql.Handler: it runs the first statement of a script and returns the others. After a
// statement that failed there are no others, as in MySQL; the engine would go on.
func (g *gate) ComMultiQuery(ctx context.Context, c *mysql.Conn, script string, send mysql.ResultSpoolFn) (string, error) {
	options, err := g.ParserOptionsForConnection(c)
	if err != nil {
		return "", err
	}
	first, others := splitScript(ctx, script, options)
	spool := g.spool(c, func(result *sqltypes.Result, _ bool) error { return send(result, others != "") })
	err = g.pass(ctx, c, func(ctx context.Context) error {
		return g.Handler.ComQuery(ctx, c, first, spool)
	})
	if err != nil {
		return "", err
	}
	return others, nil
}

// ComPrepare implements mysql.Handler.
func (g *gate) ComPrepare(ctx context.Context, c *mysql.Conn, query string, prepare *mysql.PrepareData) ([]*querypb.Field, error) {
	var fields []*querypb.Field
	err := g.pass(ctx, c, func(ctx context.Context) (err error) {
		fields, err = g.Handler.ComPrepare(ctx, c, query, prepare)
		return err
	})
	return fields, err
}

// ComStmtExecute implements mysql.Handler.
func (g *gate) ComStmtExecute(ctx context.Context, c *mysql.Conn, prepare *mysql.PrepareData, send func(*sqltypes.Result) error) error {
	spool := g.spool(c, func(result *sqltypes.Result, _ bool) error { return send(result) })
	return g.pass(ctx, c, func(ctx context.Context) error {
		return g.Handler.ComStmtExecute(ctx, c, prepare, func(result *sqltypes.Result) error {
			return spool(result, false)
		})
	})
}
