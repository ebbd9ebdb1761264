package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Statements with which Ready checks whether the tables exist and are writable. They change, lock and log nothing: a
// condition that is never true keeps the server from reading rows, and EXPLAIN does not execute. Servers check rights
// and their own read-only modes before that.
const (
	tablesProbe = "SELECT 1 FROM user_merges m, login_days d, user_changes c, pending_deletions p WHERE 1 = 0"
	updateProbe = "UPDATE users SET status = status WHERE 1 = 0"
	insertProbe = "EXPLAIN INSERT INTO wechat_identities (appid, openid, user_id, created_at) VALUES ('', '', 0, NOW())"
)

// deleteProbes delete nothing, likewise.
var deleteProbes = []string{"DELETE FROM wechat_identities WHERE 1 = 0", "DELETE FROM pending_deletions WHERE 1 = 0"}

// readOnlyVariables shows the system variables that make a server or a session read-only. No server has all of them.
const readOnlyVariables = "SHOW VARIABLES WHERE Variable_name IN ('read_only', 'super_read_only', 'innodb_read_only', " +
	"'transaction_read_only', 'tx_read_only')"

// ErrSchema says that the database is of an earlier version than this package needs. Run `wxlogin migrate`.
var ErrSchema = errors.New("store: the database is of an earlier version; run: wxlogin migrate")

// ErrCharset says that a connection does not use utf8mb4: emoji in nicknames would be refused or lost.
var ErrCharset = errors.New("store: the connection's charset is not utf8mb4 (set charset=utf8mb4 in the DSN)")

// Ready reports whether logins and updates can be served. It returns nil if the database responds, is of SchemaVersion
// or later, has the tables with the columns that this package reads, and accepts writes of this account. It writes
// nothing.
//
// If read_only is set, the server is not ready for any account. An account with SUPER could still write, into a replica
// that would then differ from its primary.
//
// Errors: ErrSchema; ErrReadOnly, ErrNoRights and the other kinds of ErrUnavailable, also if a table or column is
// missing although the version is right; context.Canceled.
func (d *DB) Ready(ctx context.Context) error {
	err := d.checkTables(ctx)
	if err == nil {
		err = d.checkWritable(ctx)
	}
	return d.wrapError(ctx, "ready", err)
}

// CheckTables is Ready for programs that only read: it does not check whether the database accepts writes.
func (d *DB) CheckTables(ctx context.Context) error {
	return d.wrapError(ctx, "check tables", d.checkTables(ctx))
}

func (d *DB) checkTables(ctx context.Context) error {
	if err := d.checkVersion(ctx); err != nil {
		return err
	}
	_, err := d.queries.queryUser(ctx, selectByIdentity, "", "") // there is no such identity: one index lookup
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	return withStatement("SELECT FROM wechat_identities JOIN users", err)
}

// checkVersion returns ErrSchema if migrations are missing. A later version is fine, because migrations only add.
func (d *DB) checkVersion(ctx context.Context) error {
	version, err := recordedVersion(ctx, d.sql)
	if err == nil && version < SchemaVersion {
		return fmt.Errorf("%w (it is %d, this server needs %d)", ErrSchema, version, SchemaVersion)
	}
	return err
}

// rowQueryer is a pool or one connection.
type rowQueryer interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// recordedVersion reads the version of a database. The first version kept no record: it is recognised by its table of
// users.
func recordedVersion(ctx context.Context, db rowQueryer) (version int64, err error) {
	const query = "SELECT COALESCE(MAX(version_id), 0) FROM " + versionTable + " WHERE is_applied"
	err = db.QueryRowContext(ctx, query).Scan(&version)
	if version > 0 || err != nil && !hasErrno(err, noSuchTable) {
		return version, withStatement(query, err)
	}
	const tables = "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name = 'users'"
	err = db.QueryRowContext(ctx, tables).Scan(&version)
	return version, err
}

// checkWritable runs in a transaction, because proxies that send reads to replicas send a transaction to the primary.
func (d *DB) checkWritable(ctx context.Context) error {
	tx, err := d.sql.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() // nothing to commit
	if err := checkReadOnly(ctx, tx); err != nil {
		return err
	}
	switch _, err := tx.ExecContext(ctx, updateProbe); {
	case errors.Is(err, driver.ErrBadConn): // the driver's error for such a refusal: see RejectReadOnly in parseDSN
		return readOnlyError("it refuses an UPDATE")
	case err != nil:
		return withStatement(updateProbe, err)
	}
	if _, err := tx.ExecContext(ctx, insertProbe); hasClass(err, noRight) {
		return withStatement(insertProbe, err) // other errors are ignored: an engine may be unable to explain an INSERT
	}
	_, err = tx.ExecContext(ctx, tablesProbe)
	return withStatement(tablesProbe, err)
}

// checkReadOnly returns a readOnlyError if a variable says that the server or the session is read-only. MariaDB 12 has
// more values of read_only than ON.
func checkReadOnly(ctx context.Context, db dbtx) error {
	rows, err := db.QueryContext(ctx, readOnlyVariables)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var name, value string
		if err := rows.Scan(&name, &value); err != nil {
			return err
		}
		if value != "0" && !strings.EqualFold(value, "OFF") {
			return readOnlyError(name + " is " + value)
		}
	}
	return rows.Err()
}

// CheckErase returns ErrNoRights if the account may not delete what an erase deletes. It changes nothing. Other errors:
// ErrUnavailable, context.Canceled; any other error is a defect of the installation.
func (d *DB) CheckErase(ctx context.Context) error {
	for _, probe := range deleteProbes {
		if _, err := d.sql.ExecContext(ctx, probe); err != nil {
			return d.wrapError(ctx, "check erase", withStatement(probe, err))
		}
	}
	return nil
}

// CheckCharset returns ErrCharset if the connections do not carry utf8mb4 in both directions. Tables in utf8mb4 are not
// enough for emoji, because the connection converts. It is to be called once at the start.
func (d *DB) CheckCharset(ctx context.Context) error {
	const query = "SELECT @@character_set_client, @@character_set_connection, @@character_set_results"
	var charsets [3]sql.NullString // of results it is NULL if the server does not convert
	if err := d.sql.QueryRowContext(ctx, query).Scan(&charsets[0], &charsets[1], &charsets[2]); err != nil {
		return d.wrapError(ctx, "check charset", err)
	}
	for i, variable := range [...]string{"character_set_client", "character_set_connection", "character_set_results"} {
		if charset := charsets[i].String; charset != "utf8mb4" {
			return fmt.Errorf("%w: %s is %q", ErrCharset, variable, charset)
		}
	}
	return nil
}

const (
	// replicaTimeout is the share of a caller's time that a replica gets. The rest is left for the primary.
	replicaTimeout = 300 * time.Millisecond

	// replicaCooldown is how long no replica is used after one has failed.
	replicaCooldown = time.Second
)

// replicas are the read replicas of a database. They are kept apart from the primary, because a read that must see its
// own write must not go to one of them.
type replicas struct {
	all           []replica
	now           func() time.Time
	cooldownUntil atomic.Int64 // in nanoseconds of Unix time
}

type replica struct {
	pool    *sql.DB
	queries queries
	loader  *userLoader
}

// openReplicas makes the pools. It does not connect.
func openReplicas(o Options) (*replicas, error) {
	r := &replicas{now: o.Now}
	for i, dsn := range o.Replicas {
		config, pool, err := openPool(dsn, o)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("replica %d: %w", i+1, err), r.close())
		}
		hot := newHotQueries(pool, o)
		r.all = append(r.all, replica{pool, queries{hotQueries: hot}, newUserLoader(hot, o.Now)})
		if r.all[i].queries.orm, err = openGORM(config, pool, o); err != nil {
			return nil, errors.Join(err, r.close())
		}
	}
	return r, nil
}

// ready reports whether there is a replica to use now.
func (r *replicas) ready() bool {
	return len(r.all) > 0 && r.now().UnixNano() >= r.cooldownUntil.Load()
}

// byIdentity reads a user from any of the replicas.
func (r *replicas) byIdentity(ctx context.Context, key identityKey) (row userRow, err error) {
	err = r.read(ctx, func(ctx context.Context, from replica) (err error) {
		row, err = from.loader.load(ctx, key)
		return err
	})
	return row, err
}

// read calls work with any of the replicas. If that fails, none is used for replicaCooldown.
func (r *replicas) read(ctx context.Context, work func(ctx context.Context, from replica) error) error {
	bounded, cancel := context.WithTimeout(ctx, replicaTimeout)
	defer cancel()
	err := work(bounded, r.all[rand.N(len(r.all))])
	if err != nil && !errors.Is(err, ErrNotFound) && ctx.Err() == nil {
		r.cooldownUntil.Store(r.now().Add(replicaCooldown).UnixNano())
	}
	return err
}

// CheckReplicas reads from each replica once, concurrently, and returns an error for each in the order of
// Options.Replicas: nil if it can be read, otherwise an error like that of [Users.Find].
func (d *DB) CheckReplicas(ctx context.Context) []error {
	errs := make([]error, len(d.replicas.all))
	var checks sync.WaitGroup
	for i, each := range d.replicas.all {
		checks.Go(func() {
			_, err := each.loader.loadOne(ctx, identityKey{})
			if !errors.Is(err, ErrNotFound) {
				errs[i] = d.wrapError(ctx, fmt.Sprintf("replica %d", i+1), err)
			}
		})
	}
	checks.Wait()
	return errs
}

func (r *replicas) close() error {
	var errs []error
	for _, each := range r.all {
		errs = append(errs, each.pool.Close())
	}
	return errors.Join(errs...)
}
