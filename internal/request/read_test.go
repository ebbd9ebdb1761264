package request

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf16"
	"unicode/utf8"
)

func read(contentType string, body io.Reader) (Fields, error) {
	r := httptest.NewRequest(http.MethodPost, "/", body)
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	return Read(httptest.NewRecorder(), r)
}

func TestRead(t *testing.T) {
	longest := strings.Repeat("a", MaxBody-len("code="))
	tests := map[string]struct {
		contentType, body string
		want              Fields
	}{
		"form":                       {formType, "code=a+b%2B&appid=wx1", Fields{"code": "a b+", "appid": "wx1"}},
		"form with charset":          {formType + "; charset=UTF-8", "code=a", Fields{"code": "a"}},
		"form without body":          {formType, "", Fields{}},
		"form empty field":           {formType, "code=&iv", Fields{}},
		"form flag":                  {formType, "everywhere=true", Fields{"everywhere": "true"}},
		"json":                       {jsonType, `{"code":"a","appid":"wx1"}`, Fields{"code": "a", "appid": "wx1"}},
		"json null or empty":         {jsonType, `{"code":null,"iv":"","everywhere":null}`, Fields{}},
		"json unknown ones ignored":  {jsonType, `{"x":[{"code":1}],"y":true,"code":"a"}`, Fields{"code": "a"}},
		"json of personal data":      {jsonType, `{"confirm":"delete","reason":"case 7"}`, Fields{"confirm": "delete", "reason": "case 7"}},
		"json flag as boolean":       {jsonType, `{"everywhere":true}`, Fields{"everywhere": "true"}},
		"json flag as false":         {jsonType, `{"everywhere":false}`, Fields{"everywhere": "false"}},
		"json flag as string":        {jsonType, `{"everywhere":"true"}`, Fields{"everywhere": "true"}},
		"json names keep their case": {jsonType, `{"Code":"a"}`, Fields{}},
		"form utf8":                  {formType, "nickName=%F0%9F%98%80&code=\u738b", Fields{"nickName": "😀", "code": "王"}},
		"json utf8":                  {jsonType, `{"nickName":"😀\u738b","code":"\ud83d\uDE00\ufffd"}`, Fields{"nickName": "😀王", "code": "😀\ufffd"}},
		"json escaped backslashes":   {jsonType, `{"rawData":"\\ud83d\\\\u0000"}`, Fields{"rawData": `\ud83d\\u0000`}},
		"body of 64 KiB":             {formType, "code=" + longest, Fields{"code": longest}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := read(test.contentType, strings.NewReader(test.body))
			if err != nil || !maps.Equal(got, test.want) {
				t.Errorf("got %q, %v; want %q", got, err, test.want)
			}
		})
	}
}

func TestRead_Invalid(t *testing.T) {
	tests := map[string]struct{ contentType, body, want string }{
		"form bad escape":      {formType, "code=%zz", "The body is not form-encoded."},
		"form field twice":     {formType, "code=a&code=a", "A field is given twice."},
		"json array":           {jsonType, `["code"]`, "The body is not a JSON object."},
		"json without body":    {jsonType, "", "The body is not a JSON object."},
		"json cut":             {jsonType, `{"code":"a"`, "The body is not a JSON object."},
		"json field twice":     {jsonType, `{"code":"a","code":"a"}`, "A field is given twice."},
		"json unknown twice":   {jsonType, `{"x":1,"x":1}`, "A field is given twice."},
		"json two objects":     {jsonType, `{"code":"a"}{}`, "Unexpected data after the JSON object."},
		"json number":          {jsonType, `{"code":1}`, "code must be a string."},
		"json boolean":         {jsonType, `{"code":true}`, "code must be a string."},
		"json flag as number":  {jsonType, `{"everywhere":1}`, "everywhere must be a boolean or a string."},
		"json flag as element": {jsonType, `{"everywhere":[true]}`, "everywhere must be a boolean or a string."},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := read(test.contentType, strings.NewReader(test.body))
			if e, ok := errors.AsType[*Error](err); !ok || e.Detail != test.want || e.Cause != nil || got != nil {
				t.Errorf("got %q, %v; want the detail %q", got, err, test.want)
			}
		})
	}

	t.Run("invalid text in any field", testNotText)
	t.Run("body that ends early", func(t *testing.T) {
		_, err := read(formType, iotest.ErrReader(io.ErrUnexpectedEOF))
		e, ok := errors.AsType[*Error](err)
		if !ok || e.Detail != "The body ended early." || !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%v", err)
		}
	})
}

// testNotText checks names and values that are not UTF-8, in known and unknown fields of forms and JSON.
func testNotText(t *testing.T) {
	const form, object = "form", "json"
	for _, test := range []struct{ kind, text string }{
		{form, "a%ff"}, {form, "%ED%A0%BD"}, {form, "%ED%A0%BD%ED%B8%80"}, {form, "%C0%80"}, {form, "a%00b"}, {form, "\xff"}, {form, "%F4%90%80%80"},
		{object, "a\xff"}, {object, "\xed\xa0\xbd"}, {object, "\xc0\x80"}, {object, `\ud83d`}, {object, `a\uD83Db`}, {object, `\ude00`},
		{object, `\ude00\ud83d`}, {object, `\ud83d\ud83d\ude00`}, {object, `\ud83d\n`}, {object, `\\\ud83d`}, {object, `a\u0000`},
	} {
		for body, detail := range map[string]string{
			"form nickName=TEXT":         "nickName must be",
			"form rawData=TEXT":          "rawData must be",
			"form code=a&x=TEXT":         "A field is not",
			"form code=a&TEXT=":          "A field is not",
			"form code=a&x=1&x=TEXT":     "A field is not",
			`json {"nickName":"TEXT"}`:   "nickName must be",
			`json {"rawData":"TEXT"}`:    "rawData must be",
			`json {"x":"TEXT"}`:          "A field is not",
			`json {"x":[{"y":"TEXT"}]}`:  "A field is not",
			`json {"x":[{"TEXT":"y"}]}`:  "A field is not",
			`json {"a":"b" , "TEXT":1}`:  "A field is not",
			`json {"TEXT":1}`:            "A field is not",
			`json {"nickName":["TEXT"]}`: "nickName must be",
		} {
			kind, content, _ := strings.Cut(body, " ")
			if kind != test.kind {
				continue
			}
			contentType := map[string]string{form: formType, object: jsonType}[kind]
			got, err := read(contentType, strings.NewReader(strings.ReplaceAll(content, "TEXT", test.text)))
			e, ok := errors.AsType[*Error](err)
			if !ok || e.Detail != detail+" UTF-8 text without NUL." || got != nil {
				t.Errorf("%s with %+q: %q, %v", content, test.text, got, err)
			}
		}
	}
}

func TestRead_MediaTypes(t *testing.T) {
	for _, contentType := range []string{"", "text/plain", "multipart/form-data; boundary=x", "application/json; =", "json"} {
		if _, err := read(contentType, strings.NewReader("code=a")); err != ErrMediaType {
			t.Errorf("%q: %v, want ErrMediaType", contentType, err)
		}
	}
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader("code=a"))
	r.Header.Set("Content-Type", formType)
	r.Header.Set("Content-Encoding", "gzip")
	if _, err := Read(httptest.NewRecorder(), r); err != ErrMediaType {
		t.Errorf("compressed: %v, want ErrMediaType", err)
	}
}

func TestMediaType(t *testing.T) {
	const twice = "Content-Type is given twice."
	for name, test := range map[string]struct {
		types, codings []string
		want, detail   string
		unsupported    bool
	}{
		"returns it without parameters":     {types: []string{"Multipart/Form-Data; boundary=x"}, want: "multipart/form-data"},
		"takes an empty Content-Encoding":   {types: []string{jsonType}, codings: []string{""}, want: jsonType},
		"refuses two of the same":           {types: []string{jsonType, jsonType}, detail: twice},
		"refuses two that differ":           {types: []string{formType, "multipart/form-data; boundary=x"}, detail: twice},
		"refuses one and an empty one":      {types: []string{jsonType, ""}, detail: twice},
		"refuses an empty one first":        {types: []string{"", jsonType}, detail: twice},
		"refuses two and a coding":          {types: []string{jsonType, jsonType}, codings: []string{"gzip"}, detail: twice},
		"needs one":                         {unsupported: true},
		"needs one that is not empty":       {types: []string{""}, unsupported: true},
		"does not read a list":              {types: []string{jsonType + ", " + formType}, unsupported: true},
		"does not read a parameter twice":   {types: []string{"multipart/form-data; boundary=x; boundary=y"}, unsupported: true},
		"does not read a compressed body":   {types: []string{jsonType}, codings: []string{"gzip"}, unsupported: true},
		"looks at every Content-Encoding":   {types: []string{jsonType}, codings: []string{"", "gzip"}, unsupported: true},
		"does not read a coding twice over": {types: []string{jsonType}, codings: []string{"gzip", "gzip"}, unsupported: true},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := MediaType(http.Header{"Content-Type": test.types, "Content-Encoding": test.codings})
			e, isError := errors.AsType[*Error](err)
			if got != test.want || isError != (test.detail != "") || isError && e.Detail != test.detail {
				t.Errorf("%q, %v", got, err)
			}
			if errors.Is(err, ErrMediaType) != test.unsupported {
				t.Errorf("%v, want ErrMediaType: %v", err, test.unsupported)
			}
		})
	}
}

func TestRead_LargeBody(t *testing.T) {
	body := strings.Repeat("a", MaxBody+1)
	for name, reader := range map[string]io.Reader{
		"known length":   strings.NewReader(body),
		"unknown length": struct{ io.Reader }{strings.NewReader(body)},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := read(formType, reader)
			if e, ok := errors.AsType[*http.MaxBytesError](err); !ok || e.Limit != MaxBody {
				t.Errorf("%v, want a *http.MaxBytesError", err)
			}
		})
	}
}

func TestFields_Required(t *testing.T) {
	f := Fields{"code": "a"}
	if got, err := f.Required("code"); got != "a" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	_, err := f.Required("iv")
	if e, ok := errors.AsType[*Error](err); !ok || e.Detail != "iv is required." {
		t.Errorf("%v", err)
	}
}

func TestToken(t *testing.T) {
	tests := map[string]struct {
		header []string
		field  string
		want   string
		differ bool
	}{
		"none":                  {nil, "", "", false},
		"field":                 {nil, "abc", "abc", false},
		"header":                {[]string{"Bearer abc"}, "", "abc", false},
		"scheme in any case":    {[]string{"bEARER  abc "}, "", "abc", false},
		"both the same":         {[]string{"Bearer abc"}, "abc", "abc", false},
		"both and different":    {[]string{"Bearer abc"}, "abd", "", true},
		"another scheme":        {[]string{"Basic abc"}, "abc", "", false},
		"header twice":          {[]string{"Bearer abc", "Bearer abc"}, "abc", "", false},
		"scheme alone":          {[]string{"Bearer"}, "", "", false},
		"scheme alone and more": {[]string{"Bearer"}, "abc", "", true},
		"header is empty":       {[]string{""}, "abc", "", false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := Token(http.Header{"Authorization": test.header}, Fields{"token": test.field})
			if got != test.want || (err != nil) != test.differ {
				t.Errorf("got %q, %v; want %q", got, err, test.want)
			}
			const differ = "Authorization and the field token differ."
			if e, ok := errors.AsType[*Error](err); test.differ && (!ok || e.Detail != differ) {
				t.Errorf("%v, want %q", err, differ)
			}
		})
	}
}

func TestRead_WrongContentType(t *testing.T) {
	const form, json = "application/x-www-form-urlencoded", "application/json"
	for name, tt := range map[string]struct{ contentType, body, detail string }{
		"JSON as form":               {form, `{"code":"x"}`, "send application/json"},
		"JSON as form, with spaces":  {form + "; charset=utf-8", "\r\n\t {\n\"code\": \"x\"}", "send application/json"},
		"JSON as form, with a mark":  {form, "\ufeff{\"code\":\"x\"}", "send application/json"},
		"JSON as form, with & and =": {form, `{"code":"a=b&c"}`, "send application/json"},
		"form as JSON":               {json, "code=x&appid=y", "send application/x-www-form-urlencoded"},
		"form as JSON, encoded":      {json + ";charset=UTF-8", "encrypted%44ata=x", "send application/x-www-form-urlencoded"},
		"an array":                   {json, "[]", "is not a JSON object"},
		"half an object":             {json, "{", "is not a JSON object"},
	} {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequest("POST", "/", strings.NewReader(tt.body))
			r.Header.Set("Content-Type", tt.contentType)
			_, err := Read(httptest.NewRecorder(), r)
			if err == nil || !strings.Contains(err.Error(), tt.detail) {
				t.Errorf("got %v, want %q", err, tt.detail)
			}
		})
	}
	t.Run("a form whose values hold braces is one", func(t *testing.T) {
		r := httptest.NewRequest("POST", "/", strings.NewReader(`rawData={"nickName":"x"}&code=y`))
		r.Header.Set("Content-Type", form)
		if f, err := Read(httptest.NewRecorder(), r); err != nil || f["code"] != "y" || f["rawData"] != `{"nickName":"x"}` {
			t.Errorf("got %v, %v", f, err)
		}
	})
}

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
