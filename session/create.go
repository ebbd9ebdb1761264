package session

import (
	"context"
	"fmt"
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
	keys, args := []string{index, recordKey(member)}, []any{
		now.UnixMicro(), member, now.Add(-s.maxTTL).UnixMicro(), s.maxTTL.Milliseconds(), -s.maxPerUser - 1,
		sealed, s.idleTTL.Milliseconds(),
	}
	if !s.oneNode {
		// The nodes of a Cluster work side by side. The record stands before it is in the index, because RevokeAll in
		// between would take the member out again, and the record that comes after it would be in no index.
		set := redis.NewStatusCmd(ctx, "set", recordKey(member), sealed, "px", s.idleTTL.Milliseconds())
		if err := s.send(ctx, set); err != nil {
			return nil, err
		}
		keys, args = keys[:1], args[:5]
	}
	reply, err := s.run(ctx, begin, beginText, keys, args...)
	if err != nil {
		return nil, err
	}
	if len(reply) > 0 && reply[0] == "" {
		s.met(ctx, "create", wrongType)
		reply = reply[1:]
	}
	return reply, nil
}

// beginText puts a member into an index, takes the absolutely expired ones out, and returns the oldest beyond the cap; with a
// second key it stores the record there before. It is one script, which is one command to send and one answer to read, and
// which no crash leaves half done: an index without an expiry would stay for ever.
//
// Where something else than an index stands, it goes, so that its user does not stay locked out, and the answer begins with
// an empty member.
const beginText = `
local index, score, member, expired, ttl, cap = KEYS[1], ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
if KEYS[2] then redis.call('SET', KEYS[2], ARGV[6], 'PX', ARGV[7]) end
local foreign = redis.call('TYPE', index).ok
foreign = foreign ~= 'zset' and foreign ~= 'none'
if foreign then redis.call('DEL', index) end
redis.call('ZADD', index, score, member)
redis.call('ZREMRANGEBYSCORE', index, '-inf', expired)
redis.call('PEXPIRE', index, ttl)
local excess = redis.call('ZRANGE', index, 0, cap)
if foreign then table.insert(excess, 1, '') end
return excess`

var begin = redis.NewScript(beginText)
