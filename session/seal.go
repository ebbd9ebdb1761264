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

	"github.com/redis/go-redis/v9"
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

var errRecord = errors.New("session: not a session record")

// The length of a record: the time, and three texts of 1 to 255 bytes.
const (
	minRecord = 8 + 3*(1+1)
	maxRecord = 8 + 3*(1+math.MaxUint8)
)

// encodeRecord lays a session out as eight bytes of creation time (milliseconds of Unix time, big endian) and then three
// texts, each behind one byte of length.
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

// decodeRecord reads what encodeRecord wrote and nothing else.
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

// foreign is a kind of thing that stands in Redis where a Store writes, and that no Store with these secrets wrote. It
// counts as nothing. As an error it says nothing of what it met.
type foreign uint8

const (
	wrongType      foreign = iota // a key holds another Redis type than ours
	wrongLength                   // shorter than any record of ours, or longer
	unknownVersion                // laid out by another version of this package, or by somebody else
	unknownKey                    // sealed under an AppSecret that the Store does not know (any longer)
	altered                       // sealed for another token, or changed since
	notASession                   // sealed under our key, and no session of its app
	notAHash                      // an index member that names no record
	anotherUsers                  // an index member that is another user's session
)

var foreignTexts = [...]string{
	wrongType: "wrong type", wrongLength: "wrong length", unknownVersion: "unknown version", unknownKey: "unknown key",
	altered: "altered or another token's", notASession: "not a session", notAHash: "not a hash", anotherUsers: "another user's",
}

func (f foreign) Error() string { return "session: foreign in redis: " + foreignTexts[f] }

// met logs the first foreign thing of each kind. Were every one logged, one spoilt Redis would fill the log.
func (s *Store) met(ctx context.Context, op string, err error) {
	f, ok := errors.AsType[foreign](err)
	if !ok {
		return
	}
	if bit := uint32(1) << f; s.kindsMet.Or(bit)&bit != 0 {
		return
	}
	s.logger.LogAttrs(ctx, slog.LevelWarn, "redis holds something that is no session of ours; more of its kind is not logged",
		slog.String("kind", foreignTexts[f]), slog.String("op", op))
}

// missing tells a key that holds nothing of ours (nothing, or a value of another type) from a fault.
func (s *Store) missing(ctx context.Context, op string, err error) bool {
	if isWrongType(err) {
		s.met(ctx, op, wrongType)
		return true
	}
	return errors.Is(err, redis.Nil)
}

func isWrongType(err error) bool { return redis.HasErrorPrefix(err, "WRONGTYPE") }
