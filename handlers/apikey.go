package handlers

import (
	"crypto/sha256"
	"crypto/subtle"
	"net/http"

	"wxlogin/session"
)

// APIKey is a key that another service shares with this server.
type APIKey struct {
	Name string // in the log and in user_changes
	Key  string
}

// headerAPIKey contains the key of another service.
const headerAPIKey = "X-Api-Key"

// requireAPIKey passes a request on if apiKey finds one of the keys in it, whose name it records, and rejects it with the
// code denied otherwise. If there are no keys, every request passes.
func requireAPIKey(keys []APIKey, apiKey func(*http.Request) string, denied code, next http.Handler) http.Handler {
	if len(keys) == 0 {
		return next
	}
	hashes := make([][sha256.Size]byte, len(keys))
	for i, key := range keys {
		hashes[i] = sha256.Sum256([]byte(key.Key))
	}
	return handle(func(w http.ResponseWriter, r *http.Request) error {
		got := sha256.Sum256([]byte(apiKey(r))) // hashes have one length, so the comparison takes constant time
		found := -1
		for i, want := range hashes {
			if subtle.ConstantTimeCompare(got[:], want[:]) == 1 {
				found = i
			}
		}
		if found < 0 {
			return apiError{code: denied}
		}
		requestLogFrom(r.Context()).apiKey = keys[found].Name
		next.ServeHTTP(w, r)
		return nil
	})
}

// requireConfiguredAPIKey is requireAPIKey for what must not be open to everything on the machine: without any keys it
// rejects all requests.
func requireConfiguredAPIKey(keys []APIKey, next http.Handler) http.Handler {
	if len(keys) == 0 {
		return handle(func(http.ResponseWriter, *http.Request) error {
			return apiError{code: codeInvalidAPIKey, detail: "This route requires that the server has an INTERNAL_API_KEY."}
		})
	}
	return requireAPIKey(keys, apiKeyOf, codeInvalidAPIKey, next)
}

// apiKeyFromHeader returns the API key of a gateway, which has the user's token in Authorization. If the header is
// repeated, it returns "": one of the two could come from a client.
func apiKeyFromHeader(r *http.Request) string {
	keys := r.Header.Values(headerAPIKey)
	if len(keys) != 1 {
		return ""
	}
	return keys[0]
}

// apiKeyOf returns the API key of a service that calls directly. Besides X-Api-Key it may use what OAuth clients use: a
// bearer token (RFC 7662, section 2.1), or the password of HTTP Basic with any user name (RFC 6749, section 2.3.1). If
// either header is repeated, it returns "".
func apiKeyOf(r *http.Request) string {
	if len(r.Header.Values(headerAPIKey)) > 1 || len(r.Header.Values("Authorization")) > 1 {
		return ""
	}
	if key := apiKeyFromHeader(r); key != "" {
		return key
	}
	if key, ok := session.BearerToken(r.Header); ok {
		return key
	}
	_, key, _ := r.BasicAuth()
	return key
}
