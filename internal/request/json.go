package request

import (
	"bytes"
	"encoding/json"
	"io"
)

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
