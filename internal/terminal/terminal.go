// Package terminal prints text for a terminal: tables whose columns line up although Chinese characters are two columns
// wide, and texts of users without the control characters that would command the terminal.
package terminal

import (
	"io"
	"strings"
	"unicode"

	"golang.org/x/text/width"
)

const (
	gap      = 2 // columns between two cells
	ellipsis = "..."
	empty    = "-" // of an empty cell
)

// Table is a table of texts. The zero value has no rows.
type Table struct {
	Indent int // columns before each row
	rows   [][]string
}

// Row adds a row. Its cells are cleaned: see [Clean].
func (t *Table) Row(cells ...string) {
	row := make([]string, len(cells))
	for i, cell := range cells {
		if row[i] = Clean(cell); row[i] == "" {
			row[i] = empty
		}
	}
	t.rows = append(t.rows, row)
}

// Write writes the table, a line for each row.
func (t *Table) Write(w io.Writer) error {
	var widths []int
	for _, row := range t.rows {
		for i, cell := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], Width(cell))
		}
	}
	var text strings.Builder
	for _, row := range t.rows {
		text.WriteString(strings.Repeat(" ", t.Indent))
		for i, cell := range row {
			text.WriteString(cell)
			if i < len(row)-1 {
				text.WriteString(strings.Repeat(" ", widths[i]-Width(cell)+gap))
			}
		}
		text.WriteByte('\n')
	}
	_, err := io.WriteString(w, text.String())
	return err
}

// Width returns how many columns of a terminal a text without control characters takes.
func Width(s string) (columns int) {
	for _, r := range s {
		columns += runeWidth(r)
	}
	return columns
}

func runeWidth(r rune) int {
	if unicode.In(r, unicode.Mn, unicode.Me) {
		return 0 // it changes the character before it
	}
	switch width.LookupRune(r).Kind() {
	case width.EastAsianWide, width.EastAsianFullwidth:
		return 2
	}
	return 1
}

// Truncate shortens a text to at most this many columns, at least three. A shortened text ends in an ellipsis.
func Truncate(s string, columns int) string {
	if Width(s) <= columns {
		return s
	}
	columns -= len(ellipsis)
	for i, r := range s {
		if columns -= runeWidth(r); columns < 0 {
			return s[:i] + ellipsis
		}
	}
	return s
}

// Clean removes what does not print from a text: control characters, and those that change the direction of a text or join
// characters. White space becomes spaces.
func Clean(s string) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		switch {
		case unicode.IsPrint(r):
			return r
		case unicode.IsSpace(r):
			return ' '
		case unicode.Is(unicode.Cf, r):
			return -1
		}
		return '?'
	}, s))
}
