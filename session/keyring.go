package session

import (
	"context"
	"slices"

	"github.com/redis/go-redis/v9"
)

// MaxOtherKeys is how many session_keys OtherSessionKeys returns at most.
const MaxOtherKeys = 3

// OtherSessionKeys returns the session_keys of the same user's other sessions in the same app, newest first, each once,
// without the key of sess itself, at most MaxOtherKeys. It does not prolong those sessions.
//
// It is for data that does not decrypt under the session's own key: WeChat keeps one valid session_key a user, so a
// second wx.login (another page, a double tap, another device) may have replaced it between the login that gave
// the token and the call that gave the data.
//
// ErrUnavailable: Redis could not be asked.
func (s *Store) OtherSessionKeys(ctx context.Context, sess Session) ([]string, error) {
	members, err := s.redis.ZRevRange(ctx, indexKey(sess.AppID, sess.OpenID), 0, int64(s.maxPerUser)-1).Result()
	if s.missing(ctx, opKeyRing, err) {
		return nil, nil
	}
	if err != nil {
		return nil, unavailable(opKeyRing, err)
	}
	others, err := s.peek(ctx, s.hashes(ctx, members))
	if err != nil {
		return nil, err
	}
	var keys []string
	for _, other := range others {
		if other.AppID != sess.AppID || other.OpenID != sess.OpenID {
			s.met(ctx, opKeyRing, anotherUsers) // not written by Create
			continue
		}
		if other.SessionKey == sess.SessionKey || slices.Contains(keys, other.SessionKey) {
			continue
		}
		if keys = append(keys, other.SessionKey); len(keys) == MaxOtherKeys {
			break
		}
	}
	return keys, nil
}

// opKeyRing names OtherSessionKeys in errors and in the log.
const opKeyRing = "key ring"

// hashes reads the members of an index, and leaves out what is no hash.
func (s *Store) hashes(ctx context.Context, members []string) []tokenHash {
	hashes := make([]tokenHash, 0, len(members))
	for _, member := range members {
		hash, ok := parseHash(member)
		if !ok {
			s.met(ctx, opKeyRing, notAHash)
			continue
		}
		hashes = append(hashes, hash)
	}
	return hashes
}

// peek reads the sessions behind hashes, in order, without prolonging them; ended ones are left out.
func (s *Store) peek(ctx context.Context, hashes []tokenHash) ([]Session, error) {
	pipe := s.redis.Pipeline()
	replies := make([]*redis.StringCmd, len(hashes))
	for i, hash := range hashes {
		replies[i] = pipe.Get(ctx, recordKey(hash.text()))
	}
	if _, err := pipe.Exec(ctx); err != nil && !s.missing(ctx, opKeyRing, err) {
		return nil, unavailable(opKeyRing, err)
	}
	sessions := make([]Session, 0, len(hashes))
	for i, reply := range replies {
		sealed, err := reply.Bytes()
		if s.missing(ctx, opKeyRing, err) {
			continue
		}
		if err != nil {
			return nil, unavailable(opKeyRing, err)
		}
		if sess, ok := s.open(ctx, opKeyRing, sealed, hashes[i]); ok {
			sessions = append(sessions, sess)
		}
	}
	return sessions, nil
}
