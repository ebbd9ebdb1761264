package demopage

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"
)

const (
	formType   = "application/x-www-form-urlencoded"
	maxMessage = 64 << 10 // bytes; of a larger body only the size is shown
)

// requestText returns what a request says as one JSON object: its Authorization header, query and body.
func requestText(r *http.Request, body []byte) string {
	var fields []string
	if authorization := r.Header.Get("Authorization"); authorization != "" {
		fields = append(fields, field("Authorization", authorization))
	}
	fields = append(fields, formFields(r.URL.RawQuery)...)
	if r.Header.Get("Content-Type") == formType && len(body) <= maxMessage {
		return object(append(fields, formFields(string(body))...))
	}
	return object(append(fields, bodyFields(body)...))
}

// withOpened adds what is encrypted in a request to its text.
func withOpened(text string, opened []byte) string {
	if opened == nil {
		return text
	}
	return strings.TrimSuffix(text, "}") + `,"(decrypted)":` + string(opened) + "}"
}

// responseText returns what a response says as one JSON object.
func responseText(header http.Header, body []byte) string {
	var fields []string
	if after := header.Get("Retry-After"); after != "" {
		fields = append(fields, field("Retry-After", after))
	}
	return object(append(fields, bodyFields(body)...))
}

func object(fields []string) string { return "{" + strings.Join(fields, ",") + "}" }

func field(name, value string) string { return quote(name) + ":" + quote(value) }

// quote returns a JSON string. It is a string literal of JavaScript too.
func quote(s string) string {
	literal, err := json.Marshal(strings.ToValidUTF8(s, "?"))
	if err != nil {
		panic("demopage: cannot encode a string: " + err.Error())
	}
	return string(literal)
}

// formFields decodes form fields in the order in which they were sent, which url.ParseQuery does not keep.
func formFields(encoded string) []string {
	var fields []string
	for part := range strings.SplitSeq(encoded, "&") {
		name, value, _ := strings.Cut(part, "=")
		name, errName := url.QueryUnescape(name)
		value, errValue := url.QueryUnescape(value)
		if part != "" && errName == nil && errValue == nil {
			fields = append(fields, field(name, value))
		}
	}
	return fields
}

// bodyFields returns the fields of a JSON object as they are. Of any other body, such as a picture, it returns only the size.
func bodyFields(body []byte) []string {
	body = bytes.TrimSpace(body)
	switch {
	case len(body) == 0 || string(body) == "{}":
		return nil
	case body[0] != '{' || len(body) > maxMessage || !utf8.Valid(body) || !json.Valid(body):
		return []string{field("(body)", fmt.Sprintf("%d bytes", len(body)))}
	}
	return []string{string(body[1 : len(body)-1])}
}

// replacer returns what replaces a scalar of a message, if it is secret. Paths are such as userInfo.nickName.
type replacer func(path, value string) (replacement string, secret bool)

// rewrite copies the JSON object of a message with its secrets replaced.
func (replace replacer) rewrite(text string) json.RawMessage {
	var out bytes.Buffer
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.UseNumber()
	if err := replace.copyValue(&out, decoder, ""); err != nil {
		return json.RawMessage(`{}`) // nested too deeply
	}
	return out.Bytes()
}

func (replace replacer) copyValue(out *bytes.Buffer, decoder *json.Decoder, path string) error {
	token, err := decoder.Token()
	if err != nil {
		return err
	}
	delim, nested := token.(json.Delim)
	if !nested {
		if replacement, secret := replace(path, fmt.Sprint(token)); secret && token != nil {
			token = replacement
		}
		literal, err := json.Marshal(token)
		out.Write(literal)
		return err
	}
	out.WriteString(delim.String())
	for separator := ""; decoder.More(); separator = "," {
		out.WriteString(separator)
		inner := path
		if delim == '{' {
			name, err := decoder.Token()
			if err != nil {
				return err
			}
			inner = strings.TrimPrefix(path+"."+name.(string), ".") // the decoder accepts only strings as names
			out.WriteString(quote(name.(string)) + ":")
		}
		if err := replace.copyValue(out, decoder, inner); err != nil {
			return err
		}
	}
	end, err := decoder.Token()
	fmt.Fprint(out, end)
	return err
}
