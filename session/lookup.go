package session

import (
	"context"

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
	const op = "lookup"
	hash := hashToken(token)
	get := redis.NewStringCmd(ctx, "getex", recordKey(hash.text()), "px", s.idleTTL.Milliseconds())
	err := s.send(ctx, get)
	if s.missing(ctx, op, err) {
		return Session{}, ErrNotFound
	}
	if err != nil {
		return Session{}, unavailable(op, err)
	}
	sess, ok := s.open(ctx, op, []byte(get.Val()), hash)
	if !ok {
		return Session{}, ErrNotFound
	}
	return sess, nil
}

// open opens a record; ok is false where it is none of ours or has reached its absolute expiry.
func (s *Store) open(ctx context.Context, op string, sealed []byte, hash tokenHash) (sess Session, ok bool) {
	sess, err := s.keys.open(sealed, hash)
	if err != nil {
		s.met(ctx, op, err)
		return Session{}, false
	}
	return sess, !s.expired(sess)
}
