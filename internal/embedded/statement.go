package embedded

import (
	"context"
	"errors"

	"github.com/dolthub/go-mysql-server/sql"
	"github.com/dolthub/go-mysql-server/sql/plan"
	"github.com/dolthub/vitess/go/vt/sqlparser"
)

// finishStatement cleans up a session after a statement and reports whether a transaction is still open.
//
// The engine leaves two things behind that MySQL does not. If a statement fails outside a transaction, its implicit
// transaction stays open, with copies of the tables that the session's next statement would read, and commit, although
// they are outdated by then. And if a statement inside BEGIN commits implicitly (CREATE TABLE), autocommit stays off.
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

// rollback drops the changes of the session's transaction: they exist only in the session's copies of the tables.
func rollback(session sql.Session) {
	if session == nil {
		return
	}
	if s, ok := session.(sql.TransactionSession); ok {
		// The in-memory session does nothing here that could fail.
		_ = s.Rollback(sessionContext(session), session.GetTransaction())
	}
	session.SetIgnoreAutoCommit(false)
	session.SetTransaction(nil)
}

func sessionContext(session sql.Session) *sql.Context {
	return sql.NewContext(context.Background(), sql.WithSession(session))
}

// splitScript splits off the first statement of a script. rest is empty if only blanks and comments follow. If the
// script cannot be parsed, all of it is returned as the first statement, so that the engine reports the error.
//
// The engine can split scripts too, but it fails at a CREATE VIEW that is not the last statement, and takes a comment
// at the end of a script for another statement.
func splitScript(ctx context.Context, script string, options sqlparser.ParserOptions) (first, rest string) {
	_, end, err := sqlparser.ParseOneWithOptions(ctx, script, options)
	if err != nil || end <= 0 || end >= len(script) {
		return script, ""
	}
	return script[:end], trimEmpty(ctx, script[end:], options)
}

// trimEmpty removes empty statements and comments from the beginning of a script.
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
