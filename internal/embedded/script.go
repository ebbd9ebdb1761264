package embedded

import (
	"context"
	"errors"

	"github.com/dolthub/vitess/go/vt/sqlparser"
)

// splitScript parts the first statement of a script from the others. others is empty when nothing but blanks and
// comments follow. A script that cannot be parsed is a first statement as a whole: the engine then says what is
// wrong with it.
//
// The engine can do this on its own, except that it fails at a CREATE VIEW that is not the last statement, and
// takes a comment at the end of a script for one more statement.
func splitScript(ctx context.Context, script string, options sqlparser.ParserOptions) (first, others string) {
	_, end, err := sqlparser.ParseOneWithOptions(ctx, script, options)
	if err != nil || end <= 0 || end >= len(script) {
		return script, ""
	}
	return script[:end], skipEmpty(ctx, script[end:], options)
}

// skipEmpty removes empty statements and comments from the beginning of a script that holds nothing else up to its
// end, or up to the next statement.
func skipEmpty(ctx context.Context, script string, options sqlparser.ParserOptions) string {
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
