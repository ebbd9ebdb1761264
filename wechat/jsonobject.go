package wechat

import (
	"iter"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// jsonObject is a JSON object. Names are compared without regard to case, as encoding/json does, and null counts as
// absent.
//
// A field is read in one of two ways. text, integer and object are for optional fields: an unusable value counts as
// absent, and the last of several wins. exactText, exactInteger, exactObject and numeral are for fields that identify
// the owner, and for verified data. Encrypted data has no MAC, so its sender can insert garbage and further names. Such
// a field must occur once, and nothing of it may have been dropped.
type jsonObject []jsonMember

// all returns the values with a name that are not null.
func (o jsonObject) all(name string) iter.Seq[jsonValue] {
	return func(yield func(jsonValue) bool) {
		for _, m := range o {
			if m.value.typ != typeNull && strings.EqualFold(m.name, name) && !yield(m.value) {
				return
			}
		}
	}
}

// has reports whether there is a field with one of these names.
func (o jsonObject) has(names ...string) bool {
	for _, name := range names {
		for range o.all(name) {
			return true
		}
	}
	return false
}

// hasOnly reports whether every field has one of these names.
func (o jsonObject) hasOnly(names ...string) bool {
	return !slices.ContainsFunc(o, func(m jsonMember) bool {
		return !slices.ContainsFunc(names, func(name string) bool { return strings.EqualFold(m.name, name) })
	})
}

// text returns a string, or the literal of a number.
func (o jsonObject) text(name string) (s string) {
	for v := range o.all(name) {
		if v.typ == typeString || v.typ == typeNumber {
			s = v.text
		}
	}
	return s
}

// integer returns an integer, which may also be written as a string.
func (o jsonObject) integer(name string) (n int64) {
	for v := range o.all(name) {
		if i, ok := v.integer(); ok {
			n = i
		}
	}
	return n
}

// object returns an object. If the name occurs several times, the objects are merged.
func (o jsonObject) object(name string) (merged jsonObject) {
	for v := range o.all(name) {
		merged = append(merged, v.members...)
	}
	return merged
}

// only returns the value of a field, of typeNull if it is absent. ok is false if it occurs more than once.
func (o jsonObject) only(name string) (v jsonValue, ok bool) {
	n := 0
	for value := range o.all(name) {
		v, n = value, n+1
	}
	return v, n <= 1
}

// exactText returns a string; "" if it is absent. ok is false if it occurs more than once, is lossy or has another type.
func (o jsonObject) exactText(name string) (s string, ok bool) {
	v, ok := o.only(name)
	if !ok || v.lossy || v.typ != typeString && v.typ != typeNull {
		return "", false
	}
	return v.text, true
}

// exactInteger returns an integer; 0 if it is absent or occurs more than once.
func (o jsonObject) exactInteger(name string) int64 {
	v, ok := o.only(name)
	n, isInteger := v.integer()
	if !ok || !isInteger {
		return 0
	}
	return n
}

// exactObject returns an object; nil if it is absent or occurs more than once.
func (o jsonObject) exactObject(name string) jsonObject {
	v, ok := o.only(name)
	if !ok {
		return nil
	}
	return v.members
}

// numeral returns the digits of a number such as a phone number, which is a string or an integer, without white space
// around it. It is "" if it is absent, occurs more than once or is lossy.
func (o jsonObject) numeral(name string) string {
	v, ok := o.only(name)
	if !ok || v.lossy {
		return ""
	}
	switch v.typ {
	case typeString:
		return strings.TrimSpace(v.text)
	case typeNumber:
		if n, isInteger := v.integer(); isInteger {
			return strconv.FormatInt(n, 10)
		}
	}
	return ""
}

// maxExactFloat is the limit up to which float64 represents every integer.
const maxExactFloat = 1 << 53

// integer returns an integer: 7200, 7200.0, 7.2e3, or one of these as a string. ok is false for a fraction and beyond
// int64.
func (v jsonValue) integer() (int64, bool) {
	literal := v.text
	if v.typ == typeString && !v.lossy {
		r := jsonReader{data: []byte(strings.TrimSpace(v.text))}
		number, ok := r.number()
		if !ok || r.pos != len(r.data) {
			return 0, false
		}
		literal = number
	} else if v.typ != typeNumber {
		return 0, false
	}
	if n, err := strconv.ParseInt(literal, 10, 64); err == nil {
		return n, true
	}
	if !strings.ContainsAny(literal, ".eE") {
		return 0, false
	}
	f, err := strconv.ParseFloat(literal, 64)
	if err != nil || f != math.Trunc(f) || math.Abs(f) > maxExactFloat {
		return 0, false
	}
	return int64(f), true
}

// string parses a string from its opening quote. lossy reports whether something of it was dropped.
func (r *jsonReader) string() (s string, lossy, ok bool) {
	r.pos++
	var out []byte
	for r.pos < len(r.data) {
		switch c := r.data[r.pos]; {
		case c == '"':
			r.pos++
			return string(out), lossy, true
		case c == '\\':
			char, escapeOK := r.escape()
			if !escapeOK {
				return "", false, false
			}
			if utf16.IsSurrogate(char) {
				lossy = true
			} else {
				out = utf8.AppendRune(out, char)
			}
		default:
			char, size := utf8.DecodeRune(r.data[r.pos:])
			if char == utf8.RuneError && size == 1 {
				lossy = true
			} else {
				out = append(out, r.data[r.pos:r.pos+size]...)
			}
			r.pos += size
		}
	}
	return "", false, false
}

// escapes maps the characters after a backslash.
var escapes = map[byte]rune{'"': '"', '\\': '\\', '/': '/', 'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t'}

// escape parses an escape sequence. The result is a surrogate if the other half of its pair is missing.
func (r *jsonReader) escape() (rune, bool) {
	if char, ok := r.codeUnit(r.pos); ok {
		r.pos += 6
		if low, isUnit := r.codeUnit(r.pos); isUnit {
			if pair := utf16.DecodeRune(char, low); pair != utf8.RuneError {
				r.pos += 6
				return pair, true
			}
		}
		return char, true
	}
	if r.pos+1 >= len(r.data) {
		return 0, false
	}
	char, ok := escapes[r.data[r.pos+1]]
	r.pos += 2
	return char, ok
}

// codeUnit parses \uXXXX at a position without consuming it.
func (r *jsonReader) codeUnit(at int) (rune, bool) {
	if at+6 > len(r.data) || r.data[at] != '\\' || r.data[at+1] != 'u' {
		return 0, false
	}
	var char rune
	for _, c := range r.data[at+2 : at+6] {
		switch {
		case c >= '0' && c <= '9':
			char = char<<4 | rune(c-'0')
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			char = char<<4 | rune(c|0x20-'a'+10)
		default:
			return 0, false
		}
	}
	return char, true
}
