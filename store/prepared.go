package store

import (
	"context"
	"database/sql"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

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
