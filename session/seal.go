package session

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"time"
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

// keyID identifies the key that a record was sealed under, so that a record of any app, sealed under its current or
// previous AppSecret, is read without trial and error.
type keyID [keyIDLength]byte

// sealer seals and opens the records of one app under one AppSecret.
//
// Nonces are random. NIST SP 800-38D allows 2^32 records per key then, which is 136 logins a second for a year.
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

// unseal is the inverse of seal. It returns a recordError for anything that s has not sealed for this hash. sealed has
// at least minSealed bytes.
func (s *sealer) unseal(sealed []byte, hash tokenHash) (Session, error) {
	plain, err := s.aead.Open(nil, sealed[1+keyIDLength:headerLength], sealed[headerLength:], hash[:])
	if err != nil {
		return Session{}, tampered
	}
	sess, err := decodeRecord(plain)
	if err != nil || sess.AppID != s.appID {
		return Session{}, badSession
	}
	return sess, nil
}

// keyring holds the sealers of all configured apps and secrets.
type keyring map[keyID]*sealer

// add adds a sealer. It fails if another one has the same key id.
func (k keyring) add(s *sealer) error {
	if other := k[s.id]; other != nil {
		return fmt.Errorf("session: an AppSecret of app %s and one of app %s have the same key id", other.appID, s.appID)
	}
	k[s.id] = s
	return nil
}

// unseal decrypts a record with the key that its key id names. The error is a recordError.
func (k keyring) unseal(sealed []byte, hash tokenHash) (Session, error) {
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
	return s.unseal(sealed, hash)
}

var errRecord = errors.New("session: not a session record")

// The length of a record: the time, and three texts of 1 to 255 bytes.
const (
	minRecord = 8 + 3*(1+1)
	maxRecord = 8 + 3*(1+math.MaxUint8)
)

// encodeRecord writes a session as eight bytes of creation time (Unix time in milliseconds, big endian) and three
// texts, each after one byte of length.
func encodeRecord(s Session) ([]byte, error) {
	fields := [...]string{s.AppID, s.OpenID, s.SessionKey}
	b := make([]byte, 8, 8+len(fields)+len(s.AppID)+len(s.OpenID)+len(s.SessionKey))
	binary.BigEndian.PutUint64(b, uint64(s.CreatedAt.UnixMilli()))
	for _, f := range fields {
		if f == "" || len(f) > math.MaxUint8 {
			return nil, errRecord
		}
		b = append(b, byte(len(f)))
		b = append(b, f...)
	}
	return b, nil
}

// decodeRecord is the inverse of encodeRecord. Any other input is an error.
func decodeRecord(b []byte) (Session, error) {
	if len(b) < 8 {
		return Session{}, errRecord
	}
	s := Session{CreatedAt: time.UnixMilli(int64(binary.BigEndian.Uint64(b))).UTC()}
	b = b[8:]
	for _, field := range [...]*string{&s.AppID, &s.OpenID, &s.SessionKey} {
		if len(b) == 0 || b[0] == 0 {
			return Session{}, errRecord
		}
		end := 1 + int(b[0])
		if len(b) < end {
			return Session{}, errRecord
		}
		*field, b = string(b[1:end]), b[end:]
	}
	if len(b) != 0 {
		return Session{}, errRecord
	}
	return s, nil
}

// recordError is the reason why a value in Redis is not a valid record or index member. Such a value is treated as a
// miss. The error never contains the value.
type recordError uint8

const (
	wrongType      recordError = iota // the key holds another Redis type
	wrongLength                       // shorter or longer than any record
	unknownVersion                    // written by another version of this package, or by another program
	unknownKey                        // sealed under an AppSecret that the Store does not know, or no longer knows
	tampered                          // modified, or sealed for another token
	badSession                        // sealed under a known key, but not a session of that app
	badMember                         // an index member that is not a hash
	wrongUser                         // an index member that is another user's session
)

var recordErrorTexts = [...]string{
	wrongType: "wrong type", wrongLength: "wrong length", unknownVersion: "unknown version", unknownKey: "unknown key",
	tampered: "altered or another token's", badSession: "not a session", badMember: "not a hash", wrongUser: "another user's",
}

func (e recordError) Error() string {
	return "session: invalid record in redis: " + recordErrorTexts[e]
}

// warnOnce logs the first recordError of each kind; one overwritten Redis must not fill the log. Other errors are
// ignored.
func (s *Store) warnOnce(ctx context.Context, op string, err error) {
	kind, ok := errors.AsType[recordError](err)
	if !ok {
		return
	}
	if bit := uint32(1) << kind; s.warned.Or(bit)&bit != 0 {
		return
	}
	s.logger.LogAttrs(ctx, slog.LevelWarn, "invalid session record in redis (logged once per kind)",
		slog.String("kind", recordErrorTexts[kind]), slog.String("op", op))
}

// unseal decrypts a record. ok is false if it is not valid or has reached its absolute expiry.
func (s *Store) unseal(ctx context.Context, op string, sealed []byte, hash tokenHash) (sess Session, ok bool) {
	sess, err := s.keyring.unseal(sealed, hash)
	if err != nil {
		s.warnOnce(ctx, op, err)
		return Session{}, false
	}
	return sess, !s.expired(sess)
}
