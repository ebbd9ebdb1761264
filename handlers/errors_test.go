package handlers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"

	"wxlogin/internal/request"
	"wxlogin/session"
	"wxlogin/store"
	"wxlogin/wechat"
	"wxlogin/wechat/accesstoken"
)

func TestToAPIError(t *testing.T) {
	// Every error of package request has a code, its own detail, and its cause for the log.
	t.Run("classifies requests that cannot be read", func(t *testing.T) {
		early, tooLarge := iotest.ErrReader(io.ErrUnexpectedEOF), strings.NewReader(strings.Repeat(" ", request.MaxBody+1))
		tests := map[string]struct {
			contentType string
			body        io.Reader
			code        code
			detail      string
			cause       error
		}{
			"malformed":     {"application/json", strings.NewReader("[]"), codeInvalidRequest, "The body is not a JSON object.", nil},
			"ended early":   {"application/json", early, codeInvalidRequest, "The body ended early.", io.ErrUnexpectedEOF},
			"other type":    {"text/plain", strings.NewReader("code=a"), codeUnsupportedMediaType, "", nil},
			"over the size": {"application/json", tooLarge, codeRequestTooLarge, "", nil},
		}
		for name, test := range tests {
			t.Run(name, func(t *testing.T) {
				r := httptest.NewRequest(http.MethodPost, "/", test.body)
				r.Header.Set("Content-Type", test.contentType)
				_, err := request.Read(httptest.NewRecorder(), r)
				got := toAPIError(err)
				if got.code != test.code || got.detail != test.detail || !errors.Is(got.cause, test.cause) {
					t.Errorf("got %+v, want %s %q %v", got, test.code, test.detail, test.cause)
				}
			})
		}
	})

	t.Run("classifies missing and contradictory fields", func(t *testing.T) {
		f := request.Fields{"token": "abc"}
		_, missing := f.Required("iv")
		r := httptest.NewRequest(http.MethodPost, "/", nil)
		r.Header.Set("Authorization", "Bearer abd")
		_, differ := request.Token(r.Header, f)
		for want, err := range map[string]error{
			"iv is required.": missing, "Authorization and the field token differ.": differ,
		} {
			if got := toAPIError(err); fmt.Sprint(got.code, got.detail) != fmt.Sprint(codeInvalidRequest, want) {
				t.Errorf("got %+v, want %q", got, want)
			}
		}
	})
}

// A wrapped error counts like the error itself, and stays in the log as the cause.
func TestToAPIError_OtherPackages(t *testing.T) {
	for want, errs := range map[code][]error{
		codeInvalidToken:       {session.ErrNotFound, store.ErrNotFound},
		codeUndecryptable:      {wechat.ErrDecrypt},
		codeInvalidCode:        {&wechat.Error{Kind: wechat.KindInvalidCode}, &wechat.Error{Kind: wechat.KindUnusable}},
		codeUserBlocked:        {&wechat.Error{Kind: wechat.KindBlocked}},
		codeRateLimited:        {&wechat.Error{Kind: wechat.KindRateLimited}},
		codeMisconfigured:      {&wechat.Error{Kind: wechat.KindMisconfigured}},
		codeWeChatUnavailable:  {&wechat.Error{Kind: wechat.KindUnavailable}},
		codeStorageUnavailable: {session.ErrUnavailable, store.ErrUnavailable, accesstoken.ErrUnavailable, context.DeadlineExceeded},
		codeInternal:           {errors.New("unexpected")},
	} {
		for _, err := range errs {
			got := toAPIError(fmt.Errorf("outer: %w", err))
			if got.code != want {
				t.Errorf("%v: got %s, want %s", err, got.code, want)
			}
			if problems[want].status >= http.StatusInternalServerError && !errors.Is(got.cause, err) {
				t.Errorf("%v: the cause is %v", err, got.cause)
			}
		}
	}
}

func TestProblems(t *testing.T) {
	for c, p := range problems {
		if p.status < 400 || p.title == "" || p.detail == "" || p.action == "" {
			t.Errorf("%s is incomplete: %+v", c, p)
		}
		if (p.action == actionRetry) != (p.retryAfter > 0) {
			t.Errorf("%s: action %s, Retry-After %d s", c, p.action, p.retryAfter)
		}
	}
}

// The table of errors in docs/api.md lists the same codes, statuses and actions as problems.
func TestProblems_Documented(t *testing.T) {
	text, err := os.ReadFile("../docs/api.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := regexp.MustCompile("(?m)^\\| (\\d{3}) \\| `([a-z_]+)` \\| ([a-z]+) \\| (\\d*)").FindAllStringSubmatch(string(text), -1)
	if len(rows) != len(problems) {
		t.Errorf("it has %d errors, the server %d", len(rows), len(problems))
	}
	for _, row := range rows {
		p := problems[code(row[2])]
		retryAfter, _ := strconv.Atoi(row[4])
		if row[1] != fmt.Sprint(p.status) || row[3] != string(p.action) || retryAfter != p.retryAfter {
			t.Errorf("%s is %d with action %s and Retry-After %d", row[2], p.status, p.action, p.retryAfter)
		}
	}
}

// A service that uses only package session sends the same error responses, except for the request id.
func TestProblems_SessionPackage(t *testing.T) {
	for c, err := range map[code]error{codeInvalidToken: session.ErrNotFound, codeStorageUnavailable: session.ErrUnavailable} {
		theirs, ours := httptest.NewRecorder(), httptest.NewRecorder()
		session.WriteError(theirs, nil, err)
		writeProblem(ours, httptest.NewRequest("GET", "/", nil), apiError{code: c})
		var got, want problemResponse
		if json.Unmarshal(theirs.Body.Bytes(), &got) != nil || json.Unmarshal(ours.Body.Bytes(), &want) != nil || got != want {
			t.Errorf("%s: got %+v, want %+v", c, got, want)
		}
		for _, name := range []string{"Content-Type", "Cache-Control", "Retry-After", "WWW-Authenticate"} {
			if got, want := theirs.Result().Header.Get(name), ours.Result().Header.Get(name); got != want {
				t.Errorf("%s: %s is %q, want %q", c, name, got, want)
			}
		}
		if theirs.Code != problems[c].status || want.Status != theirs.Code {
			t.Errorf("%s: status %d", c, theirs.Code)
		}
	}
}

func TestMaskPhone(t *testing.T) {
	for number, want := range map[string]string{
		"13812345678":          "138****5678",
		"138123456789":         "138*****6789",
		"12345678901234567890": "123*************7890",
		"2025550123":           "*******123",
		"51234567":             "******67",
		"123":                  "**3",
		"12":                   "**",
		"":                     "",
	} {
		if got := maskPhone(number); got != want {
			t.Errorf("%s becomes %s, want %s", number, got, want)
		}
	}
}
