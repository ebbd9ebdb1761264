package session

import "context"

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
	sealed, err := s.redis.GetEx(ctx, recordKey(hash.text()), s.idleTTL).Bytes()
	if s.missing(ctx, op, err) {
		return Session{}, ErrNotFound
	}
	if err != nil {
		return Session{}, unavailable(op, err)
	}
	sess, ok := s.open(ctx, op, sealed, hash)
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
