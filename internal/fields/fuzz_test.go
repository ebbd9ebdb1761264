package fields

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// post is a request with a body. It is made by hand: httptest.NewRequest parses a whole request for each.
func post(contentType string, body []byte) *http.Request {
	return &http.Request{
		Method: http.MethodPost, Header: http.Header{"Content-Type": {contentType}},
		Body: io.NopCloser(bytes.NewReader(body)), ContentLength: int64(len(body)),
	}
}

// Any body is read or refused, and what is read is written again the same.
func FuzzRead(f *testing.F) {
	f.Add(true, []byte("code=abc&appid=wx1"))
	f.Add(true, []byte("encryptedData=a+b%2B&iv=%zz"))
	f.Add(true, []byte("code=a&code=b"))
	f.Add(true, []byte("token=a&everywhere=true"))
	f.Add(false, []byte(`{"code":"abc","appid":null,"x":[{}]}`))
	f.Add(false, []byte(`{"code":"a","code":"b"}`))
	f.Add(false, []byte(`{"code":1}`))
	f.Add(false, []byte(`{"token":"a","everywhere":true}`))
	f.Add(false, []byte(`{"everywhere":"false"}`))
	f.Add(false, []byte(`{"code":"\ud800"}{`))
	f.Add(false, []byte(`[[[[`))
	f.Fuzz(func(t *testing.T, form bool, content []byte) {
		contentType := "application/json"
		if form {
			contentType = "application/x-www-form-urlencoded"
		}
		got, err := Read(nil, post(contentType, content))
		if err != nil {
			checkRefusal(t, content, err)
			return
		}
		checkFields(t, content, form, got)
	})
}

// checkRefusal fails unless err is one of those that Read documents for a body of this length.
func checkRefusal(t *testing.T, content []byte, err error) {
	if e, ok := errors.AsType[*Error](err); ok && e.Detail != "" && e.Cause == nil {
		return
	}
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok && len(content) > MaxBody {
		return
	}
	t.Errorf("%q is refused as %v", content, err)
}

func checkFields(t *testing.T, content []byte, form bool, got Fields) {
	again := url.Values{}
	for name, value := range got {
		if value == "" {
			t.Errorf("%q: %s is there and empty", content, name)
		}
		if !form && known[name] == 0 {
			t.Errorf("%q: the unknown field %q is read", content, name)
		}
		again.Set(name, value)
	}
	second, err := parseForm([]byte(again.Encode()))
	if err != nil || len(second) != len(got) {
		t.Errorf("%q is read as %d fields, and those as %d (%v)", content, len(got), len(second), err)
	}
	for name, value := range got {
		if second[name] != value {
			t.Errorf("%q: the field %q is another when it is read again", content, name)
		}
	}
}

// A token comes from one place, and only ever as it was sent.
func FuzzToken(f *testing.F) {
	f.Add("Bearer abc", false, "")
	f.Add("bearer  abc ", false, "abc")
	f.Add("Bearer abc", true, "abc")
	f.Add("Basic abc", false, "abc")
	f.Add("Bearer", false, "abc")
	f.Add("", false, "abc")
	f.Fuzz(func(t *testing.T, header string, twice bool, field string) {
		h := http.Header{}
		if header != "" {
			h.Add("Authorization", header)
		}
		if twice {
			h.Add("Authorization", header)
		}
		token, err := Token(h, Fields{"token": field})
		if err != nil {
			if _, ok := errors.AsType[*Error](err); !ok || token != "" || field == "" {
				t.Errorf("%q and %q: %q, %v", header, field, token, err)
			}
			return
		}
		if token == "" {
			return
		}
		if len(h) == 0 && token != field || len(h) != 0 && !strings.HasSuffix(strings.TrimSpace(header), token) {
			t.Errorf("%q and %q give another token", header, field)
		}
		if len(h) != 0 && (twice || field != "" && token != field) {
			t.Errorf("%q (twice: %v) and %q differ and one was taken", header, twice, field)
		}
	})
}
