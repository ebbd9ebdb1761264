package store

import (
	"context"
	"database/sql"
	"sync/atomic"
)

// prepared are the hot statements of a pool, each prepared when it is first needed: database/sql does it once more on every
// further connection.
type prepared struct {
	pool  *sql.DB
	stmts [queries]atomic.Pointer[sql.Stmt]
}

// stmt is nil for a statement that is to be interpolated.
func (p *prepared) stmt(ctx context.Context, q query) (*sql.Stmt, error) {
	if p == nil || !hot[q] {
		return nil, nil
	}
	if stmt := p.stmts[q].Load(); stmt != nil {
		return stmt, nil
	}
	stmt, err := p.pool.PrepareContext(ctx, texts[q])
	if err != nil {
		return nil, err
	}
	if !p.stmts[q].CompareAndSwap(nil, stmt) { // another one was faster
		stmt.Close()
	}
	return p.stmts[q].Load(), nil
}
