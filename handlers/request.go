package handlers

import (
	"bytes"
	"encoding/json"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
)

// maxBody is the largest request body in bytes.
const maxBody = 64 << 10

// fields are the fields of a request body by name. A field that is absent, null or empty is not in it.
type fields map[string]string

// required gives a field or an error that names it.
func (f fields) required(name string) (string, error) {
	if v := f[name]; v != "" {
		return v, nil
	}
	return "", invalidRequest("The field " + name + " is missing.")
}

// readFields reads a request's body, form-encoded or JSON. Fields that nobody asks for are ignored; a field that comes
// twice is refused, because two readers could take different ones.
func readFields(w http.ResponseWriter, r *http.Request) (fields, error) {
	mediaType, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || r.Header.Get("Content-Encoding") != "" {
		return nil, failure{code: codeUnsupportedMediaType}
	}
	var parse func([]byte) (fields, error)
	switch mediaType {
	case "application/x-www-form-urlencoded":
		parse = parseForm
	case "application/json":
		parse = parseJSON
	default:
		return nil, failure{code: codeUnsupportedMediaType}
	}
	body, err := readBody(w, r)
	if err != nil {
		return nil, err
	}
	return parse(body)
}

// readBody reads at most maxBody bytes; more is a *http.MaxBytesError.
func readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	if r.ContentLength > maxBody {
		return nil, &http.MaxBytesError{Limit: maxBody}
	}
	var buf bytes.Buffer
	if r.ContentLength > 0 {
		buf.Grow(int(r.ContentLength) + bytes.MinRead)
	}
	if _, err := buf.ReadFrom(http.MaxBytesReader(w, r.Body, maxBody)); err != nil {
		if _, tooLarge := err.(*http.MaxBytesError); tooLarge {
			return nil, err
		}
		return nil, failure{code: codeInvalidRequest, detail: "The body ended early.", cause: err}
	}
	return buf.Bytes(), nil
}

// parseForm reads an application/x-www-form-urlencoded body.
func parseForm(body []byte) (fields, error) {
	values, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, invalidRequest("The body is not form-encoded.")
	}
	f := make(fields, len(values))
	for name, v := range values {
		if len(v) > 1 {
			return nil, invalidRequest("A field is given twice.")
		}
		if v[0] != "" {
			f[name] = v[0]
		}
	}
	return f, nil
}

// parseJSON reads one JSON object whose known fields are strings.
func parseJSON(body []byte) (fields, error) {
	dec := json.NewDecoder(bytes.NewReader(body))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return nil, invalidRequest("The body is not a JSON object.")
	}
	f, seen := make(fields), make(map[string]bool)
	for dec.More() {
		name, value, err := jsonMember(dec)
		if err != nil {
			return nil, err
		}
		if seen[name] {
			return nil, invalidRequest("A field is given twice.")
		}
		seen[name] = true
		if value != "" {
			f[name] = value
		}
	}
	if _, err := dec.Token(); err != nil {
		return nil, invalidRequest("The body is not a JSON object.")
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, invalidRequest("Something follows the JSON object.")
	}
	return f, nil
}

// knownFields are those whose value must be a string; others may be anything and are ignored.
var knownFields = map[string]bool{
	"code": true, "appid": true, "token": true, "encryptedData": true, "iv": true, "rawData": true, "signature": true,
}

// jsonMember reads one member of a JSON object. The value of an unknown field comes back empty.
func jsonMember(dec *json.Decoder) (name, value string, err error) {
	t, err := dec.Token()
	if err != nil {
		return "", "", invalidRequest("The body is not a JSON object.")
	}
	name, _ = t.(string)
	var raw json.RawMessage
	if err := dec.Decode(&raw); err != nil {
		return "", "", invalidRequest("The body is not a JSON object.")
	}
	if !knownFields[name] || string(raw) == "null" {
		return name, "", nil
	}
	if err := json.Unmarshal(raw, &value); err != nil {
		return "", "", invalidRequest("The field " + name + " is not a string.")
	}
	return name, value, nil
}

// requestToken finds the token: in the Authorization header (RFC 6750, section 2.1) or in the field token. It does not
// look at its shape: whatever is no token of ours is refused by the session store.
func requestToken(r *http.Request, f fields) (string, error) {
	header := r.Header.Values("Authorization")
	if len(header) == 0 {
		return f["token"], nil
	}
	scheme, token, _ := strings.Cut(header[0], " ")
	if len(header) > 1 || !strings.EqualFold(scheme, "Bearer") {
		return "", nil
	}
	token = strings.TrimSpace(token)
	if field := f["token"]; field != "" && field != token {
		return "", invalidRequest("Authorization and the field token differ.")
	}
	return token, nil
}
