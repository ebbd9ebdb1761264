package embedded

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	sqle "github.com/dolthub/go-mysql-server"
	"github.com/dolthub/go-mysql-server/memory"
	"github.com/dolthub/go-mysql-server/server"
	"github.com/dolthub/go-mysql-server/sql"
	"github.com/dolthub/go-mysql-server/sql/types"
	"github.com/dolthub/vitess/go/mysql"
	driver "github.com/go-sql-driver/mysql"
	"github.com/sirupsen/logrus"
)

// MySQLOptions configures StartMySQL. The zero value is usable.
type MySQLOptions struct {
	// Addr is the host:port to listen on. The host must be a loopback address, for the engine asks nobody for a
	// password. Port 0 takes a free one. Default "127.0.0.1:0".
	Addr string

	// Database is created, empty, at the start. Default "wxlogin".
	Database string

	// TransactionIdle is how long a client may keep a transaction open without sending anything, and how long it
	// may leave a result unread. After that its connection is closed and its transaction rolled back, because
	// everybody else is waiting for it. Default 5 seconds.
	TransactionIdle time.Duration
}

func (o *MySQLOptions) setDefaults() {
	if o.Addr == "" {
		o.Addr = "127.0.0.1:0"
	}
	if o.Database == "" {
		o.Database = "wxlogin"
	}
	if o.TransactionIdle <= 0 {
		o.TransactionIdle = 5 * time.Second
	}
}

// MySQL is a running embedded MySQL server. Its data lives in memory and ends with it.
type MySQL struct {
	database string
	listener *listener
	serializer     *serializer
	server   *server.Server
	engine   *sqle.Engine
	acceptDone chan struct{} // closed when the accept loop has ended
	close    func() error
}

// starting serialises the start of engines, which set up variables that all engines of a process share.
var startMu sync.Mutex

// StartMySQL starts a server and returns when it accepts connections. It fails when o.Addr is not a loopback
// address or cannot be listened on. The caller must Close it.
func StartMySQL(o MySQLOptions) (*MySQL, error) {
	o.setDefaults()
	startMu.Lock()
	defer startMu.Unlock()
	disableLogrus()
	registerLockWaitTimeout()

	l, err := listen(o.Addr)
	if err != nil {
		return nil, err
	}
	m := &MySQL{database: o.Database, listener: l, acceptDone: make(chan struct{})}
	if err := m.wire(o); err != nil {
		l.Close()
		return nil, fmt.Errorf("embedded: start MySQL: %w", err)
	}
	m.close = sync.OnceValue(m.shutdown)
	go func() {
		defer close(m.acceptDone)
		m.server.Listener.Accept()
	}()
	return m, nil
}

// build puts the engine together: storage, the gate in front of it, and the protocol in front of the gate.
func (m *MySQL) wire(o MySQLOptions) error {
	database := memory.NewDatabase(o.Database)
	database.EnablePrimaryKeyIndexes()
	provider := memory.NewDBProvider(database)
	provider.WithOption(memory.NativeIndexProvider(true))
	m.engine = sqle.NewDefault(provider)

	g := newSerializer(o.TransactionIdle, m.listener)
	m.serializer = g
	config := server.Config{Protocol: "tcp", Address: o.Addr, Listener: m.listener}
	wrap := func(h mysql.Handler) (mysql.Handler, error) {
		g.Handler = h
		return g, nil
	}
	sessions := g.captureSessions(memory.NewSessionBuilder(provider))
	s, err := server.NewServerWithHandler(config, m.engine, sql.NewContext, sessions, nil, wrap)
	m.server = s
	return err
}

// Addr returns the host:port the server listens on.
func (m *MySQL) Addr() string { return m.listener.Addr().String() }

// DSN returns the address in the form that github.com/go-sql-driver/mysql reads: user root, no password, the
// database of the options.
func (m *MySQL) DSN() string {
	c := driver.NewConfig()
	c.User, c.Net, c.Addr, c.DBName = "root", "tcp", m.Addr(), m.database
	return c.FormatDSN()
}

// Close stops listening, closes every connection (open transactions are rolled back), waits until their work has
// ended and frees the engine. Calling it again returns the first answer.
func (m *MySQL) Close() error { return m.close() }

func (m *MySQL) shutdown() error {
	close(m.serializer.closing) // before a transaction is rolled back and the gate is free for whoever waits
	err := m.server.Close()
	m.listener.closeConns()
	<-m.acceptDone
	m.listener.wait()
	if e := m.engine.Close(); !errors.Is(e, context.Canceled) { // that is how its background threads report their end
		err = errors.Join(err, e)
	}
	return err
}

// RequireLoopback refuses a host:port that other machines could reach.
func RequireLoopback(addr string) error {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Errorf("embedded: address %q: %w", addr, err)
	}
	ip := net.ParseIP(host)
	if host == "localhost" || ip != nil && ip.IsLoopback() {
		return nil
	}
	return fmt.Errorf("embedded: address %q is not a loopback address", addr)
}

// disableLogrus turns off the standard logger of logrus, which the engine writes to. Nothing else in this program
// uses logrus.
var disableLogrus = sync.OnceFunc(func() {
	logrus.SetOutput(io.Discard)
	logrus.SetLevel(logrus.PanicLevel)
})

const lockWaitTimeout = "innodb_lock_wait_timeout"

// registerLockWaitTimeout lets a session set how long it waits for locks, as in MySQL: the engine knows that variable as one of the
// whole server alone. It is of no effect, for nobody waits for a row: the gate lets in one transaction at a time.
var registerLockWaitTimeout = sync.OnceFunc(func() {
	sql.SystemVariables.AddSystemVariables([]sql.SystemVariable{&sql.MysqlSystemVariable{
		Name:    lockWaitTimeout,
		Scope:   sql.GetMysqlScope(sql.SystemVariableScope_Both),
		Dynamic: true,
		Type:    types.NewSystemIntType(lockWaitTimeout, 1, 1<<30, false), // of 1 to 1,073,741,824 seconds
		Default: int64(50),
	}})
})
