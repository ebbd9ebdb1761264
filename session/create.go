package session

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
)

// trimScript takes the oldest members out of an index that holds more than ARGV[1], and returns them. It is one script
// because a member that leaves the index unseen would be a session that "log out everywhere" no longer finds.
var trimScript = redis.NewScript(`
local extra = redis.call('ZCARD', KEYS[1]) - tonumber(ARGV[1])
if extra <= 0 then return {} end
local oldest = redis.call('ZRANGE', KEYS[1], 0, extra - 1)
redis.call('ZREMRANGEBYRANK', KEYS[1], 0, extra - 1)
return oldest`)

// Create begins a session and returns its token, the only copy there is. CreatedAt of the argument is ignored: the
// Store's clock sets it. It costs one round trip to Redis, two more when the user has too many sessions.
//
// A session without appid, openid or session_key, or of an app that was not configured, is an error and writes nothing.
// ErrUnavailable: Redis could not be asked; there is no usable session then.
func (s *Store) Create(ctx context.Context, sess Session) (token string, err error) {
	sealer := s.byApp[sess.AppID]
	if sealer == nil {
		return "", fmt.Errorf("session: create: app %q is not configured", sess.AppID)
	}
	now := s.now().UTC()
	sess.CreatedAt = now.Truncate(time.Millisecond)
	record, err := encodeRecord(sess)
	if err != nil {
		return "", fmt.Errorf("session: create: openid or session_key is missing or too long")
	}
	token = newToken()
	hash := hashToken(token)
	if err := s.write(ctx, sess, hash, sealer.seal(record, hash), now); err != nil {
		return "", err
	}
	return token, nil
}

// write stores a sealed record and puts it into its user's index.
func (s *Store) write(ctx context.Context, sess Session, hash tokenHash, sealed []byte, now time.Time) error {
	index := indexKey(sess.AppID, sess.OpenID)
	member := hash.text()
	pipe := s.redis.Pipeline()
	pipe.Set(ctx, recordKey(member), sealed, s.idleTTL)
	pipe.ZAdd(ctx, index, redis.Z{Score: float64(now.UnixMicro()), Member: member})
	pipe.ZRemRangeByScore(ctx, index, "-inf", strconv.FormatInt(now.Add(-s.maxTTL).UnixMicro(), 10))
	count := pipe.ZCard(ctx, index)
	pipe.PExpire(ctx, index, s.maxTTL)
	if _, err := pipe.Exec(ctx); err != nil {
		return unavailable("create", err)
	}
	if count.Val() <= int64(s.maxPerUser) {
		return nil
	}
	return s.trim(ctx, index)
}

// trim ends the oldest sessions of a user who has too many.
func (s *Store) trim(ctx context.Context, index string) error {
	oldest, err := trimScript.Run(ctx, s.redis, []string{index}, s.maxPerUser).StringSlice()
	if err != nil {
		return unavailable("trim", err)
	}
	return s.deleteRecords(ctx, oldest)
}

// deleteRecords deletes records one key a command: in a Cluster they live on different nodes.
func (s *Store) deleteRecords(ctx context.Context, hashes []string) error {
	if len(hashes) == 0 {
		return nil
	}
	pipe := s.redis.Pipeline()
	for _, h := range hashes {
		pipe.Del(ctx, recordKey(h))
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return unavailable("delete", err)
	}
	return nil
}
