package embedded

import (
	"context"
	"errors"

	"github.com/dolthub/go-mysql-server/sql"
	"github.com/dolthub/go-mysql-server/sql/plan"
	"github.com/dolthub/vitess/go/vt/sqlparser"
)

// settle brings a session into order after a statement and reports whether a transaction is open in it.
//
// The engine leaves two things behind that MySQL does not. A statement that failed outside a transaction leaves its
// own little transaction open, with copies of the tables that the session's next statement would read, and commit,
// although they are old by then. And a statement that commits implicitly (CREATE TABLE) inside BEGIN leaves
// autocommit off.
func finishStatement(session sql.Session) bool {
	if session == nil {
		return false
	}
	inTransaction := session.GetTransaction() != nil
	explicit := session.GetIgnoreAutoCommit()
	switch {
	case !inTransaction && explicit:
		session.SetIgnoreAutoCommit(false)
	case inTransaction && !explicit && isAutocommit(session):
		rollback(session)
		inTransaction = false
	}
	return inTransaction
}

func isAutocommit(session sql.Session) bool {
	on, err := plan.IsSessionAutocommit(sessionContext(session))
	return err != nil || on
}

// rollback drops what the session's transaction has changed: those copies are all there is of it.
func rollback(session sql.Session) {
	if session == nil {
		return
	}
	if s, ok := session.(sql.TransactionSession); ok {
		// The in-memory session has nothing to do here that could fail.
		_ = s.Rollback(sessionContext(session), session.GetTransaction())
	}
	session.SetIgnoreAutoCommit(false)
	session.SetTransaction(nil)
}

func sessionContext(session sql.Session) *sql.Context {
	return sql.NewContext(context.Background(), sql.WithSession(session))
}

// splitScript parts the first statement of a script from the others. others is empty when nothing but blanks and
// comments follow. A script that cannot be parsed is a first statement as a whole: the engine then says what is
// wrong with it.
//
// The engine can do this on its own, except that it fails at a CREATE VIEW that is not the last statement, and
// takes a comment at the end of a script for one more statement.
func splitScript(ctx context.Context, script string, options sqlparser.ParserOptions) (first, rest string) {
	_, end, err := sqlparser.ParseOneWithOptions(ctx, script, options)
	if err != nil || end <= 0 || end >= len(script) {
		return script, ""
	}
	return script[:end], trimEmpty(ctx, script[end:], options)
}

// trimEmpty removes empty statements and comments from the beginning of a script that holds nothing else up to its
// end, or up to the next statement.
func trimEmpty(ctx context.Context, script string, options sqlparser.ParserOptions) string {
	for script != "" {
		_, end, err := sqlparser.ParseOneWithOptions(ctx, script, options)
		if !errors.Is(err, sqlparser.ErrEmpty) {
			return script
		}
		if end <= 0 || end >= len(script) {
			return ""
		}
		script = script[end:]
	}
	return ""
}
