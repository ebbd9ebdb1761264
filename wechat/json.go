package wechat

import (
	"bytes"
	"strings"
)

// WeChat's JSON is not always JSON: nicknames are sent with raw control characters, with bytes that are no UTF-8 and with
// half a surrogate pair, and some gateways put a BOM in front. readObject reads that, and reads JSON as encoding/json does.

// maxJSONDepth is how deep values may be nested: as deep as for encoding/json, so that no answer exhausts the stack.
const maxJSONDepth = 10000

// kind is the type of a JSON value.
type kind byte

const (
	kindNull kind = iota
	kindBool
	kindNumber
	kindText
	kindList
	kindObject
)

// value is a JSON value. Only what this package asks for is kept: nothing of lists and booleans.
type value struct {
	kind    kind
	text    string // of a text, without what cannot be read; of a number, its literal
	altered bool   // something of the text could not be read and was dropped
	members object
}

// member is a name in an object, and its value. A name that was altered is "", so that it is not taken for another one.
type member struct {
	name  string
	value value
}

// jsonReader reads one text. Its methods return false for what is not even WeChat's JSON.
type jsonReader struct {
	text []byte
	at   int
}

// readObject reads an object, with white space and BOMs around it. Texts in it may hold raw control characters, which stay,
// and invalid UTF-8 and lone surrogates, which are dropped. All else is as strict as JSON (RFC 8259).
func readObject(text []byte) (object, bool) {
	r := jsonReader{text: bytes.Trim(text, " \t\r\n\ufeff")}
	v, ok := r.value(0)
	return v.members, ok && v.kind == kindObject && r.at == len(r.text)
}

// next returns the next byte that is no white space, without taking it; 0 at the end.
func (r *jsonReader) next() byte {
	for ; r.at < len(r.text); r.at++ {
		switch c := r.text[r.at]; c {
		case ' ', '\t', '\r', '\n':
		default:
			return c
		}
	}
	return 0
}

// take takes the next byte that is no white space if it is c.
func (r *jsonReader) take(c byte) bool {
	if r.next() != c {
		return false
	}
	r.at++
	return true
}

func (r *jsonReader) value(depth int) (v value, ok bool) {
	if depth > maxJSONDepth {
		return value{}, false
	}
	switch r.next() {
	case '{':
		v.kind = kindObject
		v.members, ok = r.object(depth)
	case '[':
		v.kind = kindList
		ok = r.list(depth)
	case '"':
		v.kind = kindText
		v.text, v.altered, ok = r.string()
	case 't':
		v.kind, ok = kindBool, r.word("true")
	case 'f':
		v.kind, ok = kindBool, r.word("false")
	case 'n':
		v.kind, ok = kindNull, r.word("null")
	default:
		v.kind = kindNumber
		v.text, ok = r.number()
	}
	return v, ok
}

func (r *jsonReader) object(depth int) (members object, ok bool) {
	r.take('{')
	if r.take('}') {
		return nil, true
	}
	for {
		name, nameOK := r.name()
		if !nameOK || !r.take(':') {
			return nil, false
		}
		v, valueOK := r.value(depth + 1)
		if !valueOK {
			return nil, false
		}
		members = append(members, member{name, v})
		if r.take('}') {
			return members, true
		}
		if !r.take(',') {
			return nil, false
		}
	}
}

// name reads the name of a member. Unlike in a text, a raw control character in it is an error.
func (r *jsonReader) name() (string, bool) {
	if r.next() != '"' {
		return "", false
	}
	start := r.at
	name, altered, ok := r.string()
	for _, c := range r.text[start:r.at] {
		ok = ok && c >= ' '
	}
	if altered {
		name = ""
	}
	return name, ok
}

func (r *jsonReader) list(depth int) bool {
	r.take('[')
	if r.take(']') {
		return true
	}
	for {
		if _, ok := r.value(depth + 1); !ok {
			return false
		}
		if r.take(']') {
			return true
		}
		if !r.take(',') {
			return false
		}
	}
}

func (r *jsonReader) word(word string) bool {
	if !bytes.HasPrefix(r.text[r.at:], []byte(word)) {
		return false
	}
	r.at += len(word)
	return true
}

// number reads -?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?.
func (r *jsonReader) number() (literal string, ok bool) {
	start := r.at
	r.skip("-")
	if !r.skip("0") && !r.digits() {
		return "", false
	}
	if r.skip(".") && !r.digits() {
		return "", false
	}
	if r.skip("eE") {
		r.skip("+-")
		if !r.digits() {
			return "", false
		}
	}
	return string(r.text[start:r.at]), true
}

// skip takes the next byte if it is one of chars.
func (r *jsonReader) skip(chars string) bool {
	if r.at == len(r.text) || strings.IndexByte(chars, r.text[r.at]) < 0 {
		return false
	}
	r.at++
	return true
}

// digits takes digits and reports whether there was one.
func (r *jsonReader) digits() bool {
	start := r.at
	for r.skip("0123456789") {
	}
	return r.at > start
}
