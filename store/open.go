package store

import (
	"context"
	"crypto/tls"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-sql-driver/mysql"
	gormmysql "gorm.io/driver/mysql"
	"gorm.io/gorm"
)

const (
	defaultMaxOpenConns = 50
	connMaxIdleTime     = 5 * time.Minute
	defaultConnLifetime = 30 * time.Minute // below MySQL's wait_timeout and most load balancers' patience
)

// Options configures a DB. The zero value is usable.
type Options struct {
	// Now is the clock; time.Now by default.
	Now func() time.Time
	// Logger is told of slow statements (never with values in them) and of contradictions in what WeChat says.
	// Nothing is logged by default.
	Logger *slog.Logger
	// MaxOpenConns bounds the connections to the database, and to each replica, 50 by default. All of them may stay open
	// while idle.
	MaxOpenConns int
	// ConnMaxLifetime is how long a connection is used, 30 minutes by default: so that a fail-over behind a load balancer
	// or a name is followed in the end.
	ConnMaxLifetime time.Duration
	// Replicas are the DSNs of read replicas, for reads that may be some seconds old: Users.FindOnReplica.
	Replicas []string
	// NoPrepare has every statement sent as text, with its arguments in it. By default the frequent ones are prepared, and sent
	// as text only if the server or a proxy refuses that.
	NoPrepare bool
	// TLS is for servers with a certificate of a private CA, or that require one of the client. Every DSN, of replicas too, must name
	// a host then, which is the server name to verify, and have tls=true or no parameter tls. By default each DSN's tls decides.
	TLS *tls.Config
	// OpenDB makes a pool of a connector; sql.OpenDB by default. It is where instrumentation comes in between.
	OpenDB func(driver.Connector) *sql.DB
}

// DB is a pool of connections to the users' database. It is safe for concurrent use.
type DB struct {
	gorm      *gorm.DB // for what is rare
	direct    direct   // for what is not
	lookups   *lookups // by identity, of every visit
	profiles  *profileWrites
	signUps   *signUps
	replicas  *replicas
	sql       *sql.DB
	config    *mysql.Config // for connections outside of the pool: Migrate
	now       func() time.Time
	log       *slog.Logger
	closed    atomic.Bool
	userLocks userLocks // of those who are being changed
	days      loginDays // counted by Login, written by RunLoginDays
	unionIDs  unionIDConflicts
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
	config, pool, err := openPool(dsn, o)
	if err != nil {
		return nil, err
	}
	orm, err := openGORM(config, pool, o)
	if err != nil {
		return nil, errors.Join(err, pool.Close())
	}
	d := &DB{gorm: orm, direct: newDirect(pool, o), sql: pool, config: config, now: o.now, log: o.Logger,
		unionIDs: unionIDConflicts{log: o.Logger}}
	d.lookups, d.profiles, d.signUps = newLookups(d.direct, o.Now), newProfileWrites(d.direct, o.Now), newSignUps(d, o.Now)
	if d.replicas, err = openReplicas(o); err != nil {
		return nil, errors.Join(err, pool.Close())
	}
	return d, nil
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
	if o.ConnMaxLifetime <= 0 {
		o.ConnMaxLifetime = defaultConnLifetime
	}
	if o.OpenDB == nil {
		o.OpenDB = sql.OpenDB
	}
	return o
}

// now is the clock in UTC, to the precision of the columns.
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

// openGORM sets GORM up on a pool. It does not connect.
func openGORM(config *mysql.Config, pool *sql.DB, o Options) (*gorm.DB, error) {
	dialector := gormmysql.New(gormmysql.Config{
		Conn:                      pool,
		DSNConfig:                 config,
		SkipInitializeWithVersion: true, // asking for the version would connect
	})
	orm, err := gorm.Open(dialector, &gorm.Config{
		SkipDefaultTransaction:   true,
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

// Users gives access to the users.
func (d *DB) Users() *Users { return &Users{d} }

// Ping reports whether the database answers: nil, or an error that is ErrUnavailable where it cannot be reached.
func (d *DB) Ping(ctx context.Context) error {
	return d.fault(ctx, "ping", d.sql.PingContext(ctx))
}

// Database is the name of the database that the DSN names.
func (d *DB) Database() string { return d.config.DBName }

// Account is the name of the account that the DSN names, without its host.
func (d *DB) Account() string { return d.config.User }

// Pools are the pools of connections by name, for their statistics: primary, and replica_1 and so on.
func (d *DB) Pools() map[string]*sql.DB {
	pools := map[string]*sql.DB{"primary": d.sql}
	for i, pool := range d.replicas.pools {
		pools[fmt.Sprintf("replica_%d", i+1)] = pool
	}
	return pools
}

// Close waits for running statements and closes all connections. Later calls on the DB give ErrUnavailable.
func (d *DB) Close() error {
	d.closed.Store(true)
	return errors.Join(d.sql.Close(), d.replicas.close())
}

const (
	// replicaTimeout is what a replica gets of a caller's time, so that the primary can still be asked in the rest.
	replicaTimeout = 300 * time.Millisecond

	// replicaRest is how long replicas are left alone after one of them failed.
	replicaRest = time.Second
)

// replicas are the read replicas of a database. They are kept apart from the primary, so that nothing can be read from
// them by mistake: whatever must see its own write asks the primary.
type replicas struct {
	pools   []*sql.DB
	lookups []*lookups // in each of them
	now     func() time.Time
	resting atomic.Int64 // until when, in nanoseconds of Unix time
}

// openReplicas opens the pools. Without replicas there is nothing to ask, and the primary serves all reads.
func openReplicas(o Options) (*replicas, error) {
	r := &replicas{now: o.Now}
	for i, dsn := range o.Replicas {
		_, replica, err := openPool(dsn, o)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("replica %d: %w", i+1, err), r.close())
		}
		r.pools = append(r.pools, replica)
		r.lookups = append(r.lookups, newLookups(newDirect(replica, o), o.Now))
	}
	return r, nil
}

// ready tells whether there is a replica to ask now.
func (r *replicas) ready() bool {
	return len(r.lookups) > 0 && r.now().UnixNano() >= r.resting.Load()
}

// byIdentity reads a user from any of the replicas.
func (r *replicas) byIdentity(ctx context.Context, appID, openID string) (userRow, error) {
	bounded, cancel := context.WithTimeout(ctx, replicaTimeout)
	defer cancel()
	row, err := r.lookups[rand.N(len(r.lookups))].find(bounded, appID, openID)
	if err != nil && !errors.Is(err, ErrNotFound) && ctx.Err() == nil {
		r.resting.Store(r.now().Add(replicaRest).UnixNano())
	}
	return row, err
}

// CheckReplicas looks at each replica once, all at the same time, and returns an error for each, in the order of
// Options.Replicas: nil for one that can be read, or as of Find.
func (d *DB) CheckReplicas(ctx context.Context) []error {
	errs := make([]error, len(d.replicas.lookups))
	var checks sync.WaitGroup
	for i, l := range d.replicas.lookups {
		checks.Go(func() {
			_, err := l.one(ctx, identity{})
			if !errors.Is(err, ErrNotFound) {
				errs[i] = d.fault(ctx, fmt.Sprintf("replica %d", i+1), err)
			}
		})
	}
	checks.Wait()
	return errs
}

func (r *replicas) close() error {
	var errs []error
	for _, pool := range r.pools {
		errs = append(errs, pool.Close())
	}
	return errors.Join(errs...)
}

// FindOnReplica is Find for readers who can live with what was true a moment ago: it asks a replica where there are some,
// and the primary for whom a replica does not know yet or where it fails. How old its answer may be is the replication's
// delay: so long a user who was disabled or merged may still be found as before.
//
// Errors: as Find.
func (u *Users) FindOnReplica(ctx context.Context, appID, openID string) (User, error) {
	if err := (Identity{AppID: appID, OpenID: openID}).validate(); err != nil {
		return User{}, err
	}
	if u.db.replicas.ready() {
		if row, err := u.db.replicas.byIdentity(ctx, appID, openID); err == nil {
			return row.user(), nil
		}
	}
	return u.Find(ctx, appID, openID)
}
