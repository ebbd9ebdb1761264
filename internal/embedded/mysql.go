package embedded

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	sqle "github.com/dolthub/go-mysql-server"
	"github.com/dolthub/go-mysql-server/memory"
	"github.com/dolthub/go-mysql-server/server"
	"github.com/dolthub/go-mysql-server/sql"
	"github.com/dolthub/go-mysql-server/sql/types"
	"github.com/dolthub/vitess/go/mysql"
	"github.com/dolthub/vitess/go/vt/sqlparser"
	driver "github.com/go-sql-driver/mysql"
	"github.com/sirupsen/logrus"
)

// MySQLOptions configures StartMySQL. The zero value is usable.
type MySQLOptions struct {
	// Addr is the host:port to listen on. The host must be a loopback address, because the engine does not ask for
	// a password. Port 0 takes a free one. Default "127.0.0.1:0".
	Addr string

	// Database is the name of the database to create, empty. Default "wxlogin".
	Database string

	// TransactionIdle is how long a client may keep a transaction open without sending anything, and how long it
	// may leave a result unread. After that its connection is closed and its transaction rolled back, because all
	// other clients are waiting for it. Default 5 seconds.
	TransactionIdle time.Duration
}

// MySQL is a running embedded MySQL server. Its data lives in memory and is gone when it is closed.
type MySQL struct {
	database   string
	listener   *listener
	serializer *serializer
	server     *server.Server
	engine     *sqle.Engine
	accepting  sync.WaitGroup // the accept loop
	close      func() error
}

// startMu serializes the start of engines: they register variables that all engines of a process share.
var startMu sync.Mutex

// StartMySQL starts a server and returns when it accepts connections. It fails if o.Addr is not a loopback address or
// cannot be listened on. The caller must Close it.
func StartMySQL(o MySQLOptions) (*MySQL, error) {
	o.Addr, o.Database = cmp.Or(o.Addr, anyPort), cmp.Or(o.Database, "wxlogin")
	o.TransactionIdle = cmp.Or(o.TransactionIdle, 5*time.Second)
	startMu.Lock()
	defer startMu.Unlock()
	disableLogrus()
	registerLockWaitTimeout()

	l, err := listen(o.Addr)
	if err != nil {
		return nil, err
	}
	m := &MySQL{database: o.Database, listener: l}
	if err := m.wire(o); err != nil {
		l.Close()
		return nil, fmt.Errorf("embedded: start MySQL: %w", err)
	}
	m.close = sync.OnceValue(m.shutdown)
	m.accepting.Go(m.server.Listener.Accept)
	return m, nil
}

// wire connects the engine, the serializer in front of it, and the protocol in front of the serializer.
func (m *MySQL) wire(o MySQLOptions) error {
	database := memory.NewDatabase(o.Database)
	database.EnablePrimaryKeyIndexes()
	provider := memory.NewDBProvider(database)
	provider.WithOption(memory.NativeIndexProvider(true))
	m.engine = sqle.NewDefault(provider)

	m.serializer = newSerializer(o.TransactionIdle, m.listener)
	config := server.Config{Protocol: "tcp", Address: o.Addr, Listener: m.listener}
	wrap := func(h mysql.Handler) (mysql.Handler, error) {
		m.serializer.Handler = h
		return m.serializer, nil
	}
	sessions := m.serializer.captureSessions(memory.NewSessionBuilder(provider))
	s, err := server.NewServerWithHandler(config, m.engine, sql.NewContext, sessions, nil, wrap)
	m.server = s
	return err
}

// Addr returns the host:port the server listens on.
func (m *MySQL) Addr() string { return m.listener.Addr().String() }

// DSN returns the address in the form that github.com/go-sql-driver/mysql reads: user root, no password, and
// MySQLOptions.Database.
func (m *MySQL) DSN() string {
	c := driver.NewConfig()
	c.User, c.Net, c.Addr, c.DBName = "root", "tcp", m.Addr(), m.database
	return c.FormatDSN()
}

// Close stops listening, closes all connections (open transactions are rolled back), waits for their handlers to end
// and frees the engine. Later calls return the first result.
func (m *MySQL) Close() error { return m.close() }

func (m *MySQL) shutdown() error {
	close(m.serializer.closing) // first: a rollback frees the slot, and waiting statements must not run
	err := m.server.Close()
	m.listener.closeConns()
	m.accepting.Wait()
	m.listener.handlers.Wait()
	if e := m.engine.Close(); !errors.Is(e, context.Canceled) { // its background threads end with this error
		err = errors.Join(err, e)
	}
	return err
}

// disableLogrus turns off the standard logger of logrus, which the engine writes to. The rest of the program does not
// use logrus.
var disableLogrus = sync.OnceFunc(func() {
	logrus.SetOutput(io.Discard)
	logrus.SetLevel(logrus.PanicLevel)
})

const lockWaitTimeout = "innodb_lock_wait_timeout"

// registerLockWaitTimeout makes innodb_lock_wait_timeout a session variable, as in MySQL: the engine knows it as a
// global variable only. It has no effect, because the serializer admits one transaction at a time.
var registerLockWaitTimeout = sync.OnceFunc(func() {
	sql.SystemVariables.AddSystemVariables([]sql.SystemVariable{&sql.MysqlSystemVariable{
		Name:    lockWaitTimeout,
		Scope:   sql.GetMysqlScope(sql.SystemVariableScope_Both),
		Dynamic: true,
		Type:    types.NewSystemIntType(lockWaitTimeout, 1, 1<<30, false), // 1 to 1,073,741,824 seconds
		Default: int64(50),
	}})
})

// splitScript splits off the first statement of a script. rest is empty if only blanks and comments follow. If the
// script cannot be parsed, all of it is returned as the first statement, so that the engine reports the error.
//
// The engine can split scripts too, but it fails at a CREATE VIEW that is not the last statement, and takes a comment
// at the end of a script for another statement.
func splitScript(ctx context.Context, script string, options sqlparser.ParserOptions) (first, rest string) {
	_, end, err := sqlparser.ParseOneWithOptions(ctx, script, options)
	if err != nil || end <= 0 || end >= len(script) {
		return script, ""
	}
	first, rest = script[:end], script[end:]
	for { // skip empty statements and comments
		_, end, err := sqlparser.ParseOneWithOptions(ctx, rest, options)
		if !errors.Is(err, sqlparser.ErrEmpty) {
			return first, rest
		}
		if end <= 0 || end >= len(rest) {
			return first, ""
		}
		rest = rest[end:]
	}
}
