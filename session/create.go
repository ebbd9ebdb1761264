package session

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"
)

// Create begins a session and returns its token, the only copy there is. CreatedAt of the argument is ignored: the
// Store's clock sets it. It costs one round trip to Redis (in a Cluster two; with AutoPipeline one or two), and three more if
// the user has more sessions than Options.MaxPerUser, which does not happen at the next logins (see Options.MaxPerUser).
//
// A session without appid, openid or session_key, or of an app that was not configured, is an error and writes nothing.
// ErrUnavailable: Redis could not be asked; there is no usable session then.
func (s *Store) Create(ctx context.Context, sess Session) (token string, err error) {
	const op = "create"
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
	members, err := s.write(ctx, index, hash.text(), sealer.seal(record, hash), now)
	if err != nil {
		return "", unavailable(op, err)
	}
	if err := s.trim(ctx, op, index, hash.text(), members); err != nil {
		return "", err
	}
	return token, nil
}

// write stores a sealed record and then puts it into its user's index. It returns all members of the index if they are more
// than the cap, and none otherwise.
//
// The record is there before the index names it: RevokeAll in between would take the member out again, and the record that
// comes after it would be in no index.
func (s *Store) write(ctx context.Context, index, member string, sealed []byte, now time.Time) (members []string, err error) {
	set := redis.NewStatusCmd(ctx, "set", recordKey(member), sealed, "px", s.idleTTL.Milliseconds())
	members, err = s.runAfter(ctx, set, call{begin, index, []any{
		now.UnixMicro(), member, now.Add(-s.maxTTL).UnixMicro(), s.maxTTL.Milliseconds(), s.maxPerUser,
	}})
	if err != nil {
		return nil, err
	}
	if len(members) > 0 && members[0] == "" {
		s.met(ctx, "create", wrongType)
		members = members[1:]
	}
	return members, nil
}

// beginText puts a member into an index, takes the absolutely expired ones out, and returns all members if they are more
// than the cap. It is one script, which is one command to send and one answer to read, and which no crash leaves half done:
// an index without an expiry would stay for ever.
//
// Where something else than an index stands, it goes, so that its user does not stay locked out, and the answer begins with
// an empty member.
//
// Proxies in front of several nodes take scripts only if all keys are in one slot and each is written as KEYS[n]. Records
// are in other slots than the index, so a script that handles both cannot be used.
const beginText = `
local foreign = redis.call('TYPE', KEYS[1]).ok
foreign = foreign ~= 'zset' and foreign ~= 'none'
if foreign then redis.call('DEL', KEYS[1]) end
redis.call('ZADD', KEYS[1], ARGV[1], ARGV[2])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', ARGV[3])
redis.call('PEXPIRE', KEYS[1], ARGV[4])
local members = redis.call('ZRANGE', KEYS[1], ARGV[5], ARGV[5])
if #members > 0 then members = redis.call('ZRANGE', KEYS[1], 0, -1) end
if foreign then table.insert(members, 1, '') end
return members`

var begin = newScript(beginText)

// minReserve is the least cap at which several sessions end at once.
const minReserve = 8

// afterTrim is how many sessions a user keeps if more than the cap are alive.
func (s *Store) afterTrim() int {
	if s.maxPerUser < minReserve {
		return s.maxPerUser
	}
	return s.maxPerUser / 2
}

// trim ends what is beyond the cap. members are all of an index, or none if they are not more than the cap; own is the
// session that has just begun, which stays.
//
// It goes by the members as they were when own came in. Of several logins at once the last to come in sees all others, so
// that they are never more than the cap in the end, and it is seen by none, so that it stays.
func (s *Store) trim(ctx context.Context, op, index, own string, members []string) error {
	if len(members) <= s.maxPerUser {
		return nil
	}
	members = slices.DeleteFunc(members, func(member string) bool { return member == own })
	ended, living, err := s.byUse(ctx, op, members)
	if err != nil {
		return err
	}
	if alive := len(living) + 1; alive > s.maxPerUser { // with own
		ended = append(ended, living[:alive-s.afterTrim()]...)
	}
	return s.end(ctx, op, index, ended)
}

// byUse divides the members of an index into those whose session has ended and the others, the least recently used first
// and, of those that were used in the same moment, the oldest.
//
// The time that a record has left says when it was used: each use sets it to IdleTTL again, also shortly before the absolute
// expiry. Members beyond that are out of the index.
func (s *Store) byUse(ctx context.Context, op string, members []string) (ended, living []string, err error) {
	left := make([]redis.Cmder, len(members))
	for i, member := range members {
		left[i] = redis.NewIntCmd(ctx, "pttl", recordKey(member))
	}
	if err := s.sendAll(ctx, left); err != nil {
		return nil, nil, unavailable(op, err)
	}
	remaining := make(map[string]int64, len(members))
	for i, member := range members {
		remaining[member] = left[i].(*redis.IntCmd).Val()
		if remaining[member] == noSuchKey {
			ended = append(ended, member)
		} else {
			living = append(living, member)
		}
	}
	slices.SortStableFunc(living, func(a, b string) int { return cmp.Compare(remaining[a], remaining[b]) })
	return ended, living, nil
}

// noSuchKey is Redis's answer to PTTL for a key that is not there.
const noSuchKey = -2
