package request

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"unicode/utf16"
	"unicode/utf8"
)

// post returns a request. It does not use httptest.NewRequest, which parses a whole request each time.
func post(contentType string, body []byte) *http.Request {
	return &http.Request{
		Method: http.MethodPost, Header: http.Header{"Content-Type": {contentType}},
		Body: io.NopCloser(bytes.NewReader(body)), ContentLength: int64(len(body)),
	}
}

// FuzzRead checks that a body is read or rejected, and that what was read survives a round trip.
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
	f.Add(true, []byte("nickName=%ff"))
	f.Add(true, []byte("%ED%A0%BD=%00"))
	f.Add(false, []byte(`{"x":["\\ud83d\ud83d\ude00"],"nickName":"\ude00\ud83d"}`))
	f.Add(false, []byte("{\"a\xff\":1}"))
	f.Add(false, []byte(`{"x":{"\u0000":1}}`))
	f.Fuzz(func(t *testing.T, form bool, content []byte) {
		contentType := "application/json"
		if form {
			contentType = "application/x-www-form-urlencoded"
		}
		got, err := Read(nil, post(contentType, content))
		if err != nil {
			checkRejection(t, content, err)
			return
		}
		checkFields(t, content, form, got)
	})
}

// checkRejection checks that err is one that Read documents for a body of this length.
func checkRejection(t *testing.T, content []byte, err error) {
	if e, ok := errors.AsType[*Error](err); ok && e.Detail != "" && e.Cause == nil {
		return
	}
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok && len(content) > MaxBody {
		return
	}
	t.Errorf("%q is rejected with %v", content, err)
}

// FuzzRead_forms_and_JSON_alike checks that a text is read the same, or rejected, in a form and in JSON, in a name and
// in a value, and however JSON escapes it. Invalid UTF-8 is always rejected.
func FuzzRead_forms_and_JSON_alike(f *testing.F) {
	for _, s := range []string{"", "a", "a\xff", "\xed\xa0\xbd", "\xed\xa0\xbd\xed\xb8\x80", "\xf0\x9f\x98\x80", "\x00", `\ud83d`, "\ufffd", `"\`, "%00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > MaxBody/20 {
			return
		}
		good := utf8.ValidString(text) && !strings.Contains(text, "\x00")
		for name, body := range map[string]struct{ contentType, content string }{
			"form":          {"application/x-www-form-urlencoded", "nickName=" + url.QueryEscape(text)},
			"form's name":   {"application/x-www-form-urlencoded", "nickName=" + url.QueryEscape(text) + "&x" + url.QueryEscape(text) + "=1"},
			"JSON":          {"application/json", `{"nickName":` + quoted(text, false) + "}"},
			"JSON, escaped": {"application/json", `{"nickName":` + quoted(text, true) + "}"},
			"JSON's name":   {"application/json", `{"nickName":` + quoted(text, true) + `,` + quoted("x"+text, false) + ":1}"},
			"JSON's other":  {"application/json", `{"nickName":` + quoted(text, true) + `,"x":[{"y":` + quoted(text, true) + "}]}"},
		} {
			got, err := Read(nil, post(body.contentType, []byte(body.content)))
			if (err == nil) != good || got["nickName"] != text && good {
				t.Errorf("%s: %q is read as %q, %v", name, text, got, err)
			}
		}
	})
}

// quoted returns a text as a JSON string, with non-ASCII characters escaped if escape is true. Half a surrogate pair in
// UTF-8 (ED A0 80 to ED BF BF) becomes the escape of that half.
func quoted(s string, escape bool) string {
	var b strings.Builder
	b.WriteByte('"')
	pair := false // the previous escape was half a pair, which another half would complete
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		half := n == 1 && len(s) >= i+3 && s[i] == 0xed && s[i+1] >= 0xa0 && s[i+1] <= 0xbf && s[i+2] >= 0x80 && s[i+2] <= 0xbf
		half = half && !pair
		pair = half
		switch {
		case escape && half:
			fmt.Fprintf(&b, `\u%04x`, 0xd000|int(s[i+1]&0x3f)<<6|int(s[i+2]&0x3f))
			n = 3
		case r < ' ' || r == '"' || r == '\\':
			fmt.Fprintf(&b, `\u%04x`, r)
		case escape && r >= 0x80 && (r != utf8.RuneError || n > 1):
			for _, unit := range utf16.Encode([]rune{r}) {
				fmt.Fprintf(&b, `\u%04X`, unit)
			}
		default:
			b.WriteString(s[i : i+n])
		}
		i += n
	}
	b.WriteByte('"')
	return b.String()
}

func checkFields(t *testing.T, content []byte, form bool, got Fields) {
	again := url.Values{}
	for name, value := range got {
		if value == "" {
			t.Errorf("%q: %s is present but empty", content, name)
		}
		if !utf8.ValidString(name+value) || strings.Contains(name+value, "\x00") {
			t.Errorf("%q: the field %q is %q", content, name, value)
		}
		if !form && knownFields[name] == 0 {
			t.Errorf("%q: the unknown field %q is read", content, name)
		}
		again.Set(name, value)
	}
	second, err := parseForm([]byte(again.Encode()))
	if err != nil || len(second) != len(got) {
		t.Errorf("%q is read as %d fields, and those again as %d (%v)", content, len(got), len(second), err)
	}
	for name, value := range got {
		if second[name] != value {
			t.Errorf("%q: the field %q changes in a round trip", content, name)
		}
	}
}

// FuzzToken checks that a token comes from one place, unchanged.
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
			t.Errorf("%q and %q return a different token", header, field)
		}
		if len(h) != 0 && (twice || field != "" && token != field) {
			t.Errorf("%q (twice: %v) and %q differ and one was taken", header, twice, field)
		}
	})
}
