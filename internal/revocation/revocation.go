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
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"wxlogin/internal/csvlist"
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

// Reader reads a list.
type Reader struct {
	list   *csvlist.Reader
	appIDs []string
}

// NewReader reads the first line of a list. appIDs are the mini-programs whose users may be in it. Errors: csvlist.ErrHeader,
// and those of r.
func NewReader(r io.Reader, appIDs []string) (*Reader, error) {
	required := []string{columnOpenID, columnRevoke}
	if len(appIDs) != 1 {
		required = append(required, columnAppID)
	}
	list, err := csvlist.NewReader(r, columns, required...)
	return &Reader{list, appIDs}, err
}

// Read returns the event of the next line, and the number of that line. It skips lines without a value.
//
// Errors: *csvlist.LineError, after which the next line can be read; io.EOF after the last line; those of the file.
func (r *Reader) Read() (event push.Event, line int, err error) {
	values, err := r.list.Read()
	if err != nil {
		return push.Event{}, r.list.Number(), err
	}
	event, reason := r.event(values)
	if reason != "" {
		return push.Event{}, r.list.Number(), r.list.Fault(reason)
	}
	return event, r.list.Number(), nil
}

// event makes an event of a line, or returns what is wrong with it.
func (r *Reader) event(line csvlist.Line) (e push.Event, reason string) {
	e.OpenID, e.AppID = line.Value(columnOpenID), line.Value(columnAppID)
	if e.AppID == "" && len(r.appIDs) == 1 {
		e.AppID = r.appIDs[0]
	}
	if e.OpenID == "" {
		return e, "openid is empty"
	}
	if !slices.Contains(r.appIDs, e.AppID) {
		return e, "appid is not a mini-program of this server"
	}
	if at := line.Value(columnRevokedAt); at != "" {
		var err error
		if e.CreatedAt, err = time.Parse(time.RFC3339, at); err != nil {
			return e, "revoked_at is not a time such as 2026-01-31T12:00:00+08:00"
		}
	}
	return e, setRevoked(&e, line.Value(columnRevoke))
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
