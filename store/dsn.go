package store

import (
	"context"
	"crypto/tls"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"
	"gorm.io/gorm/logger"
)

// Time-outs for a DSN that sets none. Statements of this package take milliseconds; the read time-out is there for a
// server that died without closing its connections.
const (
	dialTimeout  = 3 * time.Second
	readTimeout  = 10 * time.Second
	writeTimeout = 10 * time.Second
)

var (
	errDSN         = errors.New("store: malformed DSN: want user:password@tcp(host:port)/database?param=value")
	errDSNDatabase = errors.New("store: the DSN names no database: want user:password@tcp(host:port)/database")

	errDSNTLS       = errors.New("store: the parameter tls of the DSN must be true, skip-verify, preferred or false")
	errDSNUnchecked = errors.New("store: a CA or a client certificate is given: the DSN must have tls=true, or neither tls nor " +
		"allowFallbackToPlaintext; otherwise the server would not be verified")
	errDSNSocket = errors.New("store: a CA or a client certificate is given, and the DSN leads to a unix socket, which has no TLS: " +
		"want tcp(host:port)")
)

// CheckDSN reports what is wrong with a DSN's form, without connecting. ownTLS says that Options.TLS is to be set with it. Its errors
// never hold a part of the DSN.
func CheckDSN(dsn string, ownTLS bool) error {
	c, err := parseDSN(dsn, slog.New(slog.DiscardHandler))
	if err == nil && ownTLS {
		err = setTLS(c, &tls.Config{})
	}
	return err
}

// parseDSN reads a DSN and sets what the statements of this package rely on. The driver's errors quote the DSN, which
// holds the password: they are replaced.
func parseDSN(dsn string, log *slog.Logger) (*mysql.Config, error) {
	c, err := mysql.ParseDSN(dsn)
	if err != nil {
		if strings.HasPrefix(err.Error(), "invalid value / unknown config name") { // of the parameter tls
			return nil, errDSNTLS
		}
		return nil, errDSN
	}
	if c.DBName == "" {
		return nil, errDSNDatabase
	}

	c.ParseTime = true
	c.Loc = time.UTC
	setParams(c)

	// Interpolated statements take one round trip on any connection. Prepared ones take two the first time on each
	// connection, and memory on the server; from then on the server, which has parsed them already, reads a user in two
	// thirds of the CPU. So what every visit sends is prepared (see hot), and all that runs rarely is interpolated;
	// and so is what cannot be prepared (see prepared).
	c.InterpolateParams = true
	c.MultiStatements = false
	// After a failover the old primary may answer, read-only: such a connection is dropped and made anew.
	c.RejectReadOnly = true

	c.Timeout = orDefault(c.Timeout, dialTimeout)
	c.ReadTimeout = orDefault(c.ReadTimeout, readTimeout)
	c.WriteTimeout = orDefault(c.WriteTimeout, writeTimeout)
	c.Logger = driverLog{log}
	return c, nil
}

// setTLS makes own the TLS of a DSN; nil leaves what the DSN says. The driver adds the DSN's host as the server name.
func setTLS(c *mysql.Config, own *tls.Config) error {
	switch {
	case own == nil:
		return nil
	case c.Net == "unix":
		return errDSNSocket
	case c.TLSConfig != "" && c.TLSConfig != "true", c.AllowFallbackToPlaintext:
		return errDSNUnchecked
	}
	c.TLS = own.Clone()
	return nil
}

func orDefault(d, otherwise time.Duration) time.Duration {
	if d > 0 {
		return d
	}
	return otherwise
}

// driverLog takes the driver's remarks about broken connections. The same faults come back as errors, so they are
// worth no more than the debug level.
type driverLog struct{ log *slog.Logger }

// Print implements mysql.Logger.
func (l driverLog) Print(v ...any) {
	l.log.Debug("store: mysql driver", "message", fmt.Sprint(v...))
}

// settings are the system variables that every connection sets, so that the statements mean the same and are committed whatever
// the server has as its global settings. MySQL, MariaDB, TiDB, Vitess and the embedded engine know all of them, and ProxySQL
// tracks them. The isolation level stays as the server has it.
var settings = map[string]string{
	"time_zone": "'+00:00'",

	// If it were off, a single statement would be answered and never committed.
	"autocommit": "1",

	// No ANSI, NO_BACKSLASH_ESCAPES or MariaDB's ORACLE, which read statements in another way, and no value is cut to fit.
	"sql_mode": "'STRICT_TRANS_TABLES,NO_ENGINE_SUBSTITUTION'",

	"sql_safe_updates": "0", // if on, it refuses an UPDATE without a key in its condition
	"sql_auto_is_null": "0", // if on, `id IS NULL` finds the row that was inserted last
	"unique_checks":    "1", // if off, InnoDB may store a unionid twice
}

// lockWait is innodb_lock_wait_timeout in seconds if the DSN has none; 1 is the minimum, and the server's default is 50. The
// caller's deadline has passed by then. The statement must not go on waiting: it may have locked other rows already.
const lockWait = "1"

// setParams makes settings and lockWait parameters of a connection, which the driver sends in one SET.
func setParams(c *mysql.Config) {
	if c.Params == nil {
		c.Params = map[string]string{}
	}
	maps.DeleteFunc(c.Params, func(name, _ string) bool {
		variable := name[strings.LastIndexAny(name, "@. ")+1:] // the DSN may say @@session.sql_mode
		return settings[strings.ToLower(variable)] != ""
	})
	maps.Copy(c.Params, settings)
	if c.Params["innodb_lock_wait_timeout"] == "" {
		c.Params["innodb_lock_wait_timeout"] = lockWait
	}
}

// connector makes connections; its errors are connectErrors.
type connector struct {
	driver.Connector
	set string // what a new connection sets, by name
}

func newConnector(c *mysql.Config) (driver.Connector, error) {
	inner, err := mysql.NewConnector(c)
	if err != nil {
		return nil, errDSN // the driver's own text may quote the DSN
	}
	return connector{inner, "SET NAMES, " + strings.Join(slices.Sorted(maps.Keys(c.Params)), ", ")}, nil
}

// Connect implements driver.Connector.
func (c connector) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := c.Connector.Connect(ctx)
	if isOf(err, badSetting) {
		err = ofStatement(c.set, err)
	}
	if err != nil {
		return nil, connectError{err}
	}
	if err := noChain(ctx, conn); err != nil {
		conn.Close()
		return nil, connectError{err}
	}
	return conn, nil
}

// noChain sets completion_type if the server has another one than NO_CHAIN: with CHAIN, each COMMIT begins a transaction that
// takes up the statements after it and is never committed; with RELEASE, it closes the connection.
//
// It is not one of settings because ProxySQL does not track it: a SET of it ties the connection to one hostgroup. SHOW goes to the
// primary there, and leaves multiplexing on, which a SELECT of @@completion_type does not.
func noChain(ctx context.Context, conn driver.Conn) error {
	value, err := completionType(ctx, conn.(driver.QueryerContext))
	if err != nil || value == "" || value == "NO_CHAIN" {
		return err
	}
	_, err = conn.(driver.ExecerContext).ExecContext(ctx, "SET completion_type = 'NO_CHAIN'", nil)
	return err
}

// completionType returns "" if the server has no such variable.
func completionType(ctx context.Context, conn driver.QueryerContext) (string, error) {
	rows, err := conn.QueryContext(ctx, "SHOW VARIABLES LIKE 'completion_type'", nil)
	if err != nil {
		return "", err
	}
	defer rows.Close()
	row := make([]driver.Value, 2)
	switch err := rows.Next(row); err {
	case nil:
		return fmt.Sprintf("%s", row[1]), nil
	case io.EOF:
		return "", nil
	default:
		return "", err
	}
}

const slowStatement = 200 * time.Millisecond

// statementLog tells slog of slow statements, with placeholders where the values were. Errors are not logged here:
// they are returned, and logged once by whoever handles them.
type statementLog struct {
	log  *slog.Logger
	slow time.Duration // from which duration on
}

var (
	_ logger.Interface = statementLog{}
	_ paramsFilter     = statementLog{}
)

type paramsFilter interface {
	ParamsFilter(ctx context.Context, sql string, params ...any) (string, []any)
}

// LogMode implements logger.Interface; slog's own level decides.
func (l statementLog) LogMode(logger.LogLevel) logger.Interface { return l }

// Info implements logger.Interface; GORM's remarks are dropped, they may hold values.
func (l statementLog) Info(context.Context, string, ...any) {}

// Warn implements logger.Interface; see Info.
func (l statementLog) Warn(context.Context, string, ...any) {}

// Error implements logger.Interface; see Info.
func (l statementLog) Error(context.Context, string, ...any) {}

// Trace implements logger.Interface.
func (l statementLog) Trace(ctx context.Context, begin time.Time, statement func() (string, int64), _ error) {
	if time.Since(begin) < l.slow {
		return // the text is not even made
	}
	text, _ := statement()
	l.sent(ctx, begin, text)
}

// sent tells of a statement where it was slow.
func (l statementLog) sent(ctx context.Context, begin time.Time, text string) {
	if took := time.Since(begin); took >= l.slow {
		l.log.WarnContext(ctx, "store: slow statement", "sql", text, "duration", took)
	}
}

// ParamsFilter keeps GORM from writing the values into the statement that Trace gets.
func (l statementLog) ParamsFilter(_ context.Context, sql string, _ ...any) (string, []any) {
	return sql, nil
}
