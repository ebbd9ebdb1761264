// Package revocation reads lists of users who have withdrawn a consent or closed their WeChat account, as WeChat mails them
// to the owner of a mini-program every day. A list is CSV whose first line names the columns:
//
//	openid,appid,revoke
//	oGZUI0egBJY1zhBYw2KhdUfwVJJE,wx0123456789abcdef,"6,8"
//	oGZUI0SM5T6ZsJ4wLrLMxTYq6t5k,wx0123456789abcdef,cancel
//
// A line becomes the event that WeChat pushes for it: see package push. Errors do not contain what is in a line.
package revocation

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"wxlogin/wechat/push"
)

// The columns. The order is free, and so is the case of the names.
const (
	columnOpenID    = "openid"
	columnAppID     = "appid"      // required if there are several mini-programs
	columnRevoke    = "revoke"     // numbers as in RevokeInfo, or a word of cancelWords
	columnRevokedAt = "revoked_at" // when, in RFC 3339; optional
)

var columns = []string{columnOpenID, columnAppID, columnRevoke, columnRevokedAt}

// cancelWords mean that a person has closed the WeChat account.
var cancelWords = []string{"cancel", "cancellation", push.AuthorizationCancelled}

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
	line   int // the number of the last line read
	appIDs []string
	column map[string]int // where the columns are
	width  int            // the number of columns
}

// NewReader reads the first line of a list. appIDs are the mini-programs whose users may be in it. Errors: ErrHeader, and
// those of r.
func NewReader(r io.Reader, appIDs []string) (*Reader, error) {
	list := &Reader{lines: bufio.NewReaderSize(r, maxLine), appIDs: appIDs}
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
	return list, list.setColumns(cells)
}

// columnName matches what may be shown of a header: a file without a header begins with an openid.
var columnName = regexp.MustCompile(`^[a-z_ ]{1,20}$`)

func (r *Reader) setColumns(cells []string) error {
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
	required := []string{columnOpenID, columnRevoke}
	if len(r.appIDs) != 1 {
		required = append(required, columnAppID)
	}
	for _, name := range required {
		if _, ok := r.column[name]; !ok {
			return fmt.Errorf("%w: there is no column %s", ErrHeader, name)
		}
	}
	return nil
}

// Read returns the event of the next line, and the number of that line. It skips lines without a value.
//
// Errors: *LineError, after which the next line can be read; io.EOF after the last line; those of the file.
func (r *Reader) Read() (event push.Event, line int, err error) {
	cells, err := r.next()
	if err != nil {
		return push.Event{}, r.line, err
	}
	event, reason := r.event(cells)
	if reason != "" {
		return push.Event{}, r.line, &LineError{r.line, reason}
	}
	return event, r.line, nil
}

// event makes an event of a line, or returns what is wrong with it.
func (r *Reader) event(cells []string) (e push.Event, reason string) {
	if len(cells) != r.width {
		return e, fmt.Sprintf("%d values in %d columns; a value with a comma needs quotes", len(cells), r.width)
	}
	cell := func(name string) string {
		if i, ok := r.column[name]; ok {
			return cells[i]
		}
		return ""
	}
	e.OpenID, e.AppID = cell(columnOpenID), cell(columnAppID)
	if e.AppID == "" && len(r.appIDs) == 1 {
		e.AppID = r.appIDs[0]
	}
	if e.OpenID == "" {
		return e, "openid is empty"
	}
	if !slices.Contains(r.appIDs, e.AppID) {
		return e, "appid is not a mini-program of this server"
	}
	if at := cell(columnRevokedAt); at != "" {
		var err error
		if e.CreatedAt, err = time.Parse(time.RFC3339, at); err != nil {
			return e, "revoked_at is not a time such as 2026-01-31T12:00:00+08:00"
		}
	}
	return e, setRevoked(&e, cell(columnRevoke))
}

// setRevoked sets what a person has withdrawn, or returns what is wrong with the text.
func setRevoked(e *push.Event, text string) (reason string) {
	parts := strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(" \t,;，；、", r) })
	if len(parts) == 0 {
		return "revoke is empty"
	}
	e.Event = push.AuthorizationRevoked
	for _, part := range parts {
		if slices.Contains(cancelWords, strings.ToLower(part)) {
			e.Event = push.AuthorizationCancelled
			continue
		}
		number, err := strconv.ParseUint(part, 10, 31)
		if err != nil {
			return `revoke has something that is neither a number nor "cancel"`
		}
		e.Revoked = append(e.Revoked, int(number))
	}
	return ""
}

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
