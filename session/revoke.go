package session

import (
	"context"

	"github.com/redis/go-redis/v9"
)

// Revoke ends the session of a token. A token without a session is no error: it is as the caller wants it.
// ErrUnavailable: Redis could not be asked; the session may still be there.
func (s *Store) Revoke(ctx context.Context, token string) error {
	if !wellFormed(token) {
		return nil
	}
	hash := hashToken(token)
	sealed, err := s.redis.GetDel(ctx, recordKey(hash.text())).Bytes()
	if missing(err) {
		return nil
	}
	if err != nil {
		return unavailable("revoke", err)
	}
	sess, err := s.keys.open(sealed, hash)
	if err != nil {
		return nil
	}
	if err := s.redis.ZRem(ctx, indexKey(sess.AppID, sess.OpenID), hash.text()).Err(); err != nil {
		return unavailable("revoke", err)
	}
	return nil
}

// RevokeAll ends all sessions that a user has in one app: "log out everywhere". Sessions begun while it runs stay.
// ErrUnavailable: Redis could not be asked; some sessions may still be there, and calling it again does no harm.
func (s *Store) RevokeAll(ctx context.Context, appID, openID string) error {
	index := indexKey(appID, openID)
	hashes, err := s.redis.ZRange(ctx, index, 0, -1).Result()
	if missing(err) || err == nil && len(hashes) == 0 {
		return nil
	}
	if err != nil {
		return unavailable("revoke all", err)
	}
	// The records go first: were the index to go first and the rest to fail, nothing would find them again.
	if err := s.deleteRecords(ctx, hashes); err != nil {
		return err
	}
	members := make([]any, len(hashes))
	for i, h := range hashes {
		members[i] = h
	}
	if err := s.redis.ZRem(ctx, index, members...).Err(); err != nil && err != redis.Nil {
		return unavailable("revoke all", err)
	}
	return nil
}
