// Package csvlist reads lists of users that operators have: CSV in UTF-8, whose first line names the columns, in any order.
//
//	list, err := csvlist.NewReader(file, []string{"openid", "phone"}, "openid")
//	line, err := list.Read()      // until io.EOF; a *LineError is about one line, and the next one can be read
//	line.Value("openid")
//
// A byte order mark, CR LF and the case of the names do not matter. A value has no line break. Errors do not contain what is
// in a line.
package csvlist

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
)

// maxLine is the maximum length of a line in bytes.
const maxLine = 64 << 10

// ErrHeader means that the first line does not name the columns of a list.
var ErrHeader = errors.New("the first line does not name the columns")

// LineError is a fault of one line. The lines after it can be read.
type LineError struct {
	Line   int // the first is 1
	Reason string
}

// Error implements error.
func (e *LineError) Error() string { return fmt.Sprintf("line %d: %s", e.Line, e.Reason) }

// Reader reads a list.
type Reader struct {
	lines  *bufio.Reader
	line   int            // the number of the last line read
	column map[string]int // where the columns are
	width  int            // the number of columns
}

// NewReader reads the first line of a list, which may name these columns and must name the required ones. Errors: ErrHeader,
// and those of r.
func NewReader(r io.Reader, columns []string, required ...string) (*Reader, error) {
	list := &Reader{lines: bufio.NewReaderSize(r, maxLine)}
	cells, err := list.next()
	var fault *LineError
	switch {
	case errors.Is(err, io.EOF):
		return nil, fmt.Errorf("%w: the file is empty", ErrHeader)
	case errors.As(err, &fault):
		return nil, fmt.Errorf("%w: %s", ErrHeader, fault.Reason)
	case err != nil:
		return nil, err
	}
	return list, list.setColumns(cells, columns, required)
}

// columnName matches what may be shown of a header: a file without a header begins with an openid.
var columnName = regexp.MustCompile(`^[a-z_ ]{1,20}$`)

func (r *Reader) setColumns(cells, columns, required []string) error {
	r.column, r.width = make(map[string]int), len(cells)
	for i, cell := range cells {
		name := strings.ToLower(cell)
		if !slices.Contains(columns, name) {
			text := ""
			if columnName.MatchString(name) {
				text = fmt.Sprintf(" (%q)", name)
			}
			return fmt.Errorf("%w: column %d%s is none of %s", ErrHeader, i+1, text, strings.Join(columns, ", "))
		}
		if _, ok := r.column[name]; ok {
			return fmt.Errorf("%w: %s is there twice", ErrHeader, name)
		}
		r.column[name] = i
	}
	for _, name := range required {
		if _, ok := r.column[name]; !ok {
			return fmt.Errorf("%w: there is no column %s", ErrHeader, name)
		}
	}
	return nil
}

// Line is a line of a list.
type Line struct {
	list  *Reader
	cells []string
}

// Value returns the value in a column without white space around it, or "" if the list does not have the column.
func (l Line) Value(column string) string {
	if i, ok := l.list.column[column]; ok {
		return l.cells[i]
	}
	return ""
}

// Read returns the next line. It skips lines without a value.
//
// Errors: *LineError, after which the next line can be read; io.EOF after the last line; those of the file.
func (r *Reader) Read() (Line, error) {
	cells, err := r.next()
	if err == nil && len(cells) != r.width {
		err = r.Fault(fmt.Sprintf("%d values in %d columns; a value with a comma needs quotes", len(cells), r.width))
	}
	if err != nil {
		return Line{}, err
	}
	return Line{r, cells}, nil
}

// Number returns the number of the last line that was read.
func (r *Reader) Number() int { return r.line }

// Fault returns an error of the last line that was read.
func (r *Reader) Fault(reason string) error { return &LineError{r.line, reason} }

const byteOrderMark = "\ufeff"

// next returns the values of the next line that has some.
func (r *Reader) next() ([]string, error) {
	for {
		line, err := r.readLine()
		if err != nil {
			return nil, err
		}
		if r.line == 1 {
			line = bytes.TrimPrefix(line, []byte(byteOrderMark))
		}
		cells, err := splitLine(line)
		if err != nil {
			return nil, &LineError{r.line, "the quotes are wrong"}
		}
		if strings.Join(cells, "") != "" {
			return cells, nil
		}
	}
}

// readLine returns the next line without its end. Each line is read alone, so that wrong quotes spoil one line only.
func (r *Reader) readLine() ([]byte, error) {
	line, err := r.lines.ReadSlice('\n')
	tooLong := false
	for errors.Is(err, bufio.ErrBufferFull) {
		tooLong = true
		_, err = r.lines.ReadSlice('\n')
	}
	if err != nil && !(errors.Is(err, io.EOF) && (len(line) > 0 || tooLong)) {
		return nil, err
	}
	r.line++
	if tooLong {
		return nil, &LineError{r.line, "it is too long"}
	}
	return bytes.TrimRight(line, "\r\n"), nil
}

// splitLine returns the values of a line of CSV, without white space around them; none of an empty line.
func splitLine(line []byte) ([]string, error) {
	reader := csv.NewReader(bytes.NewReader(line))
	reader.TrimLeadingSpace = true
	cells, err := reader.Read()
	if errors.Is(err, io.EOF) {
		return nil, nil
	}
	for i, cell := range cells {
		cells[i] = strings.TrimSpace(cell)
	}
	return cells, err
}
