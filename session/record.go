package session

import (
	"encoding/binary"
	"errors"
	"math"
	"time"
)

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
