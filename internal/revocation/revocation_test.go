package revocation_test

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"wxlogin/internal/csvlist"
	"wxlogin/internal/revocation"
	"wxlogin/wechat/push"
)

const (
	appA = "wx0123456789abcdef"
	appB = "wxfedcba9876543210"
)

// read reads a list. It returns the events, and the errors of lines as "line: reason".
func read(t *testing.T, text string, appIDs ...string) (events []push.Event, faults []string) {
	t.Helper()
	r, err := revocation.NewReader(strings.NewReader(text), appIDs)
	if err != nil {
		t.Fatal(err)
	}
	for last := 0; ; {
		event, line, err := r.Read()
		if errors.Is(err, io.EOF) {
			return events, faults
		}
		if line <= last {
			t.Errorf("line %d after line %d", line, last)
		}
		last = line
		fault, unreadable := errors.AsType[*csvlist.LineError](err)
		switch {
		case err == nil:
			events = append(events, event)
		case !unreadable || fault.Line != line || event.OpenID != "":
			t.Fatalf("line %d: %+v, %v", line, event, err)
		default:
			faults = append(faults, fmt.Sprint(line, ": ", fault.Reason))
		}
	}
}

func TestReader(t *testing.T) {
	at := time.Date(2026, 1, 31, 4, 0, 0, 0, time.UTC)
	for name, tt := range map[string]struct {
		text string
		want push.Event
	}{
		"plain":           {"openid,appid,revoke\noA," + appB + ",6", push.Event{OpenID: "oA", AppID: appB, Revoked: []int{6}}},
		"another order":   {"revoke,openid\n8,oA", push.Event{OpenID: "oA", AppID: appA, Revoked: []int{8}}},
		"case and spaces": {" OpenID , REVOKE \n oA , 8 ", push.Event{OpenID: "oA", AppID: appA, Revoked: []int{8}}},
		"byte order mark": {"\ufeffopenid,revoke\r\noA,8\r\n", push.Event{OpenID: "oA", AppID: appA, Revoked: []int{8}}},
		"quotes":          {"\ufeff\"openid\",\"revoke\"\r\n\"oA\", \"8\"\r\n", push.Event{OpenID: "oA", AppID: appA, Revoked: []int{8}}},
		"empty lines":     {"\n\nopenid,revoke\n\n,\n  \noA,8\n\n", push.Event{OpenID: "oA", AppID: appA, Revoked: []int{8}}},
		"commas":          {"openid,revoke\noA,\"6, 8,,99\"", push.Event{OpenID: "oA", AppID: appA, Revoked: []int{6, 8, 99}}},
		"semicolons":      {"openid,revoke\noA,6;8;", push.Event{OpenID: "oA", AppID: appA, Revoked: []int{6, 8}}},
		"spaces":          {"openid,revoke\noA,6 19  20", push.Event{OpenID: "oA", AppID: appA, Revoked: []int{6, 19, 20}}},
		"full-width":      {"openid,revoke\noA,6，8、19；20", push.Event{OpenID: "oA", AppID: appA, Revoked: []int{6, 8, 19, 20}}},
		"a time": {"openid,revoke,revoked_at\noA,6,2026-01-31T12:00:00+08:00",
			push.Event{OpenID: "oA", AppID: appA, Revoked: []int{6}, CreatedAt: at}},
		"no time":        {"openid,revoke,revoked_at\noA,6,", push.Event{OpenID: "oA", AppID: appA, Revoked: []int{6}}},
		"a cancellation": {"openid,revoke\noA,Cancel", push.Event{Event: push.AuthorizationCancelled, OpenID: "oA", AppID: appA}},
		"its event": {"openid,revoke\noA,user_authorization_cancellation",
			push.Event{Event: push.AuthorizationCancelled, OpenID: "oA", AppID: appA}},
		"numbers and cancel": {"openid,revoke\noA,6;cancel;8",
			push.Event{Event: push.AuthorizationCancelled, OpenID: "oA", AppID: appA, Revoked: []int{6, 8}}},
		"an empty appid":      {"openid,appid,revoke\noA,,6", push.Event{OpenID: "oA", AppID: appA, Revoked: []int{6}}},
		"a quoted line break": {"openid,revoke\noA,6\n\"o\nB\",6", push.Event{OpenID: "oA", AppID: appA, Revoked: []int{6}}},
	} {
		t.Run(name, func(t *testing.T) {
			apps := []string{appA}
			if tt.want.AppID == appB {
				apps = []string{appA, appB}
			}
			if tt.want.Event == "" {
				tt.want.Event = push.AuthorizationRevoked
			}
			events, _ := read(t, tt.text, apps...)
			for i := range events {
				events[i].CreatedAt = events[i].CreatedAt.UTC()
			}
			if !reflect.DeepEqual(events, []push.Event{tt.want}) {
				t.Errorf("%+v, want %+v", events, tt.want)
			}
		})
	}
}

func TestReader_BadLines(t *testing.T) {
	for line, reason := range map[string]string{
		",6":                         "openid is empty",
		"oA,":                        "revoke is empty",
		"oA,\" , \"":                 "revoke is empty",
		"oA,6,8":                     "3 values in 2 columns",
		"oA":                         "1 values in 2 columns",
		"oA,x":                       "neither a number nor",
		"oA,-6":                      "neither a number nor",
		"oA,99999999999":             "neither a number nor",
		"oA,13800138000":             "neither a number nor",
		"o\"A,6":                     "the quotes are wrong",
		"\"oA,6":                     "the quotes are wrong",
		strings.Repeat("x", 200_000): "it is too long",
		strings.Repeat("x", 65_600):  "it is too long",
	} {
		events, faults := read(t, "openid,revoke\noB,6\n"+line+"\noC,8\n", appA)
		if len(events) != 2 || events[0].OpenID != "oB" || events[1].OpenID != "oC" {
			t.Errorf("%.20q: the other lines are %+v", line, events)
		}
		if len(faults) != 1 || !strings.HasPrefix(faults[0], "3: ") || !strings.Contains(faults[0], reason) ||
			strings.Contains(faults[0], "oA") {
			t.Errorf("%.20q: %q, want %q", line, faults, reason)
		}
	}
	if _, faults := read(t, "openid,revoke,appid\noA,6,"+appB+"\noA,6,\n", appA, "wxC"); len(faults) != 2 {
		t.Errorf("unknown mini-programs: %q", faults)
	}
}

func TestNewReader(t *testing.T) {
	broken := errors.New("broken")
	_, err := revocation.NewReader(iotest.ErrReader(broken), []string{appA})
	if !errors.Is(err, broken) || errors.Is(err, csvlist.ErrHeader) {
		t.Errorf("a file that cannot be read: %v", err)
	}
	for _, header := range []string{
		"", "openid", "revoke", "openid,revoke,openid", "openid,revoke,", "openid,revoke,note", "openid\trevoke", "\"openid,revoke",
	} {
		if _, err := revocation.NewReader(strings.NewReader(header), []string{appA}); !errors.Is(err, csvlist.ErrHeader) {
			t.Errorf("%q: %v", header, err)
		}
	}
	if _, err := revocation.NewReader(strings.NewReader("openid,revoke"), []string{appA, appB}); !errors.Is(err, csvlist.ErrHeader) {
		t.Errorf("no appid, two mini-programs: %v", err)
	}
	const openID = "oGZUI0egBJY1zhBYw2KhdUfwVJJE"
	_, err = revocation.NewReader(strings.NewReader(openID+",6"), []string{appA})
	if err == nil || strings.Contains(strings.ToLower(err.Error()), strings.ToLower(openID)) {
		t.Errorf("no header: %v", err)
	}
}

// Whatever is in a file, a line is an event of one of the mini-programs, or it is refused; and the events, written as a
// list, are read as the same.
func FuzzReader(f *testing.F) {
	for _, text := range []string{
		"openid,appid,revoke\noA," + appA + ",6\n",
		"\ufeffrevoke,openid,appid,revoked_at\r\n\"6,8\",oA," + appB + ",2026-01-31T12:00:00+08:00\r\n\r\ncancel,oB," + appA + ",\r\n",
		"openid,appid,revoke\n\"o\n\"\"A\"," + appA + ",6\n,,\nx\n",
		"appid,openid,revoke\n" + appA + ",o A\x00,\"6 ; 8\"",
	} {
		f.Add([]byte(text))
	}
	apps := []string{appA, appB}
	f.Fuzz(func(t *testing.T, file []byte) {
		r, err := revocation.NewReader(bytes.NewReader(file), apps)
		if err != nil {
			if !errors.Is(err, csvlist.ErrHeader) {
				t.Fatal(err)
			}
			return
		}
		var events []push.Event
		for {
			event, _, err := r.Read()
			if errors.Is(err, io.EOF) {
				break
			}
			if fault, unreadable := errors.AsType[*csvlist.LineError](err); unreadable && fault.Reason != "" {
				continue
			}
			known := event.Event == push.AuthorizationRevoked && len(event.Revoked) > 0 || event.Event == push.AuthorizationCancelled
			if err != nil || event.OpenID == "" || !slices.Contains(apps, event.AppID) || !known {
				t.Fatalf("%+v, %v", event, err)
			}
			events = append(events, event)
		}
		again, faults := read(t, written(t, events), apps...)
		if len(faults) > 0 || len(again) != len(events) {
			t.Fatalf("%+v is read again as %+v, %q", events, again, faults)
		}
		for i := range events {
			if !events[i].CreatedAt.Equal(again[i].CreatedAt) {
				t.Fatalf("%v is read again as %v", events[i].CreatedAt, again[i].CreatedAt)
			}
			events[i].CreatedAt, again[i].CreatedAt = time.Time{}, time.Time{}
		}
		if !reflect.DeepEqual(again, events) {
			t.Fatalf("%+v is read again as %+v", events, again)
		}
	})
}

// written writes events as a list.
func written(t *testing.T, events []push.Event) string {
	var text strings.Builder
	w := csv.NewWriter(&text)
	w.Write([]string{"openid", "appid", "revoke", "revoked_at"})
	for _, e := range events {
		revoke := strings.Trim(fmt.Sprint(e.Revoked), "[]")
		if e.Event == push.AuthorizationCancelled {
			revoke += " cancel"
		}
		at := ""
		if !e.CreatedAt.IsZero() {
			at = e.CreatedAt.Format(time.RFC3339Nano)
		}
		w.Write([]string{e.OpenID, e.AppID, revoke, at})
	}
	w.Flush()
	if err := w.Error(); err != nil {
		t.Fatal(err)
	}
	return text.String()
}
