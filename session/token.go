package session

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
)

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
