package wechat

import (
	"bytes"
	"strings"
)

// WeChat's JSON is not always valid. Nicknames contain raw control characters, invalid UTF-8 and lone surrogates, and
// some gateways send a BOM first. readObject accepts these and otherwise reads JSON as encoding/json does.

// maxJSONDepth is the maximum nesting of values, as in encoding/json, so that no response exhausts the stack.
const maxJSONDepth = 10000

// jsonType is the type of a JSON value.
type jsonType byte

const (
	typeNull jsonType = iota
	typeBool
	typeNumber
	typeString
	typeArray
	typeObject
)

// jsonValue is a JSON value. The contents of arrays and booleans are not kept, because this package does not need them.
type jsonValue struct {
	typ     jsonType
	text    string // a string, without invalid characters; or the literal of a number
	lossy   bool   // invalid characters of the string were dropped
	members jsonObject
}

// jsonMember is a name in an object, and its value. If a part of the name was dropped, it is "", so that it does not
// match another name.
type jsonMember struct {
	name  string
	value jsonValue
}

// jsonReader parses data from pos on. Its methods return false for input that readObject does not accept.
type jsonReader struct {
	data []byte
	pos  int
}

// aroundJSON are the characters that may stand before and after an object: white space and BOMs.
const aroundJSON = " \t\r\n\ufeff"

// readObject parses an object, with white space and BOMs around it. Strings may contain raw control characters, which
// are kept, and invalid UTF-8 and lone surrogates, which are dropped. Otherwise the input must be valid JSON (RFC
// 8259).
func readObject(text []byte) (jsonObject, bool) {
	r := jsonReader{data: bytes.Trim(text, aroundJSON)}
	v, ok := r.value(0)
	return v.members, ok && v.typ == typeObject && r.pos == len(r.data)
}

// next skips white space and returns the next byte without consuming it; 0 at the end.
func (r *jsonReader) next() byte {
	for ; r.pos < len(r.data); r.pos++ {
		switch c := r.data[r.pos]; c {
		case ' ', '\t', '\r', '\n':
		default:
			return c
		}
	}
	return 0
}

// take skips white space and consumes the next byte if it is c.
func (r *jsonReader) take(c byte) bool {
	if r.next() != c {
		return false
	}
	r.pos++
	return true
}

func (r *jsonReader) value(depth int) (v jsonValue, ok bool) {
	if depth > maxJSONDepth {
		return jsonValue{}, false
	}
	switch r.next() {
	case '{':
		v.typ = typeObject
		v.members, ok = r.object(depth)
	case '[':
		v.typ = typeArray
		ok = r.list(']', func() bool {
			_, itemOK := r.value(depth + 1)
			return itemOK
		})
	case '"':
		v.typ = typeString
		v.text, v.lossy, ok = r.string()
	case 't':
		v.typ, ok = typeBool, r.literal("true")
	case 'f':
		v.typ, ok = typeBool, r.literal("false")
	case 'n':
		v.typ, ok = typeNull, r.literal("null")
	default:
		v.typ = typeNumber
		v.text, ok = r.number()
	}
	return v, ok
}

func (r *jsonReader) object(depth int) (members jsonObject, ok bool) {
	ok = r.list('}', func() bool {
		name, nameOK := r.name()
		if !nameOK || !r.take(':') {
			return false
		}
		v, valueOK := r.value(depth + 1)
		members = append(members, jsonMember{name, v})
		return valueOK
	})
	return members, ok
}

// list parses items, separated by commas, from the opening bracket to the closing one.
func (r *jsonReader) list(closing byte, item func() bool) bool {
	r.pos++
	if r.take(closing) {
		return true
	}
	for item() {
		if r.take(closing) {
			return true
		}
		if !r.take(',') {
			return false
		}
	}
	return false
}

// name parses the name of a member. Unlike in a value, a raw control character in it is an error.
func (r *jsonReader) name() (string, bool) {
	if r.next() != '"' {
		return "", false
	}
	start := r.pos
	name, lossy, ok := r.string()
	for _, c := range r.data[start:r.pos] {
		ok = ok && c >= ' '
	}
	if lossy {
		name = ""
	}
	return name, ok
}

func (r *jsonReader) literal(word string) bool {
	if !bytes.HasPrefix(r.data[r.pos:], []byte(word)) {
		return false
	}
	r.pos += len(word)
	return true
}

// number parses -?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?.
func (r *jsonReader) number() (literal string, ok bool) {
	start := r.pos
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
	return string(r.data[start:r.pos]), true
}

// skip consumes the next byte if it is one of chars.
func (r *jsonReader) skip(chars string) bool {
	if r.pos == len(r.data) || strings.IndexByte(chars, r.data[r.pos]) < 0 {
		return false
	}
	r.pos++
	return true
}

// digits consumes digits and reports whether there was one.
func (r *jsonReader) digits() bool {
	start := r.pos
	for r.skip("0123456789") {
	}
	return r.pos > start
}
