package store

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"strings"
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
