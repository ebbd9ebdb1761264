package session

import (
	"net/http"
	"strings"
)

// BearerToken finds the token in the Authorization header of a request (RFC 6750, section 2.1). ok is false where there is
// no such header, where its scheme is another, and where it comes more than once. The token's shape is not looked at:
// Lookup does that.
func BearerToken(header http.Header) (token string, ok bool) {
	values := header.Values("Authorization")
	if len(values) != 1 {
		return "", false
	}
	scheme, token, _ := strings.Cut(values[0], " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return "", false
	}
	return strings.TrimSpace(token), true
}
