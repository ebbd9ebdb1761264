package session

import "context"

// end ends the sessions behind members of an index. The records go first: were the members to go first and the rest to
// fail, nothing would find the records again. It may be done twice, or by two at once.
func (s *Store) end(ctx context.Context, op, index string, members []string) error {
	if len(members) == 0 {
		return nil
	}
	pipe := s.redis.Pipeline() // a key a command: in a Cluster they live on different nodes
	entries := make([]any, len(members))
	for i, member := range members {
		entries[i] = member
		if _, ok := parseHash(member); !ok {
			s.met(ctx, op, notAHash)
			continue
		}
		pipe.Del(ctx, recordKey(member))
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return unavailable(op, err)
	}
	if err := s.redis.ZRem(ctx, index, entries...).Err(); err != nil && !s.missing(ctx, op, err) {
		return unavailable(op, err)
	}
	return nil
}
