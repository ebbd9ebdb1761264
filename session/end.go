package session

import (
	"context"

	"github.com/redis/go-redis/v9"
)

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
