package store

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/go-sql-driver/mysql"
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
)

// CheckDSN reports what is wrong with a DSN's form, without connecting. Its errors never hold a part of the DSN.
func CheckDSN(dsn string) error {
	_, err := parseDSN(dsn, slog.New(slog.DiscardHandler))
	return err
}

// parseDSN reads a DSN and sets what the statements of this package rely on. The driver's errors quote the DSN, which
// holds the password: they are replaced.
func parseDSN(dsn string, log *slog.Logger) (*mysql.Config, error) {
	c, err := mysql.ParseDSN(dsn)
	if err != nil {
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
