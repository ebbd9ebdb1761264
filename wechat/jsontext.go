package wechat

import (
	"unicode/utf16"
	"unicode/utf8"
)

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
