package handlers

import (
	"crypto/sha256"
	"crypto/subtle"
	"net/http"

	"wxlogin/session"
)

// headerAPIKey is where a service gives the key that it shares with this server.
const headerAPIKey = "X-Api-Key"

// keyHolders lets only those requests through to a handler that give the key; an empty key lets all through. Others are
// answered with the code refused.
func keyHolders(key string, given func(*http.Request) string, refused code, next http.Handler) http.Handler {
	if key == "" {
		return next
	}
	want := sha256.Sum256([]byte(key))
	return handle(func(w http.ResponseWriter, r *http.Request) error {
		got := sha256.Sum256([]byte(given(r))) // of one length, so that the time of comparing tells nothing
		if subtle.ConstantTimeCompare(got[:], want[:]) != 1 {
			return failure{code: refused}
		}
		next.ServeHTTP(w, r)
		return nil
	})
}

// keyInHeader is for gateways: Authorization holds the user's token there. A key that is given twice is none: one of the two
// may be a client's own.
func keyInHeader(r *http.Request) string {
	keys := r.Header.Values(headerAPIKey)
	if len(keys) != 1 {
		return ""
	}
	return keys[0]
}

// keyOfCaller is for services that ask themselves, which may also give the key as OAuth clients do: as a bearer token
// (RFC 7662, section 2.1), or as the password of HTTP Basic, whatever the name (RFC 6749, section 2.3.1). Of a header that is
// given twice nothing is taken.
func keyOfCaller(r *http.Request) string {
	if len(r.Header.Values(headerAPIKey)) > 1 || len(r.Header.Values("Authorization")) > 1 {
		return ""
	}
	if key := keyInHeader(r); key != "" {
		return key
	}
	if key, ok := session.BearerToken(r.Header); ok {
		return key
	}
	_, key, _ := r.BasicAuth()
	return key
}
