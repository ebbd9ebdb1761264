package session

import (
	"context"
	"slices"

	"github.com/redis/go-redis/v9"
)

// MaxOtherKeys is how many session_keys OtherSessionKeys returns at most.
const MaxOtherKeys = 3

// opOtherKeys names OtherSessionKeys in errors and in the log.
const opOtherKeys = "key ring"

// OtherSessionKeys returns the session_keys of the user's other sessions in the same app: newest first, without
// duplicates, without that of sess, at most MaxOtherKeys. It does not prolong those sessions.
//
// They are for data that does not decrypt with the session's own key. WeChat keeps one valid session_key per user, so
// another wx.login (a second page, a double tap, another device) may have replaced it between the login that created the
// token and the call that encrypted the data.
//
// It returns ErrUnavailable if Redis fails.
func (s *Store) OtherSessionKeys(ctx context.Context, sess Session) ([]string, error) {
	members, err := s.redis.ZRevRange(ctx, s.keys.index(sess.AppID, sess.OpenID), 0, int64(s.maxPerUser)-1).Result()
	if s.isMiss(ctx, opOtherKeys, err) {
		return nil, nil
	}
	if err != nil {
		return nil, unavailable(opOtherKeys, err)
	}
	others, err := s.getAll(ctx, s.parseMembers(ctx, members))
	if err != nil {
		return nil, err
	}
	var keys []string
	for _, other := range others {
		if other.AppID != sess.AppID || other.OpenID != sess.OpenID {
			s.warnOnce(ctx, opOtherKeys, wrongUser) // not written by Create
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

// parseMembers parses the members of an index and skips those that are not hashes.
func (s *Store) parseMembers(ctx context.Context, members []string) []tokenHash {
	hashes := make([]tokenHash, 0, len(members))
	for _, member := range members {
		hash, ok := parseHash(member)
		if !ok {
			s.warnOnce(ctx, opOtherKeys, badMember)
			continue
		}
		hashes = append(hashes, hash)
	}
	return hashes
}

// getAll reads the sessions of hashes, in order, without prolonging them. It skips sessions that have ended.
func (s *Store) getAll(ctx context.Context, hashes []tokenHash) ([]Session, error) {
	pipe := s.redis.Pipeline()
	replies := make([]*redis.StringCmd, len(hashes))
	for i, hash := range hashes {
		replies[i] = pipe.Get(ctx, s.keys.record(hash.text()))
	}
	if _, err := pipe.Exec(ctx); err != nil && !s.isMiss(ctx, opOtherKeys, err) {
		return nil, unavailable(opOtherKeys, err)
	}
	sessions := make([]Session, 0, len(hashes))
	for i, reply := range replies {
		sealed, err := reply.Bytes()
		if s.isMiss(ctx, opOtherKeys, err) {
			continue
		}
		if err != nil {
			return nil, unavailable(opOtherKeys, err)
		}
		if sess, ok := s.unseal(ctx, opOtherKeys, sealed, hashes[i]); ok {
			sessions = append(sessions, sess)
		}
	}
	return sessions, nil
}
