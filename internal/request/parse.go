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

// fieldType is what the value of a known field may be in JSON, besides null.
type fieldType int

const (
	text fieldType = iota + 1 // a string
	flag                      // a string, or a boolean, which is read as "true" or "false"
)

// knownFields are the fields that the server reads. Others may have any type and are ignored.
var knownFields = map[string]fieldType{
	"code": text, "appid": text, "token": text, "encryptedData": text, "iv": text, "rawData": text, "signature": text,
	"everywhere": flag, "nickName": text, "avatarUrl": text, "confirm": text, "reason": text,
	"data": text, "refused": text, "status": text, "externalId": text,
}

// safeName returns the name of a known field. For any other it returns "", because a client could put anything in it.
func safeName(name string) string {
	if knownFields[name] == 0 {
		return ""
	}
	return name
}

func duplicateField(name string) error {
	return newFieldError(safeName(name), "A field is given twice.")
}

// parseForm parses an application/x-www-form-urlencoded body.
func parseForm(body []byte) (Fields, error) {
	values, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, newError("The body is not form-encoded.")
	}
	f := make(Fields, len(values))
	for name, v := range values {
		if !isText(name) || !isText(strings.Join(v, "")) {
			return nil, notTextError(name)
		}
		if len(v) > 1 {
			return nil, duplicateField(name)
		}
		if v[0] != "" {
			f[name] = v[0]
		}
	}
	return f, nil
}

// parseJSON parses a JSON object.
func parseJSON(body []byte) (Fields, error) {
	dec := json.NewDecoder(bytes.NewReader(body))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return nil, newError("The body is not a JSON object.")
	}
	f, seen := make(Fields), make(map[string]bool)
	for dec.More() {
		name, value, err := jsonMember(dec, body)
		if err != nil {
			return nil, err
		}
		if seen[name] {
			return nil, duplicateField(name)
		}
		seen[name] = true
		if value != "" {
			f[name] = value
		}
	}
	if _, err := dec.Token(); err != nil {
		return nil, newError("The body is not a JSON object.")
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, newError("Unexpected data after the JSON object.")
	}
	return f, nil
}

// jsonMember reads the next member of the JSON object in body. The value of an unknown field is "".
func jsonMember(dec *json.Decoder, body []byte) (name, value string, err error) {
	start := dec.InputOffset()
	t, err := dec.Token()
	if err != nil {
		return "", "", newError("The body is not a JSON object.")
	}
	name, _ = t.(string)
	rawName := body[start:dec.InputOffset()] // with the comma before it
	var raw json.RawMessage
	if err := dec.Decode(&raw); err != nil {
		return "", "", newError("The body is not a JSON object.")
	}
	if !isJSONText(rawName) || !isJSONText(raw) {
		return "", "", notTextError(name)
	}
	value, err = jsonValue(name, raw)
	return name, value, err
}

// jsonValue returns the value of a field if it has the field's type.
func jsonValue(name string, raw json.RawMessage) (value string, err error) {
	allowed := knownFields[name]
	literal := string(raw)
	if allowed == 0 || literal == "null" {
		return "", nil
	}
	if allowed == flag && (literal == "true" || literal == "false") {
		return literal, nil
	}
	if err := json.Unmarshal(raw, &value); err != nil {
		if allowed == flag {
			return "", newFieldError(name, name+" must be a boolean or a string.")
		}
		return "", newFieldError(name, name+" must be a string.")
	}
	return value, nil
}

// Names and values must be UTF-8 without NUL, in both kinds of body. Otherwise encoding/json would replace invalid
// UTF-8 and half a surrogate pair by U+FFFD, and the stored text would differ from what was sent.

// notTextError is the error for a field that is not UTF-8 without NUL. It repeats only known names.
func notTextError(name string) error {
	if name = safeName(name); name == "" {
		return newError("A field is not UTF-8 text without NUL.")
	}
	return newFieldError(name, name+" must be UTF-8 text without NUL.")
}

// isText reports whether a name or value of a form is UTF-8 without NUL.
func isText(s string) bool { return utf8.ValidString(s) && strings.IndexByte(s, 0) < 0 }

// isJSONText reports whether all strings in a piece of valid JSON are UTF-8 without NUL.
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
		n := escapeLen(raw)
		if n == 0 {
			return false
		}
		raw = raw[n:]
	}
}

// escapeLen returns the length of the escape at the beginning of raw: \uXXXX, or two of them if they are a surrogate
// pair. If the escape is NUL or half a pair, it returns 0.
func escapeLen(raw []byte) int {
	const one, two = len(`\uXXXX`), 2 * len(`\uXXXX`)
	r := unescape(raw)
	switch {
	case r == 0:
		return 0
	case !utf16.IsSurrogate(r):
		return one
	case len(raw) >= two && utf16.DecodeRune(r, unescape(raw[one:])) != utf8.RuneError:
		return two
	}
	return 0
}

// unescape returns the UTF-16 unit of an escape such as \u4e2d at the beginning of raw. If there is no escape, it
// returns 0.
func unescape(raw []byte) rune {
	if len(raw) < len(`\uXXXX`) || raw[0] != '\\' || raw[1] != 'u' {
		return 0
	}
	n, _ := strconv.ParseUint(string(raw[2:6]), 16, 32)
	return rune(n)
}
