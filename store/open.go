package store

import (
	"context"
	"crypto/tls"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/go-sql-driver/mysql"
	gormmysql "gorm.io/driver/mysql"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"
)

const (
	defaultMaxOpenConns = 50
	connMaxIdleTime     = 5 * time.Minute
	defaultConnLifetime = 30 * time.Minute // below MySQL's wait_timeout and the idle time-outs of most load balancers
)

// Options configures a DB. The zero value is usable.
type Options struct {
	// Now is the clock; time.Now by default.
	Now func() time.Time
	// Zone is the time zone of the days in login_days; UTC by default. All servers of a database need the same.
	Zone *time.Location
	// Logger logs slow statements (never with values) and contradictions in WeChat's data. By default nothing is
	// logged.
	Logger *slog.Logger
	// MaxOpenConns bounds the connections to the database, and to each replica; 50 by default. All of them may stay
	// open while idle.
	MaxOpenConns int
	// ConnMaxLifetime is how long a connection is used; 30 minutes by default. So the pool eventually follows a
	// failover behind a load balancer or a host name.
	ConnMaxLifetime time.Duration
	// Replicas are the DSNs of read replicas, for reads that may be some seconds old: [Users.FindOnReplica].
	Replicas []string
	// NoPrepare sends every statement as text, with its arguments in it. By default the hot statements are prepared,
	// and sent as text only if the server or a proxy refuses that.
	NoPrepare bool
	// TLS is for servers with a certificate of a private CA, and for those that require a client certificate. If it is
	// set, every DSN, including those of replicas, must name a host, which is the server name to verify, and have
	// tls=true or no parameter tls. By default the parameter tls of each DSN decides.
	TLS *tls.Config
	// OpenDB makes a pool from a connector; sql.OpenDB by default. Instrumentation can wrap the connector here.
	OpenDB func(driver.Connector) *sql.DB
}

// DB is a pool of connections to the users' database. It is safe for concurrent use.
type DB struct {
	sql      *sql.DB
	queries  queries // on sql
	loader   *userLoader
	profiles *profileWriter
	creator  *userCreator
	replicas *replicas

	config *mysql.Config // for the connections of Migrate, which are not from the pool
	now    func() time.Time
	zone   *time.Location
	log    *slog.Logger
	closed atomic.Bool

	userLocks         userLocks
	days              dailyLogins  // counted by Login and the other requests of users, written by RunLoginDays
	seenCooldownUntil atomic.Int64 // in nanoseconds of Unix time: see Users.seen
	unionIDs          unionIDConflicts
}

// Open returns a DB for a DSN in go-sql-driver's form, `user:password@tcp(host:port)/database?param=value`.
//
// It does not connect: if the database is down, Ping and the first use fail. Some settings do not depend on the DSN:
// times are parsed as UTC, parameters are interpolated, and a connection that turns out to be read-only is closed. If
// the DSN has no time-outs, Open adds them. The charset is that of the DSN, or utf8mb4 if it has none: see
// [DB.CheckCharset].
//
// Errors never contain the DSN or a part of it.
func Open(dsn string, o Options) (*DB, error) {
	o = o.withDefaults()
	config, pool, err := openPool(dsn, o)
	if err != nil {
		return nil, err
	}
	orm, err := openGORM(config, pool, o)
	if err != nil {
		return nil, errors.Join(err, pool.Close())
	}
	hot := newHotQueries(pool, o)
	d := &DB{sql: pool, queries: queries{hotQueries: hot, orm: orm}, config: config, now: o.now, zone: o.Zone, log: o.Logger,
		unionIDs: unionIDConflicts{log: o.Logger}}
	d.loader, d.profiles, d.creator = newUserLoader(hot, o.Now), newProfileWriter(hot, o.Now), newUserCreator(d, o.Now)
	if d.replicas, err = openReplicas(o); err != nil {
		return nil, errors.Join(err, pool.Close())
	}
	return d, nil
}

func (o Options) withDefaults() Options {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Zone == nil {
		o.Zone = time.UTC
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.MaxOpenConns <= 0 {
		o.MaxOpenConns = defaultMaxOpenConns
	}
	if o.ConnMaxLifetime <= 0 {
		o.ConnMaxLifetime = defaultConnLifetime
	}
	if o.OpenDB == nil {
		o.OpenDB = sql.OpenDB
	}
	return o
}

// now returns the time in UTC, to the precision of the columns.
func (o Options) now() time.Time { return o.Now().UTC().Truncate(time.Millisecond) }

// openPool makes a pool of connections to the database of a DSN. It does not connect.
func openPool(dsn string, o Options) (*mysql.Config, *sql.DB, error) {
	config, err := parseDSN(dsn, o.Logger)
	if err != nil {
		return nil, nil, err
	}
	if err := setTLS(config, o.TLS); err != nil {
		return nil, nil, err
	}
	connector, err := newConnector(config)
	if err != nil {
		return nil, nil, err
	}
	pool := o.OpenDB(connector)
	pool.SetMaxOpenConns(o.MaxOpenConns)
	pool.SetMaxIdleConns(o.MaxOpenConns)
	pool.SetConnMaxIdleTime(connMaxIdleTime)
	pool.SetConnMaxLifetime(o.ConnMaxLifetime)
	return config, pool, nil
}

// openGORM sets up GORM on a pool. It does not connect.
func openGORM(config *mysql.Config, pool *sql.DB, o Options) (*gorm.DB, error) {
	dialector := gormmysql.New(gormmysql.Config{
		Conn:                      pool,
		DSNConfig:                 config,
		SkipInitializeWithVersion: true, // it would connect
	})
	orm, err := gorm.Open(dialector, &gorm.Config{
		SkipDefaultTransaction:   true,
		QueryFields:              true, // SELECT the known columns, so that a missing one is an error
		TranslateError:           true,
		DisableNestedTransaction: true, // not every engine has savepoints
		DisableAutomaticPing:     true,
		NowFunc:                  o.now,
		Logger:                   statementLog{o.Logger, slowStatement},
	})
	if err != nil {
		return nil, errors.New("store: cannot set up GORM")
	}
	return orm, nil
}

// Users returns the users of the database.
func (d *DB) Users() *Users { return &Users{d} }

// Ping checks the connection. If the database cannot be reached, it returns ErrUnavailable.
func (d *DB) Ping(ctx context.Context) error {
	return d.wrapError(ctx, "ping", d.sql.PingContext(ctx))
}

// Database returns the name of the database in the DSN.
func (d *DB) Database() string { return d.config.DBName }

// Account returns the name of the account in the DSN, without its host.
func (d *DB) Account() string { return d.config.User }

// Pools returns the pools of connections, for their statistics: primary, replica_1 and so on.
func (d *DB) Pools() map[string]*sql.DB {
	pools := map[string]*sql.DB{"primary": d.sql}
	for i, each := range d.replicas.all {
		pools[fmt.Sprintf("replica_%d", i+1)] = each.pool
	}
	return pools
}

// Close waits for running statements and closes all connections. Later calls of the DB return ErrUnavailable.
func (d *DB) Close() error {
	d.closed.Store(true)
	return errors.Join(d.sql.Close(), d.replicas.close())
}

// queries sends statements to the pool, or within a transaction: the hot ones as raw SQL, all others through GORM.
type queries struct {
	hotQueries
	orm *gorm.DB
	tx  *sql.Tx // nil = the pool
}

// withTx returns queries for a transaction.
func (q queries) withTx(tx *sql.Tx) queries { return queries{q.hotQueries.withTx(tx), q.orm, tx} }

// gorm returns GORM on the pool or in the transaction.
func (q queries) gorm(ctx context.Context) *gorm.DB {
	orm := q.orm.WithContext(ctx)
	if q.tx != nil {
		orm.Statement.ConnPool = q.tx
	}
	return orm
}

// mustAffect returns errConflict if an UPDATE through GORM changed no row: the row is no longer as it was read.
func mustAffect(result *gorm.DB) error {
	if result.Error == nil && result.RowsAffected == 0 {
		return errConflict
	}
	return result.Error
}

// lock is gorm for reads that lock the rows, until the transaction ends.
//
// Such a read sees what is committed now. On MySQL so does every read after the transaction's first lock, but on TiDB a read
// that does not lock is as of the BEGIN, even if the transaction has waited for a lock since then.
func (q queries) lock(ctx context.Context) *gorm.DB {
	return q.gorm(ctx).Clauses(clause.Locking{Strength: clause.LockingStrengthUpdate})
}

// lockUser reads a user and locks its row. It returns ErrNotFound if there is no such user.
func (q queries) lockUser(ctx context.Context, id uint64) (row userRow, err error) {
	result := q.lock(ctx).Where("id = ?", id).Limit(1).Find(&row)
	if result.Error == nil && result.RowsAffected == 0 {
		return userRow{}, ErrNotFound
	}
	return row, result.Error
}

// transaction runs work in a transaction, which it rolls back if work returns an error. It returns errConflict if a
// unique key refused a row: another connection has inserted that since it was looked up.
func (d *DB) transaction(ctx context.Context, work func(tx queries) error) (err error) {
	defer func() {
		if isDuplicateKey(err) {
			err = errConflict
		}
	}()
	tx, err := d.sql.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() // a no-op after COMMIT; if it fails, the connection is gone and the server rolls back
	if err := work(d.queries.withTx(tx)); err != nil {
		return err
	}
	return commit(ctx, tx)
}

// commit does not wait for a server that hangs longer than ctx: database/sql sends COMMIT without a context. After such an
// error it is unknown whether the transaction has been committed, as after a broken connection.
func commit(ctx context.Context, tx *sql.Tx) error {
	done := make(chan error, 1)
	go func() { done <- tx.Commit() }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}
