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

// Session is what a token stands for. Its text forms leave out the session_key, so that it cannot be logged by mistake.
type Session struct {
	AppID      string    // the mini-program
	OpenID     string    // the user in that mini-program
	SessionKey string    // WeChat's session_key as WeChat gave it: base64 text, never to be shown to a client
	CreatedAt  time.Time // cut to milliseconds, UTC
}

// String is the session without its session_key.
func (s Session) String() string {
	return fmt.Sprintf("session of %s in %s since %s", s.OpenID, s.AppID, s.CreatedAt.Format(time.RFC3339))
}

// GoString is String: %#v must not show the session_key either.
func (s Session) GoString() string { return s.String() }

// LogValue is the session without its session_key, for log/slog.
func (s Session) LogValue() slog.Value {
	return slog.GroupValue(
		slog.String("appid", s.AppID),
		slog.String("openid", s.OpenID),
		slog.Time("createdAt", s.CreatedAt),
	)
}

var (
	// ErrNotFound says that the token stands for no session: malformed, unknown, expired or revoked. Which of them is
	// not told, because a client can do only one thing about it: log in again.
	ErrNotFound = errors.New("session: not found")

	// ErrUnavailable says that Redis could not be asked. It tells nothing about the token, which may well be valid.
	ErrUnavailable = errors.New("session: redis unavailable")
)

// unavailable marks a Redis fault. Redis's own errors name keys (hashes) and addresses, never a value.
func unavailable(op string, err error) error {
	return fmt.Errorf("%w: %s: %w", ErrUnavailable, op, err)
}

const (
	tokenBytes  = 32
	tokenLength = 43 // base64url of 32 bytes without padding
)

// strictBase64URL refuses trailing bits, so that one token has one spelling.
var strictBase64URL = base64.RawURLEncoding.Strict()

// tokenHash is the SHA-256 of a token's text: all that Redis learns of it.
type tokenHash [sha256.Size]byte

func newToken() string {
	var b [tokenBytes]byte
	rand.Read(b[:]) // never fails: it ends the program when the system has no randomness
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// wellFormed tells whether a token could be ours. It keeps garbage from costing a Redis call.
func wellFormed(token string) bool {
	if len(token) != tokenLength {
		return false
	}
	var b [tokenBytes]byte
	n, err := strictBase64URL.Decode(b[:], []byte(token))
	return err == nil && n == tokenBytes
}

func hashToken(token string) tokenHash { return sha256.Sum256([]byte(token)) }

// text is the hash as it stands in keys and in the index.
func (h tokenHash) text() string { return base64.RawURLEncoding.EncodeToString(h[:]) }

// parseHash reads what text wrote.
func parseHash(s string) (h tokenHash, ok bool) {
	b, err := strictBase64URL.DecodeString(s)
	if err != nil || len(b) != len(h) {
		return h, false
	}
	return tokenHash(b), true
}
