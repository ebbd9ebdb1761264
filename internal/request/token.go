package request

import (
	"net/http"

	"wxlogin/session"
)

// Token finds the token of a request: in the Authorization header, as session.BearerToken reads it, or in the field token.
// With such a header the field alone is not enough. The token's shape is not looked at: whatever is no token of ours is
// refused by the session store.
//
// *Error: header and field name different tokens.
func Token(header http.Header, f Fields) (string, error) {
	if len(header.Values("Authorization")) == 0 {
		return f["token"], nil
	}
	token, ok := session.BearerToken(header)
	if field := f["token"]; ok && field != "" && field != token {
		return "", invalidField("token", "Authorization and the field token differ.")
	}
	return token, nil
}
