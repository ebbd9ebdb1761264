package session

import (
	"context"
	"errors"

	"github.com/redis/go-redis/v9"
)

// Lookup finds the session that a token stands for and begins its idle expiry anew, in one command.
//
// ErrNotFound: malformed (told without asking Redis), unknown, expired or revoked, or a value in Redis that is not a
// record of ours. ErrUnavailable: Redis could not be asked.
func (s *Store) Lookup(ctx context.Context, token string) (Session, error) {
	if !wellFormed(token) {
		return Session{}, ErrNotFound
	}
	hash := hashToken(token)
	key := recordKey(hash.text())
	sealed, err := s.redis.GetEx(ctx, key, s.idleTTL).Bytes()
	if missing(err) {
		return Session{}, ErrNotFound
	}
	if err != nil {
		return Session{}, unavailable("lookup", err)
	}
	sess, err := s.keys.open(sealed, hash)
	if err != nil || s.expired(sess) {
		return Session{}, ErrNotFound
	}
	return sess, nil
}

// missing tells a key that holds no record (nothing, or a value of another type) from a fault.
func missing(err error) bool {
	return errors.Is(err, redis.Nil) || redis.HasErrorPrefix(err, "WRONGTYPE")
}
