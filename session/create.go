package session

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
)

// Create begins a session and returns its token, the only copy there is. CreatedAt of the argument is ignored: the
// Store's clock sets it. It costs one round trip to Redis (in a Cluster two), two more when the user has too many sessions.
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
	index := indexKey(sess.AppID, sess.OpenID)
	excess, err := s.write(ctx, index, hash.text(), sealer.seal(record, hash), now)
	if err != nil {
		return "", unavailable("create", err)
	}
	if err := s.end(ctx, "create", index, excess); err != nil {
		return "", err
	}
	return token, nil
}

// write stores a sealed record, puts it into its user's index, and returns the oldest members beyond the cap.
func (s *Store) write(ctx context.Context, index, member string, sealed []byte, now time.Time) (excess []string, err error) {
	pipe := s.redis.Pipeline()
	pipe.Set(ctx, recordKey(member), sealed, s.idleTTL)
	if !s.oneNode {
		// The nodes of a Cluster work side by side. The record stands before it is in the index, because RevokeAll in
		// between would take the member out again, and the record that comes after it would be in no index.
		if _, err := pipe.Exec(ctx); err != nil {
			return nil, err
		}
	}
	excess, err = s.enter(ctx, pipe, index, member, now)
	if !isWrongType(err) {
		return excess, err
	}
	// Something else than an index stands there. The user must not stay locked out for it, so it goes, once.
	s.met(ctx, "create", wrongType)
	if err := dropUnlessIndex.Run(ctx, s.redis, []string{index}).Err(); err != nil {
		return nil, err
	}
	return s.enter(ctx, pipe, index, member, now)
}

// enter puts a member into an index, takes the absolutely expired ones out, and returns the oldest beyond the cap.
func (s *Store) enter(ctx context.Context, pipe redis.Pipeliner, index, member string, now time.Time) ([]string, error) {
	pipe.ZAdd(ctx, index, redis.Z{Score: float64(now.UnixMicro()), Member: member})
	pipe.ZRemRangeByScore(ctx, index, "-inf", strconv.FormatInt(now.Add(-s.maxTTL).UnixMicro(), 10))
	excess := pipe.ZRange(ctx, index, 0, -int64(s.maxPerUser)-1)
	pipe.PExpire(ctx, index, s.maxTTL)
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, err
	}
	return excess.Val(), nil
}

// dropUnlessIndex deletes what stands at an index's key and is no sorted set. It is one script because two of them at once
// would else delete the index that one of the two callers has begun since.
var dropUnlessIndex = redis.NewScript(
	`if redis.call('TYPE', KEYS[1]).ok == 'zset' then return 0 end return redis.call('DEL', KEYS[1])`)
