package session

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
)

// A sealed record is: version (1 byte), key id (4), nonce (12), ciphertext and tag (16).
const (
	sealVersion  = 1
	keyIDLength  = 4
	nonceLength  = 12
	tagLength    = 16
	headerLength = 1 + keyIDLength + nonceLength
	minSealed    = headerLength + minRecord + tagLength
	maxSealed    = headerLength + maxRecord + tagLength
)

// keyID names the key that a record was sealed under, so that several apps, and an app's new and previous AppSecret, share
// one Redis without trial and error.
type keyID [keyIDLength]byte

// sealer seals and opens the records of one app under one AppSecret.
//
// Nonces are random: NIST SP 800-38D allows 2^32 records for one key, which is 136 logins a second for a year; the
// absolute expiry takes each of them out of Redis long before.
type sealer struct {
	appID string
	id    keyID
	aead  cipher.AEAD
}

// newSealer derives an app's key by HKDF-SHA256 (RFC 5869) from its AppSecret, salted with its appid.
func newSealer(appID, secret string) (*sealer, error) {
	key, err := hkdf.Key(sha256.New, []byte(secret), []byte(appID), "wxlogin session record v1 key", 32)
	if err != nil {
		return nil, fmt.Errorf("session: deriving the record key: %w", err)
	}
	id, err := hkdf.Key(sha256.New, []byte(secret), []byte(appID), "wxlogin session record v1 key id", keyIDLength)
	if err != nil {
		return nil, fmt.Errorf("session: deriving the key id: %w", err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("session: record cipher: %w", err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, fmt.Errorf("session: record cipher: %w", err)
	}
	return &sealer{appID: appID, id: keyID(id), aead: aead}, nil
}

// seal encrypts a record and binds it to the token's hash.
func (s *sealer) seal(record []byte, hash tokenHash) []byte {
	out := make([]byte, headerLength, headerLength+len(record)+tagLength)
	out[0] = sealVersion
	copy(out[1:], s.id[:])
	nonce := out[1+keyIDLength : headerLength]
	rand.Read(nonce)
	return s.aead.Seal(out, nonce, record, hash[:])
}

// open is seal undone. Whatever was not sealed by s for this hash is foreign.
func (s *sealer) open(sealed []byte, hash tokenHash) (Session, error) {
	plain, err := s.aead.Open(nil, sealed[1+keyIDLength:headerLength], sealed[headerLength:], hash[:])
	if err != nil {
		return Session{}, altered
	}
	sess, err := decodeRecord(plain)
	if err != nil || sess.AppID != s.appID {
		return Session{}, notASession
	}
	return sess, nil
}

// keyring holds the sealers of all configured apps and secrets.
type keyring map[keyID]*sealer

// add puts a sealer into the ring.
func (k keyring) add(s *sealer) error {
	if other := k[s.id]; other != nil {
		return fmt.Errorf("session: an AppSecret of app %s and one of app %s have the same key id", other.appID, s.appID)
	}
	k[s.id] = s
	return nil
}

// open finds the sealer by the record's key id. Every error is a kind of foreign.
func (k keyring) open(sealed []byte, hash tokenHash) (Session, error) {
	if len(sealed) < minSealed {
		return Session{}, wrongLength
	}
	if sealed[0] != sealVersion {
		return Session{}, unknownVersion
	}
	if len(sealed) > maxSealed {
		return Session{}, wrongLength
	}
	s, ok := k[keyID(sealed[1:1+keyIDLength])]
	if !ok {
		return Session{}, unknownKey
	}
	return s.open(sealed, hash)
}
