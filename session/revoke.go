package session

import (
	"context"

	"github.com/redis/go-redis/v9"
)

// Revoke ends the session of a token. It also deletes an invalid record at the token's key. It is not an error if the
// token has no session.
//
// It returns ErrUnavailable if Redis fails. The session may still exist then; calling Revoke again is safe. If only the
// second of its two commands failed, the session has ended but its hash stays in the index. That has no effect until the
// user reaches the cap, when it is the first to go.
func (s *Store) Revoke(ctx context.Context, token string) error {
	if !isWellFormed(token) {
		return nil
	}
	const op = "revoke"
	hash := hashToken(token)
	key := s.keys.record(hash.text())
	sealed, err := s.redis.GetDel(ctx, key).Bytes()
	if isWrongType(err) {
		s.warnOnce(ctx, op, wrongType)
		if err := s.redis.Del(ctx, key).Err(); err != nil {
			return unavailable(op, err)
		}
		return nil
	}
	if s.isMiss(ctx, op, err) {
		return nil
	}
	if err != nil {
		return unavailable(op, err)
	}
	sess, err := s.keyring.unseal(sealed, hash)
	if err != nil {
		s.warnOnce(ctx, op, err)
		return nil
	}
	err = s.redis.ZRem(ctx, s.keys.index(sess.AppID, sess.OpenID), hash.text()).Err()
	if err != nil && !s.isMiss(ctx, op, err) {
		return unavailable(op, err)
	}
	return nil
}

// RevokeAll ends all sessions of a user in one app: "log out everywhere". A session that begins at the same time either
// stays complete or ends completely. RevokeAll finds the sessions by the user's index. If the index's key holds another
// type it finds none, so a caller that has a token should call Revoke for it too.
//
// It returns ErrUnavailable if Redis fails. Some sessions may still exist then; calling RevokeAll again is safe.
func (s *Store) RevokeAll(ctx context.Context, appID, openID string) error {
	const op = "revoke all"
	index := s.keys.index(appID, openID)
	members, err := s.redis.ZRange(ctx, index, 0, -1).Result()
	if s.isMiss(ctx, op, err) {
		return nil
	}
	if err != nil {
		return unavailable(op, err)
	}
	return s.deleteSessions(ctx, op, index, members)
}

// deleteSessions deletes the sessions of members of an index. Records go before members: if the members went first and
// the rest failed, the records could not be found any more. It may be repeated, and may run twice at once.
func (s *Store) deleteSessions(ctx context.Context, op, index string, members []string) error {
	if len(members) == 0 {
		return nil
	}
	deletes := make([]redis.Cmder, 0, len(members)) // one key per command: in a Cluster they are on different nodes
	remove := make([]any, 0, 2+len(members))
	remove = append(remove, "zrem", index)
	for _, member := range members {
		remove = append(remove, member)
		if _, ok := parseHash(member); !ok {
			s.warnOnce(ctx, op, badMember)
			continue
		}
		deletes = append(deletes, redis.NewIntCmd(ctx, "del", s.keys.record(member)))
	}
	if err := s.doAll(ctx, deletes); err != nil {
		return unavailable(op, err)
	}
	err := s.do(ctx, redis.NewIntCmd(ctx, remove...))
	if err != nil && !s.isMiss(ctx, op, err) {
		return unavailable(op, err)
	}
	return nil
}
