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
	"gorm.io/gorm"
	"gorm.io/gorm/logger"
)

// Time-outs for a DSN that sets none. Statements of this package take milliseconds. The read time-out is for a server
// that died without closing its connections.
const (
	dialTimeout  = 3 * time.Second
	readTimeout  = 10 * time.Second
	writeTimeout = 10 * time.Second
)

var (
	errDSN         = errors.New("store: malformed DSN: want user:password@tcp(host:port)/database?param=value")
	errDSNDatabase = errors.New("store: the DSN names no database: want user:password@tcp(host:port)/database")

	errDSNTLS       = errors.New("store: the parameter tls of the DSN must be true, skip-verify, preferred or false")
	errDSNUnchecked = errors.New("store: a CA or a client certificate requires tls=true in the DSN, or neither tls nor " +
		"allowFallbackToPlaintext; otherwise the server would not be verified")
	errDSNSocket = errors.New("store: a CA or a client certificate requires tcp(host:port) in the DSN: " +
		"a unix socket has no TLS")
)

// CheckDSN checks the form of a DSN, without connecting. ownTLS says that Options.TLS will be set. Errors never contain
// a part of the DSN.
func CheckDSN(dsn string, ownTLS bool) error {
	c, err := parseDSN(dsn, slog.New(slog.DiscardHandler))
	if err == nil && ownTLS {
		err = setTLS(c, &tls.Config{})
	}
	return err
}

// parseDSN parses a DSN and sets what this package relies on. It replaces the driver's errors, because they quote the
// DSN with its password.
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

	// An interpolated statement takes one round trip on any connection. A prepared one takes two when it is first used
	// on a connection, and memory on the server, but then the server needs only two thirds of the CPU to read a user.
	// So the hot statements are prepared (see stmtCache), and all others are interpolated.
	c.InterpolateParams = true
	c.MultiStatements = false
	// After a failover the old primary may respond, read-only: then the driver drops the connection.
	c.RejectReadOnly = true

	c.Timeout = orDefault(c.Timeout, dialTimeout)
	c.ReadTimeout = orDefault(c.ReadTimeout, readTimeout)
	c.WriteTimeout = orDefault(c.WriteTimeout, writeTimeout)
	c.Logger = driverLog{log}
	return c, nil
}

// setTLS makes own the TLS configuration; nil leaves that of the DSN. The driver adds the DSN's host as the server
// name.
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

// settings are the system variables that every connection sets, so that statements mean the same and are committed
// whatever the server's global settings are. MySQL, MariaDB, TiDB, Vitess and the embedded engine have all of them, and
// ProxySQL tracks them. The isolation level is the server's.
var settings = map[string]string{
	"time_zone": "'+00:00'",

	// If it were off, a single statement would succeed and never be committed.
	"autocommit": "1",

	// No ANSI, NO_BACKSLASH_ESCAPES or MariaDB's ORACLE, which parse statements differently; no truncation of values.
	"sql_mode": "'STRICT_TRANS_TABLES,NO_ENGINE_SUBSTITUTION'",

	"sql_safe_updates": "0", // if on, it refuses an UPDATE without a key in its condition
	"sql_auto_is_null": "0", // if on, `id IS NULL` finds the row that was inserted last
	"unique_checks":    "1", // if off, InnoDB may store a unionid twice
}

// lockWait is innodb_lock_wait_timeout in seconds if the DSN has none; 1 is the minimum, and the server's default is
// 50. The caller's deadline has passed by then. The statement must not go on waiting, because it may hold locks of
// other rows.
const lockWait = "1"

// setParams adds settings and lockWait to the parameters of a connection, which the driver sends in one SET.
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

// connector makes connections. Its errors are connectErrors.
type connector struct {
	driver.Connector
	setStatement string // names what a new connection sets
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
	if hasClass(err, badSetting) {
		err = withStatement(c.setStatement, err)
	}
	if err != nil {
		return nil, connectError{err}
	}
	if err := setNoChain(ctx, conn); err != nil {
		conn.Close()
		return nil, connectError{err}
	}
	return conn, nil
}

// setNoChain sets completion_type if the server's is not NO_CHAIN. With CHAIN, each COMMIT begins another transaction,
// and the statements after it are never committed. With RELEASE, COMMIT closes the connection.
//
// It is not one of settings because ProxySQL does not track it: a SET of it ties the connection to one hostgroup. SHOW
// goes to the primary there and leaves multiplexing on, unlike a SELECT of @@completion_type.
func setNoChain(ctx context.Context, conn driver.Conn) error {
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

// driverLog logs the driver's messages about broken connections, at the debug level: the same failures are returned as
// errors.
type driverLog struct{ log *slog.Logger }

// Print implements mysql.Logger.
func (l driverLog) Print(v ...any) {
	l.log.Debug("store: mysql driver", "message", fmt.Sprint(v...))
}

const slowStatement = 200 * time.Millisecond

// statementLog logs slow statements, with placeholders instead of values. It does not log errors: they are returned,
// and logged once by the caller.
type statementLog struct {
	log  *slog.Logger
	slow time.Duration // minimum duration
}

var (
	_ logger.Interface  = statementLog{}
	_ gorm.ParamsFilter = statementLog{}
)

// LogMode implements logger.Interface; slog's own level decides.
func (l statementLog) LogMode(logger.LogLevel) logger.Interface { return l }

// Info implements logger.Interface. It drops GORM's messages, because they may contain values.
func (l statementLog) Info(context.Context, string, ...any) {}

// Warn implements logger.Interface; see Info.
func (l statementLog) Warn(context.Context, string, ...any) {}

// Error implements logger.Interface; see Info.
func (l statementLog) Error(context.Context, string, ...any) {}

// Trace implements logger.Interface.
func (l statementLog) Trace(ctx context.Context, begin time.Time, statement func() (string, int64), _ error) {
	if time.Since(begin) < l.slow {
		return // do not build the text
	}
	text, _ := statement()
	l.logSlow(ctx, begin, text)
}

func (l statementLog) logSlow(ctx context.Context, begin time.Time, text string) {
	if took := time.Since(begin); took >= l.slow {
		l.log.WarnContext(ctx, "store: slow statement", "sql", text, "duration", took)
	}
}

// ParamsFilter keeps GORM from putting the values into the text that Trace gets.
func (l statementLog) ParamsFilter(_ context.Context, sql string, _ ...any) (string, []any) {
	return sql, nil
}
