package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/go-sql-driver/mysql"
	gormmysql "gorm.io/driver/mysql"
	"gorm.io/gorm"
)

const (
	defaultMaxOpenConns = 50
	connMaxIdleTime     = 5 * time.Minute
	connMaxLifetime     = 30 * time.Minute // below MySQL's wait_timeout and most load balancers' patience

	// neverEvict is what GORM's statement cache takes for "keep": with any other value it starts a goroutine that
	// nothing stops, and closes statements that may be in use.
	neverEvict = 10 * 365 * 24 * time.Hour
)

// Options configures a DB. The zero value is usable.
type Options struct {
	// Now is the clock; time.Now by default.
	Now func() time.Time
	// Logger is told of slow statements (never with values in them) and of contradictions in what WeChat says.
	// Nothing is logged by default.
	Logger *slog.Logger
	// MaxOpenConns bounds the connections to the database, 50 by default. All of them may stay open while idle.
	MaxOpenConns int
}

// DB is a pool of connections to the users' database. It is safe for concurrent use.
type DB struct {
	gorm   *gorm.DB
	hot    *gorm.DB // the same with prepared statements, for the read of every login
	sql    *sql.DB
	config *mysql.Config // for connections outside of the pool: Migrate
	now    func() time.Time
	log    *slog.Logger
	closed atomic.Bool
}

// Open prepares a DB from a DSN in go-sql-driver's form, `user:password@tcp(host:port)/database?param=value`.
//
// It does not connect: a database that is down shows in Ping and in the first use. What it insists on, whatever the
// DSN says: times are parsed, in UTC; parameters are interpolated; a connection that turns out to be read-only is
// thrown away. It adds time-outs where the DSN has none. The charset stays as the DSN has it (utf8mb4 where it has
// none): see CheckCharset.
//
// Its errors never hold the DSN or a part of it.
func Open(dsn string, o Options) (*DB, error) {
	o = o.withDefaults()
	config, err := parseDSN(dsn, o.Logger)
	if err != nil {
		return nil, err
	}
	connector, err := mysql.NewConnector(config)
	if err != nil {
		return nil, errDSN // the driver's own text may quote the DSN
	}
	return open(config, connector, o)
}

func (o Options) withDefaults() Options {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.MaxOpenConns <= 0 {
		o.MaxOpenConns = defaultMaxOpenConns
	}
	return o
}

func open(config *mysql.Config, connector driver.Connector, o Options) (*DB, error) {
	pool := sql.OpenDB(connector)
	pool.SetMaxOpenConns(o.MaxOpenConns)
	pool.SetMaxIdleConns(o.MaxOpenConns)
	pool.SetConnMaxIdleTime(connMaxIdleTime)
	pool.SetConnMaxLifetime(connMaxLifetime)

	now := func() time.Time { return o.Now().UTC().Truncate(time.Millisecond) }
	orm, err := gorm.Open(gormmysql.New(gormmysql.Config{
		Conn:                      pool,
		DSNConfig:                 config,
		SkipInitializeWithVersion: true, // asking for the version would connect
	}), &gorm.Config{
		SkipDefaultTransaction:   true,
		TranslateError:           true,
		DisableNestedTransaction: true, // not every engine has savepoints
		DisableAutomaticPing:     true,
		PrepareStmtTTL:           neverEvict,
		NowFunc:                  now,
		Logger:                   statementLog{o.Logger, slowStatement},
	})
	if err != nil {
		return nil, errors.Join(errors.New("store: cannot set up GORM"), pool.Close())
	}
	hot := orm.Session(&gorm.Session{PrepareStmt: true})
	return &DB{gorm: orm, hot: hot, sql: pool, config: config, now: now, log: o.Logger}, nil
}

// Users gives access to the users.
func (d *DB) Users() *Users { return &Users{d} }

// Ping reports whether the database answers: nil, or an error that is ErrUnavailable where it cannot be reached.
func (d *DB) Ping(ctx context.Context) error {
	return d.fault(ctx, "ping", d.sql.PingContext(ctx))
}

// Close waits for running statements and closes all connections. Later calls on the DB give ErrUnavailable.
func (d *DB) Close() error {
	d.closed.Store(true)
	return d.sql.Close()
}
