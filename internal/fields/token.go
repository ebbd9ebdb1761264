package fields

import (
	"net/http"
	"strings"
)

// Token finds the token of a request: in the Authorization header (RFC 6750, section 2.1) or in the field token. It is
// empty where there is none, where the scheme is another, and where the header comes more than once. Its shape is not
// looked at: whatever is no token of ours is refused by the session store.
//
// *Error: header and field name different tokens.
func Token(header http.Header, f Fields) (string, error) {
	values := header.Values("Authorization")
	if len(values) == 0 {
		return f["token"], nil
	}
	scheme, token, _ := strings.Cut(values[0], " ")
	if len(values) > 1 || !strings.EqualFold(scheme, "Bearer") {
		return "", nil
	}
	token = strings.TrimSpace(token)
	if field := f["token"]; field != "" && field != token {
		return "", invalid("Authorization and the field token differ.")
	}
	return token, nil
}
