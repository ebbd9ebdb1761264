package request

import (
	"bytes"
	"encoding/json"
	"io"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// parseForm reads an application/x-www-form-urlencoded body.
func parseForm(body []byte) (Fields, error) {
	values, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, invalid("The body is not form-encoded.")
	}
	f := make(Fields, len(values))
	for name, v := range values {
		if !isText(name) || !isText(strings.Join(v, "")) {
			return nil, notText(name)
		}
		if len(v) > 1 {
			return nil, givenTwice(name)
		}
		if v[0] != "" {
			f[name] = v[0]
		}
	}
	return f, nil
}

// kind is what the value of a known field may be in JSON, besides null.
type kind int

const (
	text kind = iota + 1 // a string
	flag                 // a string, or a boolean, which is read as "true" or "false"
)

// known are the fields that the server asks for; others may be anything and are ignored.
var known = map[string]kind{
	"code": text, "appid": text, "token": text, "encryptedData": text, "iv": text, "rawData": text, "signature": text,
	"everywhere": flag, "nickName": text, "avatarUrl": text,
}

// knownName returns the name of a field that the server asks for, and "" for another one, which could hold anything.
func knownName(name string) string {
	if known[name] == 0 {
		return ""
	}
	return name
}

// givenTwice is the error of a repeated field.
func givenTwice(name string) error { return invalidField(knownName(name), "A field is given twice.") }

// parseJSON reads one JSON object.
func parseJSON(body []byte) (Fields, error) {
	dec := json.NewDecoder(bytes.NewReader(body))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return nil, invalid("The body is not a JSON object.")
	}
	f, seen := make(Fields), make(map[string]bool)
	for dec.More() {
		name, value, err := jsonMember(dec, body)
		if err != nil {
			return nil, err
		}
		if seen[name] {
			return nil, givenTwice(name)
		}
		seen[name] = true
		if value != "" {
			f[name] = value
		}
	}
	if _, err := dec.Token(); err != nil {
		return nil, invalid("The body is not a JSON object.")
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, invalid("Something follows the JSON object.")
	}
	return f, nil
}

// jsonMember reads one member of the JSON object in body, of which dec has read what is before. The value of an unknown field
// comes back empty.
func jsonMember(dec *json.Decoder, body []byte) (name, value string, err error) {
	start := dec.InputOffset()
	t, err := dec.Token()
	if err != nil {
		return "", "", invalid("The body is not a JSON object.")
	}
	name, _ = t.(string)
	rawName := body[start:dec.InputOffset()] // with the comma before it
	var raw json.RawMessage
	if err := dec.Decode(&raw); err != nil {
		return "", "", invalid("The body is not a JSON object.")
	}
	if !isJSONText(rawName) || !isJSONText(raw) {
		return "", "", notText(name)
	}
	value, err = jsonValue(name, raw)
	return name, value, err
}

// jsonValue reads the value of a field as its kind allows.
func jsonValue(name string, raw json.RawMessage) (value string, err error) {
	allowed := known[name]
	literal := string(raw)
	if allowed == 0 || literal == "null" {
		return "", nil
	}
	if allowed == flag && (literal == "true" || literal == "false") {
		return literal, nil
	}
	if err := json.Unmarshal(raw, &value); err != nil {
		if allowed == flag {
			return "", invalidField(name, "The field "+name+" is neither a boolean nor a string.")
		}
		return "", invalidField(name, "The field "+name+" is not a string.")
	}
	return value, nil
}

// Text is UTF-8 without NUL, in names and values alike. Both kinds of body are held to that before anything is read from them:
// encoding/json would put U+FFFD in place of what is not UTF-8 and of half a surrogate pair, so that another text is stored than
// was sent.

// notText returns the error for a field that is not text. Only a name that the server knows is repeated.
func notText(name string) error {
	if name = knownName(name); name == "" {
		return invalid("A field is not UTF-8 text without NUL.")
	}
	return invalidField(name, "The field "+name+" is not UTF-8 text without NUL.")
}

// isText reports whether a name or value of a form is text.
func isText(s string) bool { return utf8.ValidString(s) && strings.IndexByte(s, 0) < 0 }

// isJSONText reports whether all strings in a piece of valid JSON are text.
func isJSONText(raw []byte) bool {
	if !utf8.Valid(raw) {
		return false
	}
	for {
		i := bytes.IndexByte(raw, '\\')
		if i < 0 {
			return true
		}
		raw = raw[i:]
		if raw[1] != 'u' {
			raw = raw[2:]
			continue
		}
		n := textEscape(raw)
		if n == 0 {
			return false
		}
		raw = raw[n:]
	}
}

// textEscape returns the length of the escape (\uXXXX, or two that are a surrogate pair) at the beginning of raw, and 0 if it is
// NUL or half a pair.
func textEscape(raw []byte) int {
	const one, two = len(`\uXXXX`), 2 * len(`\uXXXX`)
	r := escaped(raw)
	switch {
	case r == 0:
		return 0
	case !utf16.IsSurrogate(r):
		return one
	case len(raw) >= two && utf16.DecodeRune(r, escaped(raw[one:])) != utf8.RuneError:
		return two
	}
	return 0
}

// escaped returns what an escape such as \u4e2d at the beginning of raw stands for, and 0 if there is none.
func escaped(raw []byte) rune {
	if len(raw) < len(`\uXXXX`) || raw[0] != '\\' || raw[1] != 'u' {
		return 0
	}
	n, _ := strconv.ParseUint(string(raw[2:6]), 16, 32)
	return rune(n)
}
