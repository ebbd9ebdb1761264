package handlers

import (
	"bytes"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

// Any body is read or refused with a code of the contract, and what is read of a form is written again the same.
func FuzzReadFields(f *testing.F) {
	f.Add(true, []byte("code=abc&appid=wx1"))
	f.Add(true, []byte("encryptedData=a+b%2B&iv=%zz"))
	f.Add(true, []byte("code=a&code=b"))
	f.Add(false, []byte(`{"code":"abc","appid":null,"x":[{}]}`))
	f.Add(false, []byte(`{"code":"a","code":"b"}`))
	f.Add(false, []byte(`{"code":1}`))
	f.Add(false, []byte(`{"code":"\ud800"}{`))
	f.Add(false, []byte(`[[[[`))
	f.Fuzz(func(t *testing.T, form bool, content []byte) {
		r := httptest.NewRequest("POST", "/", bytes.NewReader(content))
		r.Header.Set("Content-Type", "application/json")
		if form {
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		}
		got, err := readFields(httptest.NewRecorder(), r)
		if err != nil {
			if p, known := problems[classify(err).code]; !known || p.status >= 500 {
				t.Errorf("%q is answered %v", content, err)
			}
			return
		}
		checkFields(t, content, form, got)
	})
}

func checkFields(t *testing.T, content []byte, form bool, got fields) {
	again := url.Values{}
	for name, value := range got {
		if value == "" {
			t.Errorf("%q: %s is there and empty", content, name)
		}
		if !form && !knownFields[name] {
			t.Errorf("%q: the unknown field %q is read", content, name)
		}
		again.Set(name, value)
	}
	second, err := parseForm([]byte(again.Encode()))
	if err != nil || len(second) != len(got) {
		t.Errorf("%q is read as %d fields, and those as %d (%v)", content, len(got), len(second), err)
	}
}

// A token comes from one place, and only ever as it was sent.
func FuzzRequestToken(f *testing.F) {
	f.Add("Bearer abc", "")
	f.Add("bearer  abc ", "abc")
	f.Add("Basic abc", "abc")
	f.Add("", "abc")
	f.Fuzz(func(t *testing.T, header, field string) {
		r := httptest.NewRequest("POST", "/", nil)
		if header != "" {
			r.Header["Authorization"] = []string{header}
		}
		token, err := requestToken(r, fields{"token": field})
		if err == nil && token != "" && token != field && !strings.Contains(header, token) {
			t.Errorf("%q and %q give another token", header, field)
		}
		if err == nil && header != "" && field != "" && token != "" && token != field {
			t.Errorf("%q and %q differ and one was taken", header, field)
		}
	})
}

func TestProblems_are_whole(t *testing.T) {
	for c, p := range problems {
		if p.status < 400 || p.title == "" || p.detail == "" || p.action == "" {
			t.Errorf("%s is not whole: %+v", c, p)
		}
		if (p.action == actionRetry) != (p.retryAfter > 0) {
			t.Errorf("%s: action %s, Retry-After %d s", c, p.action, p.retryAfter)
		}
	}
}
