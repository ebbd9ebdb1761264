package session

import (
	"context"

	"github.com/redis/go-redis/v9"
)

// Revoke ends the session of a token, and deletes whatever else stands in its place. A token without a session is no
// error: it is as the caller wants it.
//
// ErrUnavailable: Redis could not be asked; the session may still be there, and calling it again does no harm. Where only
// the second of its two commands failed, the session has ended and its hash stays in the index, which does nothing
// until the user is at the cap, and then is the first to go.
func (s *Store) Revoke(ctx context.Context, token string) error {
	if !wellFormed(token) {
		return nil
	}
	const op = "revoke"
	hash := hashToken(token)
	key := recordKey(hash.text())
	sealed, err := s.redis.GetDel(ctx, key).Bytes()
	if isWrongType(err) {
		s.met(ctx, op, wrongType)
		if err := s.redis.Del(ctx, key).Err(); err != nil {
			return unavailable(op, err)
		}
		return nil
	}
	if s.missing(ctx, op, err) {
		return nil
	}
	if err != nil {
		return unavailable(op, err)
	}
	sess, err := s.keys.open(sealed, hash)
	if err != nil {
		s.met(ctx, op, err)
		return nil
	}
	err = s.redis.ZRem(ctx, indexKey(sess.AppID, sess.OpenID), hash.text()).Err()
	if err != nil && !s.missing(ctx, op, err) {
		return unavailable(op, err)
	}
	return nil
}

// RevokeAll ends all sessions that a user has in one app: "log out everywhere". A session that begins meanwhile either
// stays whole or is ended whole. It finds sessions by the user's index; where something else stands in the index's place
// it finds none, so who has a token calls Revoke for that one too.
//
// ErrUnavailable: Redis could not be asked; some sessions may still be there, and calling it again does no harm.
func (s *Store) RevokeAll(ctx context.Context, appID, openID string) error {
	const op = "revoke all"
	index := indexKey(appID, openID)
	members, err := s.redis.ZRange(ctx, index, 0, -1).Result()
	if s.missing(ctx, op, err) {
		return nil
	}
	if err != nil {
		return unavailable(op, err)
	}
	return s.end(ctx, op, index, members)
}

// end ends the sessions behind members of an index. The records go first: were the members to go first and the rest to
// fail, nothing would find the records again. It may be done twice, or by two at once.
func (s *Store) end(ctx context.Context, op, index string, members []string) error {
	if len(members) == 0 {
		return nil
	}
	deletes := make([]redis.Cmder, 0, len(members)) // a key a command: in a Cluster they live on different nodes
	remove := make([]any, 0, 2+len(members))
	remove = append(remove, "zrem", index)
	for _, member := range members {
		remove = append(remove, member)
		if _, ok := parseHash(member); !ok {
			s.met(ctx, op, notAHash)
			continue
		}
		deletes = append(deletes, redis.NewIntCmd(ctx, "del", recordKey(member)))
	}
	if err := s.sendAll(ctx, deletes); err != nil {
		return unavailable(op, err)
	}
	err := s.send(ctx, redis.NewIntCmd(ctx, remove...))
	if err != nil && !s.missing(ctx, op, err) {
		return unavailable(op, err)
	}
	return nil
}
