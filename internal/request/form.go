package request

import (
	"net/url"
	"strings"
)

// parseForm reads an application/x-www-form-urlencoded body.
func parseForm(body []byte) (Fields, error) {
	values, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, invalid("The body is not form-encoded.")
	}
	f := make(Fields, len(values))
	for name, v := range values {
		if !isText(name) || !isText(strings.Join(v, "")) {
			return nil, notText(name)
		}
		if len(v) > 1 {
			return nil, givenTwice(name)
		}
		if v[0] != "" {
			f[name] = v[0]
		}
	}
	return f, nil
}
