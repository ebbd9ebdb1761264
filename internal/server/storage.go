package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"

	"github.com/redis/go-redis/v9"

	"wxlogin/internal/config"
	"wxlogin/internal/redisclient"
	"wxlogin/session"
	"wxlogin/store"
)

// ErrMisconfigured is the class of Start's errors that only another configuration can fix: retrying does not help.
var ErrMisconfigured = errors.New("invalid configuration")

// misconfiguredError makes an error an ErrMisconfigured. The text names the variable to change, such as MYSQL_DSN, and
// holds no secret.
type misconfiguredError struct{ error }

// Is implements the interface of errors.Is.
func (misconfiguredError) Is(target error) bool { return target == ErrMisconfigured }

// Migrate migrates the database of c.MySQLDSN to the version that this server needs, from any earlier version or from an
// empty database. It returns the versions before and after, and may be run at any time; see store.DB.Migrate. The error
// is ErrMisconfigured if only another MYSQL_DSN, or another account, can help.
func Migrate(ctx context.Context, c config.Migrate, logger *slog.Logger) (store.Migration, error) {
	db, err := openMySQL(c.MySQLDSN, c.TLS, store.Options{Logger: logger})
	if err != nil {
		return store.Migration{}, err
	}
	done, err := db.Migrate(ctx)
	return done, errors.Join(databaseError(db, err), db.Close())
}

// openDatabase makes the connection pools to the primary and to the replicas. It does not connect.
func openDatabase(c config.Config, o Options) (*store.DB, error) {
	return openMySQL(c.MySQLDSN, c.MySQL.TLS, store.Options{
		Logger: o.Logger, MaxOpenConns: c.MySQL.MaxOpenConns, ConnMaxLifetime: c.MySQL.ConnMaxLifetime,
		Zone: c.ReportZone.Location, NoPrepare: bool(c.MySQL.NoPrepare), Replicas: c.MySQL.ReplicaDSNs, OpenDB: o.Tracing.OpenDB,
	})
}

func openMySQL(dsn string, tls config.MySQLTLS, o store.Options) (db *store.DB, err error) {
	if o.TLS, err = tls.Config(); err != nil {
		return nil, err
	}
	return store.Open(dsn, o)
}

// checkPrimary returns an error if only another configuration can help: a wrong password, an unknown database, missing
// rights, a connection that is not utf8mb4 and would lose or refuse emoji. A database that is down, read-only or of an
// earlier version is not an error: logOutages and /readyz report it.
func checkPrimary(ctx context.Context, db *store.DB) error {
	ctx, cancel := context.WithTimeout(ctx, startCheckTimeout)
	defer cancel()
	err := db.CheckCharset(ctx)
	if err == nil {
		err = db.Ready(ctx)
	}
	if err = databaseError(db, err); errors.Is(err, ErrMisconfigured) {
		return err
	}
	return nil
}

// checkErasing warns if the account may not delete: accounts of earlier versions of this server did not need that right.
func checkErasing(ctx context.Context, db *store.DB, logger *slog.Logger) {
	ctx, cancel := context.WithTimeout(ctx, startCheckTimeout)
	defer cancel()
	if err := db.CheckErase(ctx); errors.Is(err, store.ErrNoRights) {
		logger.WarnContext(ctx, "the account of MYSQL_DSN lacks the right DELETE: users cannot be erased; run as an account that "+
			"may grant: GRANT DELETE ON "+quoteName(db.Database())+".* TO the account", "account", db.Account(), "cause", err)
	}
}

// quoteName quotes a database's name for SQL.
func quoteName(name string) string { return "`" + strings.ReplaceAll(name, "`", "``") + "`" }

// checkReplicas logs which replicas are unusable.
func checkReplicas(ctx context.Context, db *store.DB, logger *slog.Logger) {
	ctx, cancel := context.WithTimeout(ctx, startCheckTimeout)
	defer cancel()
	for i, err := range db.CheckReplicas(ctx) {
		if err != nil && !errors.Is(err, context.Canceled) {
			logger.WarnContext(ctx, "a replica of MYSQL_REPLICA_DSNS is unusable, reading from the primary",
				"replica", i+1, "cause", err)
		}
	}
}

const (
	serverRights  = "SELECT, INSERT, UPDATE, DELETE" // rights on the database that the server needs
	migrateRights = "CREATE, ALTER, INDEX, CREATE VIEW, DROP"
)

// databaseError returns an ErrMisconfigured if the value of MYSQL_DSN causes err, and err otherwise.
func databaseError(db *store.DB, err error) error {
	name := quoteName(db.Database())
	help := ""
	switch {
	case errors.Is(err, store.ErrAccessDenied):
		help = fmt.Sprintf("; the account is %q", db.Account())
	case errors.Is(err, store.ErrSetting), errors.Is(err, store.ErrCharset):
	case errors.Is(err, store.ErrTLS):
		help = "; see the parameter tls of the DSN, and MYSQL_TLS_CA_FILE if the server has a certificate of a private CA"
	case errors.Is(err, store.ErrUnknownDatabase):
		help = "; create it and run wxlogin migrate: CREATE DATABASE " + name + " CHARACTER SET utf8mb4"
	case errors.Is(err, store.ErrNoRights):
		help = fmt.Sprintf("; if the database exists, run as an account that may grant: GRANT %s ON %s.* TO the account %q "+
			"(wxlogin migrate: %s too)", serverRights, name, db.Account(), migrateRights)
	default:
		return err
	}
	return misconfiguredError{fmt.Errorf("MYSQL_DSN: %s%s", strings.TrimPrefix(err.Error(), "store: "), help)}
}

// mysqlReady returns the readiness check of MySQL. Until it has succeeded once, it also checks that the connection is
// utf8mb4, because a server may start without MySQL.
func (p *components) mysqlReady() func(context.Context) error {
	var utf8mb4 atomic.Bool
	return func(ctx context.Context) error {
		if !utf8mb4.Load() {
			if err := p.db.CheckCharset(ctx); err != nil {
				return err
			}
			utf8mb4.Store(true)
		}
		return p.db.Ready(ctx)
	}
}

// checkRedis returns an error if only another configuration can help. A Redis that is down or cannot serve now is not an
// error: logOutages and /readyz report it.
func checkRedis(ctx context.Context, client redis.UniversalClient, sessions *session.Store, mode string) error {
	ctx, cancel := context.WithTimeout(ctx, startCheckTimeout)
	defer cancel()
	if err := redisclient.CheckConfig(ctx, client, mode, sessions.Ready); err != nil {
		return misconfiguredError{err}
	}
	return nil
}
