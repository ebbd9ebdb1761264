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

// object is a JSON object. Names are compared as encoding/json does, without regard to case, and null counts as absent.
//
// There are two ways to ask for a field. text, integer and object are for what one can do without: they take what can be
// used, the last where there are several, and what cannot be used is as if it were not there. exactText, exactInteger and
// numeral are for what says whose data it is, or what WeChat vouches for. Open data has no MAC, so its sender can put garbage
// into it and names beside it; such a field must be there once, and nothing of it may have been dropped.
type object []member

// all returns the values of a name that are not null.
func (o object) all(name string) iter.Seq[value] {
	return func(yield func(value) bool) {
		for _, m := range o {
			if m.value.kind != kindNull && strings.EqualFold(m.name, name) && !yield(m.value) {
				return
			}
		}
	}
}

// has reports whether there is a field of one of these names.
func (o object) has(names ...string) bool {
	for _, name := range names {
		for range o.all(name) {
			return true
		}
	}
	return false
}

// hasOnly reports whether every field has one of these names.
func (o object) hasOnly(names ...string) bool {
	return !slices.ContainsFunc(o, func(m member) bool {
		return !slices.ContainsFunc(names, func(name string) bool { return strings.EqualFold(m.name, name) })
	})
}

// text returns a text, or the literal of a number.
func (o object) text(name string) (s string) {
	for v := range o.all(name) {
		if v.kind == kindText || v.kind == kindNumber {
			s = v.text
		}
	}
	return s
}

// integer returns a whole number, also one that is written as a text.
func (o object) integer(name string) (n int64) {
	for v := range o.all(name) {
		if i, ok := v.integer(); ok {
			n = i
		}
	}
	return n
}

// object returns an object; one that is given in parts is put together.
func (o object) object(name string) (whole object) {
	for v := range o.all(name) {
		whole = append(whole, v.members...)
	}
	return whole
}

// only returns the value of a field that is given once at most; one of kindNull if it is absent.
func (o object) only(name string) (v value, ok bool) {
	n := 0
	for given := range o.all(name) {
		v, n = given, n+1
	}
	return v, n <= 1
}

// exactText returns a text as it was sent; "" if it is absent. Anything else is not ok.
func (o object) exactText(name string) (s string, ok bool) {
	v, ok := o.only(name)
	if !ok || v.altered || v.kind != kindText && v.kind != kindNull {
		return "", false
	}
	return v.text, true
}

// exactInteger is integer for a field that must be given once, and 0 otherwise.
func (o object) exactInteger(name string) int64 {
	v, ok := o.only(name)
	n, isInteger := v.integer()
	if !ok || !isInteger {
		return 0
	}
	return n
}

// exactObject is object for a field that must be given once, and empty otherwise.
func (o object) exactObject(name string) object {
	v, ok := o.only(name)
	if !ok {
		return nil
	}
	return v.members
}

// numeral returns a number such as a phone number: a text without the white space around it, or the digits of a whole
// number. What is given twice or was altered is "".
func (o object) numeral(name string) string {
	v, ok := o.only(name)
	if !ok || v.altered {
		return ""
	}
	switch v.kind {
	case kindText:
		return strings.TrimSpace(v.text)
	case kindNumber:
		if n, isInteger := v.integer(); isInteger {
			return strconv.FormatInt(n, 10)
		}
	}
	return ""
}

// maxExactFloat is up to where every whole number has a float64 of its own.
const maxExactFloat = 1 << 53

// integer reads a whole number: 7200, 7200.0, 7.2e3, or one of these as a text. A fraction or one beyond int64 is not ok.
func (v value) integer() (int64, bool) {
	literal := v.text
	if v.kind == kindText && !v.altered {
		r := jsonReader{text: []byte(strings.TrimSpace(v.text))}
		number, ok := r.number()
		if !ok || r.at != len(r.text) {
			return 0, false
		}
		literal = number
	} else if v.kind != kindNumber {
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

// string reads a text at its opening quote. It reports whether it dropped anything of it.
func (r *jsonReader) string() (s string, altered, ok bool) {
	r.at++
	var out []byte
	for r.at < len(r.text) {
		switch c := r.text[r.at]; {
		case c == '"':
			r.at++
			return string(out), altered, true
		case c == '\\':
			char, escapeOK := r.escape()
			if !escapeOK {
				return "", false, false
			}
			if utf16.IsSurrogate(char) {
				altered = true
			} else {
				out = utf8.AppendRune(out, char)
			}
		default:
			char, size := utf8.DecodeRune(r.text[r.at:])
			if char == utf8.RuneError && size == 1 {
				altered = true
			} else {
				out = append(out, r.text[r.at:r.at+size]...)
			}
			r.at += size
		}
	}
	return "", false, false
}

// escapes are the characters after a backslash that stand for one character.
var escapes = map[byte]rune{'"': '"', '\\': '\\', '/': '/', 'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t'}

// escape reads what a backslash begins: a surrogate is half a pair whose other half is not there.
func (r *jsonReader) escape() (rune, bool) {
	if char, ok := r.codeUnit(r.at); ok {
		r.at += 6
		if low, isUnit := r.codeUnit(r.at); isUnit {
			if pair := utf16.DecodeRune(char, low); pair != utf8.RuneError {
				r.at += 6
				return pair, true
			}
		}
		return char, true
	}
	if r.at+1 >= len(r.text) {
		return 0, false
	}
	char, ok := escapes[r.text[r.at+1]]
	r.at += 2
	return char, ok
}

// codeUnit reads \uXXXX at a place, without taking it.
func (r *jsonReader) codeUnit(at int) (rune, bool) {
	if at+6 > len(r.text) || r.text[at] != '\\' || r.text[at+1] != 'u' {
		return 0, false
	}
	var char rune
	for _, c := range r.text[at+2 : at+6] {
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
