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
	hashes, err := s.redis.ZRevRange(ctx, indexKey(sess.AppID, sess.OpenID), 0, int64(s.maxPerUser)-1).Result()
	if missing(err) || err == nil && len(hashes) == 0 {
		return nil, nil
	}
	if err != nil {
		return nil, unavailable("key ring", err)
	}
	others, err := s.peek(ctx, hashes)
	if err != nil {
		return nil, err
	}
	var keys []string
	for _, other := range others {
		if other.AppID != sess.AppID || other.OpenID != sess.OpenID {
			continue // not written by Create: an index never lists another user's session
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

// peek reads the sessions behind hashes, in order, without prolonging them; ended ones are left out.
func (s *Store) peek(ctx context.Context, hashes []string) ([]Session, error) {
	pipe := s.redis.Pipeline()
	replies := make([]*redis.StringCmd, len(hashes))
	for i, h := range hashes {
		replies[i] = pipe.Get(ctx, recordKey(h))
	}
	if _, err := pipe.Exec(ctx); err != nil && !missing(err) {
		return nil, unavailable("key ring", err)
	}
	sessions := make([]Session, 0, len(hashes))
	for i, reply := range replies {
		sealed, err := reply.Bytes()
		if missing(err) {
			continue
		}
		if err != nil {
			return nil, unavailable("key ring", err)
		}
		hash, ok := parseHash(hashes[i])
		if !ok {
			continue
		}
		if sess, err := s.keys.open(sealed, hash); err == nil && !s.expired(sess) {
			sessions = append(sessions, sess)
		}
	}
	return sessions, nil
}
