package session

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"time"
)

var (
	// ErrNotFound is returned for a token without a session: malformed, unknown, expired or revoked. It does not say
	// which, because a client can do only one thing about it: log in again.
	ErrNotFound = errors.New("session: not found")

	// ErrUnavailable is returned if Redis fails. It says nothing about the token, which may well be valid.
	ErrUnavailable = errors.New("session: redis unavailable")
)

// unavailable wraps an error of Redis. Such errors hold keys (hashes) and addresses, never a value.
func unavailable(op string, err error) error {
	return fmt.Errorf("%w: %s: %w", ErrUnavailable, op, err)
}

// Session is what a token stands for. Printed or logged it has no session_key.
type Session struct {
	AppID      string    // the mini-program
	OpenID     string    // the user in that mini-program
	SessionKey string    // WeChat's session_key as WeChat sent it: base64 text, never to be shown to a client
	CreatedAt  time.Time // UTC, truncated to milliseconds
}

// String returns the session without its session_key.
func (s Session) String() string {
	return fmt.Sprintf("session of %s in %s since %s", s.OpenID, s.AppID, s.CreatedAt.Format(time.RFC3339))
}

// GoString returns the same as String, so that %#v shows no session_key.
func (s Session) GoString() string { return s.String() }

// LogValue returns the session without its session_key, for log/slog.
func (s Session) LogValue() slog.Value {
	return slog.GroupValue(
		slog.String("appid", s.AppID),
		slog.String("openid", s.OpenID),
		slog.Time("createdAt", s.CreatedAt),
	)
}

const (
	tokenBytes  = 32
	tokenLength = 43 // base64url of 32 bytes without padding
)

// strictBase64URL refuses trailing bits, so that a token has only one spelling.
var strictBase64URL = base64.RawURLEncoding.Strict()

// newToken returns 32 random bytes in base64url.
func newToken() string {
	var b [tokenBytes]byte
	rand.Read(b[:]) // never fails: it ends the program if the system has no randomness
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// isWellFormed reports whether newToken could have returned the token. Garbage is refused without a call to Redis.
func isWellFormed(token string) bool {
	if len(token) != tokenLength {
		return false
	}
	var b [tokenBytes]byte
	n, err := strictBase64URL.Decode(b[:], []byte(token))
	return err == nil && n == tokenBytes
}

// tokenHash is the SHA-256 of a token's text. Redis holds only the hash.
type tokenHash [sha256.Size]byte

func hashToken(token string) tokenHash { return sha256.Sum256([]byte(token)) }

// text returns the hash as it is written in keys and in the index.
func (h tokenHash) text() string { return base64.RawURLEncoding.EncodeToString(h[:]) }

// parseHash is the inverse of tokenHash.text.
func parseHash(s string) (h tokenHash, ok bool) {
	b, err := strictBase64URL.DecodeString(s)
	if err != nil || len(b) != len(h) {
		return h, false
	}
	return tokenHash(b), true
}
