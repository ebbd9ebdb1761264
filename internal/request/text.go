package request

import (
	"bytes"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

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
