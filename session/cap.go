package session

import (
	"cmp"
	"context"
	"slices"

	"github.com/redis/go-redis/v9"
)

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
