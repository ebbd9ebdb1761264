package store

import (
	"context"
	"database/sql"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// query is one of the statements that are sent as they are written here.
type query int

const (
	selectByIdentity query = iota
	selectBy4Identities
	selectBy16Identities
	selectByUnionID
	selectForUpdate
	selectOrphan
	updateProfile
	update4Profiles
	update16Profiles
	updateAsOf
	updateLastLogin
	updatePhone
	updateIdentity
	insertUser
	insertIdentities                                  // one; and then two, three and so on
	queries          = insertIdentities + maxTogether // is how many there are
)

const selectUser = "SELECT u.id, u.unionid, u.status, u.merged_into, u.nickname, u.avatar_url, u.gender, u.country, " +
	"u.province, u.city, u.language, u.profile_as_of, u.profile_updated_at, u.profile_source, u.phone_country_code, " +
	"u.phone_number, u.phone_bound_at, u.created_at, u.updated_at, u.last_login_at"

const fromIdentities = " FROM wechat_identities i JOIN users u ON u.id = i.user_id WHERE i.appid = ? AND i.openid "

// texts are the statements. Those that find several rows say LIMIT, which comes before a server's sql_select_limit. A test has the server tell how it finds the rows of each.
var texts = withIdentities([queries]string{
	selectByIdentity:     selectUser + fromIdentities + "= ?",
	selectBy4Identities:  selectUser + ", i.openid" + fromIdentities + "IN (" + times(4, "?", ", ") + ") LIMIT 4",
	selectBy16Identities: selectUser + ", i.openid" + fromIdentities + "IN (" + times(16, "?", ", ") + ") LIMIT 16",

	selectByUnionID: selectUser + " FROM users u WHERE u.unionid = ?",
	selectForUpdate: selectUser + " FROM users u WHERE u.id = ? FOR UPDATE",
	selectOrphan: "SELECT i.user_id, i.created_at FROM wechat_identities i LEFT JOIN users u ON u.id = i.user_id " +
		"WHERE i.appid = ? AND i.openid = ? AND u.id IS NULL",

	updateProfile:    updateProfiles(1),
	update4Profiles:  updateProfiles(4),
	update16Profiles: updateProfiles(16),
	updateAsOf:       "UPDATE users SET profile_as_of = ? WHERE id = ? AND profile_as_of = ?",
	updateLastLogin:  "UPDATE users SET last_login_at = ? WHERE id = ? AND (last_login_at <= ? OR last_login_at > ?)",
	updatePhone: "UPDATE users SET phone_country_code = ?, phone_number = ?, phone_bound_at = ?, updated_at = ? " +
		"WHERE id = ? AND status = ? AND phone_country_code <=> ? AND phone_number <=> ?",
	updateIdentity: "UPDATE wechat_identities SET user_id = ?, created_at = ? " +
		"WHERE appid = ? AND openid = ? AND user_id = ? AND created_at = ?",

	insertUser: "INSERT INTO users (unionid, status, created_at, updated_at, last_login_at) VALUES (?, ?, ?, ?, ?)",
})

// withIdentities adds the statements that insert as many identities.
func withIdentities(texts [queries]string) [queries]string {
	for n := range maxTogether {
		texts[insertIdentities+query(n)] = "INSERT INTO wechat_identities (appid, openid, user_id, created_at) VALUES " +
			times(n+1, "(?, ?, ?, ?)", ", ")
	}
	return texts
}

// times is a text as often as n, with something in between.
func times(n int, text, between string) string {
	return strings.Join(slices.Repeat([]string{text}, n), between)
}

// hot are the statements of every visit: they are prepared, on each connection once. The others are interpolated.
var hot = [queries]bool{
	selectByIdentity: true, selectBy4Identities: true, selectBy16Identities: true, selectByUnionID: true,
	updateProfile: true, update4Profiles: true, update16Profiles: true, updateLastLogin: true,
}

// updateProfiles is the statement that writes as many profiles, each only if no other write has come since it was read. NULL for a
// column leaves it as it is at that moment: so one statement writes any of them and touches no other.
func updateProfiles(users int) string {
	value, where := "?", "id = ? AND status = ? AND profile_updated_at <=> ?"
	if users > 1 {
		value = "CASE id " + times(users, "WHEN ? THEN ?", " ") + " END"
		where = "id IN (" + times(users, "?", ", ") + ") AND status = ? AND (" +
			times(users, "id = ? AND profile_updated_at <=> ?", " OR ") + ")"
	}
	var set strings.Builder
	for _, column := range profileColumns {
		set.WriteString(column + " = COALESCE(" + value + ", " + column + "), ")
	}
	return "UPDATE users SET " + set.String() + "profile_as_of = " + value + ", profile_updated_at = " + value +
		", updated_at = " + value + " WHERE " + where
}

// direct sends the statements of statements.go, past GORM. Slow ones are logged as GORM's are.
type direct struct {
	to       conn
	prepared *prepared // nil interpolates all
	log      statementLog
}

// conn is a pool or a transaction.
type conn interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
}

func newDirect(pool *sql.DB, o Options) direct {
	return direct{to: pool, prepared: newPrepared(pool, o), log: statementLog{o.Logger, slowStatement}}
}

// in is for a transaction.
func (d direct) in(tx conn) direct { return direct{to: tx, log: d.log} }

// one reads the user that a statement finds. It returns ErrNotFound where there is none.
func (d direct) one(ctx context.Context, q query, args ...any) (row userRow, err error) {
	err = d.read(ctx, q, args, func(rows *sql.Rows) error { return rows.Scan(row.columns()...) })
	if err == nil && row.ID == 0 {
		err = ErrNotFound
	}
	return row, err
}

// read hands out the rows that a statement finds.
func (d direct) read(ctx context.Context, q query, args []any, take func(*sql.Rows) error) error {
	defer func(begin time.Time) { d.log.sent(ctx, begin, texts[q]) }(time.Now())
	rows, err := d.rows(ctx, q, args)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := take(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

func (d direct) rows(ctx context.Context, q query, args []any) (rows *sql.Rows, err error) {
	err = d.prepared.run(ctx, q, func(stmt *sql.Stmt) (err error) {
		if stmt == nil {
			rows, err = d.to.QueryContext(ctx, texts[q], args...)
		} else {
			rows, err = stmt.QueryContext(ctx, args...)
		}
		return err
	})
	return rows, err
}

// update runs a statement that changes rows, and tells how many it did.
func (d direct) update(ctx context.Context, q query, args ...any) (rows int64, err error) {
	result, err := d.exec(ctx, q, args)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

// updateRows runs a statement that is to change as many rows. Where it changes fewer, it returns errAgain: they are not as
// they were read.
func (d direct) updateRows(ctx context.Context, want int, q query, args ...any) error {
	rows, err := d.update(ctx, q, args...)
	if err == nil && rows < int64(want) {
		err = errAgain
	}
	return err
}

// insert adds a row, and returns the number that the server gave it.
func (d direct) insert(ctx context.Context, q query, args ...any) (id uint64, err error) {
	result, err := d.exec(ctx, q, args)
	if err != nil {
		return 0, err
	}
	n, err := result.LastInsertId()
	return uint64(n), err
}

func (d direct) exec(ctx context.Context, q query, args []any) (result sql.Result, err error) {
	defer func(begin time.Time) { d.log.sent(ctx, begin, texts[q]) }(time.Now())
	err = d.prepared.run(ctx, q, func(stmt *sql.Stmt) (err error) {
		if stmt == nil {
			result, err = d.to.ExecContext(ctx, texts[q], args...)
		} else {
			result, err = stmt.ExecContext(ctx, args...)
		}
		return err
	})
	return result, err
}

// transaction runs work in a transaction, and undoes all of it where an error comes back. That is errAgain where a key of
// the tables refuses a row: somebody else has inserted it since it was looked for.
func (d *DB) transaction(ctx context.Context, work func(tx direct) error) (err error) {
	defer func() {
		if duplicate(err) {
			err = errAgain
		}
	}()
	tx, err := d.sql.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() // of no effect after the COMMIT; where it fails, the connection is gone, and the server does it
	if err := work(d.direct.in(tx)); err != nil {
		return err
	}
	return tx.Commit()
}

const (
	// minPreparePause is for how long statements are sent as text after one could not be prepared. It doubles, up to
	// maxPreparePause, each time that it fails again.
	minPreparePause = time.Minute
	maxPreparePause = time.Hour
)

// prepared are the hot statements of a pool, each prepared when it is first needed: database/sql does it once more on every
// further connection.
//
// A server may have no room for more of them, and a proxy may not know them or forget them. Then the statements are sent
// as text for a while, and prepared again after that.
type prepared struct {
	pool  *sql.DB
	now   func() time.Time
	log   *slog.Logger
	cache atomic.Pointer[stmtCache]

	mu    sync.Mutex    // held while cache is replaced
	pause time.Duration // the last one; 0 = no statement was ever refused
}

// newPrepared returns nil if nothing is to be prepared.
func newPrepared(pool *sql.DB, o Options) *prepared {
	if o.NoPrepare {
		return nil
	}
	p := &prepared{pool: pool, now: o.Now, log: o.Logger}
	p.cache.Store(&stmtCache{})
	return p
}

// run sends a statement by send: as a prepared statement, or as text if send gets none. If a prepared one is refused, it is sent
// as text in the same call. Nothing was executed before: see isNotPrepared.
func (p *prepared) run(ctx context.Context, q query, send func(*sql.Stmt) error) error {
	if p == nil || !hot[q] {
		return send(nil)
	}
	cache := p.cache.Load()
	if p.now().Before(cache.from) {
		return send(nil)
	}
	refused := cache.run(ctx, p.pool, q, send)
	if !isNotPrepared(refused) {
		return refused
	}
	err := send(nil)
	if !unreachable(err) { // otherwise it is the server that does not work, and not what it prepares
		p.suspend(ctx, cache, refused)
	}
	return err
}

// suspend has statements sent as text for a while. It gives up those of a cache: a connection on which one was lost would
// fail with it again and again. It logs the first of several failures in a row.
func (p *prepared) suspend(ctx context.Context, failed *stmtCache, cause error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cache.Load() != failed {
		return // another call has met it before
	}
	now := p.now()
	if p.pause > 0 && (!failed.worked.Load() || now.Sub(failed.from) < p.pause) {
		p.pause = min(2*p.pause, maxPreparePause)
	} else {
		p.pause = minPreparePause
		p.log.WarnContext(ctx, "store: prepared statements are refused or lost; statements are sent as text, and prepared "+
			"again after a pause; see MYSQL_PREPARE", "cause", quiet(cause), "pause", p.pause)
	}
	p.cache.Store(&stmtCache{from: now.Add(p.pause)})
	go failed.close()
}

// isNotPrepared reports whether a server or proxy refused to prepare a statement, or does not know one that was prepared.
// It has not executed the statement then, so the statement may be sent again whatever it does: such errors come of
// COM_STMT_PREPARE, which executes nothing, or of COM_STMT_EXECUTE before the execution begins.
func isNotPrepared(err error) bool {
	return isOf(err, notPrepared) || hasText(err, lostPreparedStmt) || hasText(err, unknownPrepared)
}

// stmtCache are statements that are prepared from some time on, and closed together.
type stmtCache struct {
	from   time.Time
	worked atomic.Bool  // at least one of them was executed
	using  sync.RWMutex // held for reading while a statement is sent, and for ever when they are closed
	stmts  [queries]atomic.Pointer[sql.Stmt]
}

// run prepares a statement if it is needed for the first time, and sends it; as text if the statements are closed.
func (c *stmtCache) run(ctx context.Context, pool *sql.DB, q query, send func(*sql.Stmt) error) error {
	if !c.using.TryRLock() {
		return send(nil)
	}
	defer c.using.RUnlock()
	stmt := c.stmts[q].Load()
	if stmt == nil {
		fresh, err := pool.PrepareContext(ctx, texts[q])
		if err != nil {
			return err
		}
		if !c.stmts[q].CompareAndSwap(nil, fresh) { // another one was faster
			fresh.Close()
		}
		stmt = c.stmts[q].Load()
	}
	err := send(stmt)
	if err == nil && !c.worked.Load() {
		c.worked.Store(true)
	}
	return err
}

// close closes the statements on all connections, so that the server has room for others. It waits until none is being sent.
func (c *stmtCache) close() {
	c.using.Lock() // and never unlocked: nothing may use them any more
	for i := range c.stmts {
		if stmt := c.stmts[i].Load(); stmt != nil {
			stmt.Close()
		}
	}
}
