package session

import (
	"context"
	"slices"

	"github.com/redis/go-redis/v9"
)

// MaxOtherKeys is how many session_keys OtherSessionKeys returns at most.
const MaxOtherKeys = 3

// opKeyRing names the methods of this file in errors and in the log.
const opKeyRing = "key ring"

// OtherSessionKeys returns the session_keys of the user's other sessions in the same app: newest first, without
// duplicates, without that of sess, at most MaxOtherKeys. It does not prolong those sessions.
//
// They are for data that does not decrypt with the session's own key. WeChat keeps one valid session_key per user, so
// another wx.login (a second page, a double tap, another device) may have replaced it between the login that created the
// token and the call that encrypted the data.
//
// It returns ErrUnavailable if Redis fails.
func (s *Store) OtherSessionKeys(ctx context.Context, sess Session) ([]string, error) {
	sessions, err := s.userSessions(ctx, sess)
	if err != nil {
		return nil, err
	}
	var keys []string
	for _, other := range sessions {
		if other.SessionKey == sess.SessionKey || slices.Contains(keys, other.SessionKey) {
			continue
		}
		if keys = append(keys, other.SessionKey); len(keys) == MaxOtherKeys {
			break
		}
	}
	return keys, nil
}

// NewestSessionKey returns the session_key of the user's newest session in the same app, which may be that of sess. If
// WeChat has replaced no key without a login, it is the one that is valid at WeChat, as signatures need it. It does not
// prolong that session.
//
// It returns ErrUnavailable if Redis fails.
func (s *Store) NewestSessionKey(ctx context.Context, sess Session) (string, error) {
	sessions, err := s.userSessions(ctx, sess)
	if err != nil {
		return "", err
	}
	// sess is newer than all others if the index has lost it.
	if len(sessions) == 0 || sess.CreatedAt.After(sessions[0].CreatedAt) {
		return sess.SessionKey, nil
	}
	return sessions[0].SessionKey, nil
}

// userSessions returns the sessions of sess's user in its app, newest first, at most Options.MaxPerUser. It does not
// prolong them.
func (s *Store) userSessions(ctx context.Context, sess Session) ([]Session, error) {
	members, err := s.redis.ZRevRange(ctx, s.keys.index(sess.AppID, sess.OpenID), 0, int64(s.maxPerUser)-1).Result()
	if s.isMiss(ctx, opKeyRing, err) {
		return nil, nil
	}
	if err != nil {
		return nil, unavailable(opKeyRing, err)
	}
	sessions, err := s.getAll(ctx, s.parseMembers(ctx, members))
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(sessions, func(other Session) bool {
		foreign := other.AppID != sess.AppID || other.OpenID != sess.OpenID
		if foreign {
			s.warnOnce(ctx, opKeyRing, wrongUser) // not written by Create
		}
		return foreign
	}), nil
}

// parseMembers parses the members of an index and skips those that are not hashes.
func (s *Store) parseMembers(ctx context.Context, members []string) []tokenHash {
	hashes := make([]tokenHash, 0, len(members))
	for _, member := range members {
		hash, ok := parseHash(member)
		if !ok {
			s.warnOnce(ctx, opKeyRing, badMember)
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
	if _, err := pipe.Exec(ctx); err != nil && !s.isMiss(ctx, opKeyRing, err) {
		return nil, unavailable(opKeyRing, err)
	}
	sessions := make([]Session, 0, len(hashes))
	for i, reply := range replies {
		sealed, err := reply.Bytes()
		if s.isMiss(ctx, opKeyRing, err) {
			continue
		}
		if err != nil {
			return nil, unavailable(opKeyRing, err)
		}
		if sess, ok := s.unseal(ctx, opKeyRing, sealed, hashes[i]); ok {
			sessions = append(sessions, sess)
		}
	}
	return sessions, nil
}
