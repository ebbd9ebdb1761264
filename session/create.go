package session

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"
)

// Create begins a session and returns its token, of which there is no other copy. It ignores the argument's CreatedAt:
// the Store's clock sets it. It costs one round trip to Redis (in a Cluster two; with AutoPipeline one or two), and
// three more if the user then has more than Options.MaxPerUser sessions, which the user's next logins do not repeat.
//
// It returns an error and writes nothing if the session has no appid, openid or session_key, or if its app is not
// configured. It returns ErrUnavailable if Redis fails; there is no usable session then.
func (s *Store) Create(ctx context.Context, sess Session) (token string, err error) {
	const op = "create"
	sealer := s.sealers[sess.AppID]
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
	index := s.keys.index(sess.AppID, sess.OpenID)
	members, err := s.writeRecord(ctx, index, hash.text(), sealer.seal(record, hash), now)
	if err != nil {
		return "", unavailable(op, err)
	}
	if err := s.trim(ctx, op, index, hash.text(), members); err != nil {
		return "", err
	}
	return token, nil
}

// writeRecord stores a sealed record and then adds it to its user's index. It returns all members of the index if there
// are more than the cap, and none otherwise.
//
// The record is written before the index names it. In the reverse order a RevokeAll in between would remove the member,
// and the record would then be in no index.
func (s *Store) writeRecord(
	ctx context.Context, index, member string, sealed []byte, now time.Time,
) (members []string, err error) {
	set := redis.NewStatusCmd(ctx, "set", s.keys.record(member), sealed, "px", s.idleTTL.Milliseconds())
	members, err = s.evalAfter(ctx, set, scriptCall{createScript, index, []any{
		now.UnixMicro(), member, now.Add(-s.maxLifetime).UnixMicro(), s.maxLifetime.Milliseconds(), s.maxPerUser,
	}})
	if err != nil {
		return nil, err
	}
	if len(members) > 0 && members[0] == "" {
		s.warnOnce(ctx, "create", wrongType)
		members = members[1:]
	}
	return members, nil
}

// createScriptSource adds a member to an index, removes the absolutely expired ones, and returns all members if there
// are more than the cap. It is one script, so it is one command with one reply, and no crash leaves an index without an
// expiry, which would stay for ever.
//
// If the key holds another type than a sorted set, the script deletes it, so that the user is not locked out, and the
// reply begins with an empty member.
//
// Proxies in front of several nodes accept a script only if all its keys are in one slot and each is written as KEYS[n].
// Records are in other slots than the index, so no script can handle both.
const createScriptSource = `
local invalid = redis.call('TYPE', KEYS[1]).ok
invalid = invalid ~= 'zset' and invalid ~= 'none'
if invalid then redis.call('DEL', KEYS[1]) end
redis.call('ZADD', KEYS[1], ARGV[1], ARGV[2])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', ARGV[3])
redis.call('PEXPIRE', KEYS[1], ARGV[4])
local members = redis.call('ZRANGE', KEYS[1], ARGV[5], ARGV[5])
if #members > 0 then members = redis.call('ZRANGE', KEYS[1], 0, -1) end
if invalid then table.insert(members, 1, '') end
return members`

var createScript = newScript(createScriptSource)

// minHalvedCap is the least cap at which trim ends half of the sessions at once.
const minHalvedCap = 8

// trimTo returns how many sessions a user keeps if there are more than the cap.
func (s *Store) trimTo() int {
	if s.maxPerUser < minHalvedCap {
		return s.maxPerUser
	}
	return s.maxPerUser / 2
}

// trim ends sessions above the cap. members are all members of an index, or none if there are no more than the cap;
// created is the session that has just begun, which stays.
//
// It uses the members as they were when created was added. If several logins run at once, the one added last sees all
// the others, so that finally no more than the cap are left; none of them sees it, so it stays.
func (s *Store) trim(ctx context.Context, op, index, created string, members []string) error {
	if len(members) <= s.maxPerUser {
		return nil
	}
	members = slices.DeleteFunc(members, func(member string) bool { return member == created })
	remove, alive, err := s.byLastUse(ctx, op, members)
	if err != nil {
		return err
	}
	if n := len(alive) + 1; n > s.maxPerUser {
		remove = append(remove, alive[:n-s.trimTo()]...)
	}
	return s.deleteSessions(ctx, op, index, remove)
}

// byLastUse splits the members of an index into those whose record is gone and the others, the least recently used first
// and, if used at the same time, the oldest first.
//
// The TTL of a record says when it was last used: each use sets it to IdleTTL, even shortly before the absolute expiry.
// Members past that expiry are no longer in the index.
func (s *Store) byLastUse(ctx context.Context, op string, members []string) (expired, alive []string, err error) {
	ttls := make([]redis.Cmder, len(members))
	for i, member := range members {
		ttls[i] = redis.NewIntCmd(ctx, "pttl", s.keys.record(member))
	}
	if err := s.doAll(ctx, ttls); err != nil {
		return nil, nil, unavailable(op, err)
	}
	remaining := make(map[string]int64, len(members))
	for i, member := range members {
		remaining[member] = ttls[i].(*redis.IntCmd).Val()
		if remaining[member] == pttlNoKey {
			expired = append(expired, member)
		} else {
			alive = append(alive, member)
		}
	}
	slices.SortStableFunc(alive, func(a, b string) int { return cmp.Compare(remaining[a], remaining[b]) })
	return expired, alive, nil
}

// pttlNoKey is the reply of PTTL if the key does not exist.
const pttlNoKey = -2
