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

	"wxlogin/internal/batch"
)

// stmtID is one of the hot statements, which are sent as they are written here.
type stmtID int

const (
	selectByIdentity stmtID = iota
	selectBy4Identities
	selectBy16Identities
	selectByUnionID
	updateProfile
	update4Profiles
	update16Profiles
	updateLastLogin
	updateLastSeen
	insertUser
	insertIdentities // one row, followed by the statements for two, three and so on
	numStmts         = insertIdentities + batch.MaxBatch
)

const selectUser = "SELECT u.id, u.unionid, u.status, u.merged_into, u.nickname, u.avatar_url, u.gender, u.country, " +
	"u.province, u.city, u.language, u.profile_as_of, u.profile_updated_at, u.profile_source, u.phone_country_code, " +
	"u.phone_number, u.phone_bound_at, u.created_at, u.updated_at, u.last_login_at, u.last_seen_at, u.nickname_as_of, " +
	"u.avatar_as_of, u.external_id"

// ifAsRead is the condition of a write of last_seen_at: the user is active, and has not been seen since the row was read.
const ifAsRead = " WHERE id = ? AND status = ? AND last_login_at = ? AND last_seen_at <=> ?"

const fromIdentities = " FROM wechat_identities i JOIN users u ON u.id = i.user_id WHERE i.appid = ? AND i.openid "

// stmtSQL are the texts of the hot statements. A SELECT of several rows has a LIMIT, which overrides the server's
// sql_select_limit. A test checks the query plan of each.
var stmtSQL = withInsertIdentities([numStmts]string{
	selectByIdentity:     selectUser + fromIdentities + "= ?",
	selectBy4Identities:  selectUser + ", i.openid" + fromIdentities + "IN (" + repeat(4, "?", ", ") + ") LIMIT 4",
	selectBy16Identities: selectUser + ", i.openid" + fromIdentities + "IN (" + repeat(16, "?", ", ") + ") LIMIT 16",
	selectByUnionID:      selectUser + " FROM users u WHERE u.unionid = ?",

	updateProfile:    updateProfilesSQL(1),
	update4Profiles:  updateProfilesSQL(4),
	update16Profiles: updateProfilesSQL(16),
	updateLastLogin:  "UPDATE users SET last_login_at = ?, last_seen_at = ?" + ifAsRead,
	updateLastSeen:   "UPDATE users SET last_seen_at = ?" + ifAsRead,

	insertUser: "INSERT INTO users (unionid, status, created_at, updated_at, last_login_at, last_seen_at) VALUES (?, ?, ?, ?, ?, ?)",
})

func withInsertIdentities(texts [numStmts]string) [numStmts]string {
	for n := range batch.MaxBatch {
		texts[insertIdentities+stmtID(n)] = "INSERT INTO wechat_identities (appid, openid, user_id, created_at) VALUES " +
			repeat(n+1, "(?, ?, ?, ?)", ", ")
	}
	return texts
}

// updateProfilesSQL is the UPDATE of a number of profiles, each on the condition that the row is as it was read. NULL
// for a column keeps its value at that moment. So one text covers every combination of columns.
func updateProfilesSQL(users int) string {
	value, where := "?", "id = ? AND status = ? AND profile_updated_at <=> ?"
	if users > 1 {
		value = "CASE id " + repeat(users, "WHEN ? THEN ?", " ") + " END"
		where = "id IN (" + repeat(users, "?", ", ") + ") AND status = ? AND (" +
			repeat(users, "id = ? AND profile_updated_at <=> ?", " OR ") + ")"
	}
	var set strings.Builder
	for _, column := range profileColumns {
		set.WriteString(column + " = COALESCE(" + value + ", " + column + "), ")
	}
	return "UPDATE users SET " + set.String() + "profile_as_of = " + value + ", profile_updated_at = " + value +
		", updated_at = " + value + " WHERE " + where
}

// repeat joins n copies of text.
func repeat(n int, text, separator string) string {
	return strings.Join(slices.Repeat([]string{text}, n), separator)
}

// stmtSizes are the two statements for a batch, for 4 and for 16 rows.
type stmtSizes struct{ four, sixteen stmtID }

// forCount returns the statement for n rows, and for how many rows it is made.
func (s stmtSizes) forCount(n int) (id stmtID, size int) {
	if n <= 4 {
		return s.four, 4
	}
	return s.sixteen, batch.MaxBatch
}

// padded repeats the last element until there are size of them.
func padded[T any](all []T, size int) []T {
	return append(slices.Clip(all), slices.Repeat(all[len(all)-1:], size-len(all))...)
}

// hotQueries sends the hot statements: prepared on the pool, interpolated in a transaction.
type hotQueries struct {
	db    dbtx
	stmts *stmtCache // nil = interpolate
	log   statementLog
}

// dbtx is a pool or a transaction.
type dbtx interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
}

func newHotQueries(pool *sql.DB, o Options) hotQueries {
	return hotQueries{db: pool, stmts: newStmtCache(pool, o), log: statementLog{o.Logger, slowStatement}}
}

// withTx returns hotQueries for a transaction.
func (q hotQueries) withTx(tx dbtx) hotQueries { return hotQueries{db: tx, log: q.log} }

// queryUser returns the user that a statement selects, or ErrNotFound.
func (q hotQueries) queryUser(ctx context.Context, id stmtID, args ...any) (row userRow, err error) {
	err = q.query(ctx, id, args, func(rows *sql.Rows) error { return rows.Scan(row.columns()...) })
	if err == nil && row.ID == 0 {
		err = ErrNotFound
	}
	return row, err
}

// query calls scan for each row that a statement selects.
func (q hotQueries) query(ctx context.Context, id stmtID, args []any, scan func(*sql.Rows) error) error {
	defer q.log.logSlow(ctx, time.Now(), stmtSQL[id])
	rows, err := q.rows(ctx, id, args)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

func (q hotQueries) rows(ctx context.Context, id stmtID, args []any) (rows *sql.Rows, err error) {
	err = q.stmts.run(ctx, id, func(stmt *sql.Stmt) (err error) {
		if stmt == nil {
			rows, err = q.db.QueryContext(ctx, stmtSQL[id], args...)
		} else {
			rows, err = stmt.QueryContext(ctx, args...)
		}
		return err
	})
	return rows, err
}

// update returns the number of rows that an UPDATE changed.
func (q hotQueries) update(ctx context.Context, id stmtID, args ...any) (rows int64, err error) {
	result, err := q.exec(ctx, id, args)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

// mustUpdate returns errConflict if an UPDATE changed fewer rows than it should: they are no longer as they were read.
func (q hotQueries) mustUpdate(ctx context.Context, want int, id stmtID, args ...any) error {
	rows, err := q.update(ctx, id, args...)
	if err == nil && rows < int64(want) {
		err = errConflict
	}
	return err
}

// insert returns the id that the server gave the new row.
func (q hotQueries) insert(ctx context.Context, id stmtID, args ...any) (rowID uint64, err error) {
	result, err := q.exec(ctx, id, args)
	if err != nil {
		return 0, err
	}
	n, err := result.LastInsertId()
	return uint64(n), err
}

func (q hotQueries) exec(ctx context.Context, id stmtID, args []any) (result sql.Result, err error) {
	defer q.log.logSlow(ctx, time.Now(), stmtSQL[id])
	err = q.stmts.run(ctx, id, func(stmt *sql.Stmt) (err error) {
		if stmt == nil {
			result, err = q.db.ExecContext(ctx, stmtSQL[id], args...)
		} else {
			result, err = stmt.ExecContext(ctx, args...)
		}
		return err
	})
	return result, err
}

const (
	// minPreparePause is how long statements are interpolated after one could not be prepared. The pause doubles each
	// time that preparing fails again, up to maxPreparePause.
	minPreparePause = time.Minute
	maxPreparePause = time.Hour
)

// stmtCache prepares the hot statements of a pool, each when it is first used. database/sql prepares it again on every
// further connection.
//
// A server may have reached its limit of prepared statements, and a proxy may not support them, or lose them. If that
// happens, statements are interpolated for a while and then prepared again.
type stmtCache struct {
	pool *sql.DB
	now  func() time.Time
	log  *slog.Logger
	set  atomic.Pointer[stmtSet]

	mu    sync.Mutex    // held while set is replaced
	pause time.Duration // the last one; 0 = preparing has never failed
}

// newStmtCache returns nil if nothing is to be prepared.
func newStmtCache(pool *sql.DB, o Options) *stmtCache {
	if o.NoPrepare {
		return nil
	}
	c := &stmtCache{pool: pool, now: o.Now, log: o.Logger}
	c.set.Store(&stmtSet{})
	return c
}

// run calls send with the prepared statement, or with nil if the statement is to be interpolated. If the server refuses
// a prepared one, run calls send again with nil. The refused one was not executed: see isNotPrepared.
func (c *stmtCache) run(ctx context.Context, id stmtID, send func(*sql.Stmt) error) error {
	if c == nil {
		return send(nil)
	}
	set := c.set.Load()
	if c.now().Before(set.validFrom) {
		return send(nil)
	}
	refused := set.run(ctx, c.pool, id, send)
	if !isNotPrepared(refused) {
		return refused
	}
	err := send(nil)
	if !isUnavailable(err) { // otherwise the server itself is failing, not its prepared statements
		c.suspend(ctx, set, refused)
	}
	return err
}

// suspend interpolates all statements for a while. It drops the failed set, because a connection that has lost a
// statement would fail again each time. It logs only the first of several failures in a row.
func (c *stmtCache) suspend(ctx context.Context, failed *stmtSet, cause error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.set.Load() != failed {
		return // another call was first
	}
	now := c.now()
	if c.pause > 0 && (!failed.worked.Load() || now.Sub(failed.validFrom) < c.pause) {
		c.pause = min(2*c.pause, maxPreparePause)
	} else {
		c.pause = minPreparePause
		c.log.WarnContext(ctx, "store: prepared statements are refused or lost; sending statements as text, will prepare "+
			"again after a pause; see MYSQL_PREPARE", "cause", redact(cause), "pause", c.pause)
	}
	c.set.Store(&stmtSet{validFrom: now.Add(c.pause)})
	go failed.close()
}

// stmtSet holds prepared statements that are closed together.
type stmtSet struct {
	validFrom time.Time
	worked    atomic.Bool  // at least one statement was executed
	using     sync.RWMutex // read-locked while a statement is sent; locked for good when the set is closed
	stmts     [numStmts]atomic.Pointer[sql.Stmt]
}

// run prepares a statement on first use and sends it. If the set is closed, it calls send with nil.
func (s *stmtSet) run(ctx context.Context, pool *sql.DB, id stmtID, send func(*sql.Stmt) error) error {
	if !s.using.TryRLock() {
		return send(nil)
	}
	defer s.using.RUnlock()
	stmt := s.stmts[id].Load()
	if stmt == nil {
		fresh, err := pool.PrepareContext(ctx, stmtSQL[id])
		if err != nil {
			return err
		}
		if !s.stmts[id].CompareAndSwap(nil, fresh) { // another call was first
			fresh.Close()
		}
		stmt = s.stmts[id].Load()
	}
	err := send(stmt)
	if err == nil && !s.worked.Load() {
		s.worked.Store(true)
	}
	return err
}

// close closes the statements on all connections once none is being sent, which frees their room on the server.
func (s *stmtSet) close() {
	s.using.Lock() // never unlocked: the set must not be used again
	for i := range s.stmts {
		if stmt := s.stmts[i].Load(); stmt != nil {
			stmt.Close()
		}
	}
}
