package session

import (
	"context"
	"errors"
	"fmt"

	"github.com/redis/go-redis/v9"
)

// maxWaiting is how many commands may wait for a round trip to share: as many as any server could have calls at a time. Those
// beyond it fail at once.
const maxWaiting = 1 << 16

// shareTrips makes commands of calls at the same time go to Redis together.
func (s *Store) shareTrips() error {
	options := redis.DefaultAutoPipelineOptions()
	options.MaxQueuedCommands = maxWaiting
	client, ok := s.redis.(autoPipeliner)
	if !ok {
		return errors.New("session: ShareTrips: the Redis client cannot do that")
	}
	var err error
	if s.trips, err = client.AsyncAutoPipelineWithOptions(options); err != nil {
		return fmt.Errorf("session: ShareTrips: %w", err)
	}
	return nil
}

// autoPipeliner is what *redis.Client and *redis.ClusterClient are.
type autoPipeliner interface {
	AsyncAutoPipelineWithOptions(*redis.AutoPipelineOptions) (*redis.AutoPipeliner, error)
}

// send sends a command and waits for its answer as long as ctx allows. Where it returns an error, the command must not be
// looked at: its answer may still come.
func (s *Store) send(ctx context.Context, cmd redis.Cmder) error {
	if s.trips == nil {
		return s.redis.Process(ctx, cmd)
	}
	return s.trips.Submit(ctx, cmd).WaitContext(ctx)
}

// run runs a script whose answer is a list. Redis is told the script's text only where it does not know it.
func (s *Store) run(ctx context.Context, script *redis.Script, text string, keys []string, args ...any) ([]string, error) {
	list, err := s.eval(ctx, "evalsha", script.Hash(), keys, args)
	if redis.HasErrorPrefix(err, "NOSCRIPT") {
		list, err = s.eval(ctx, "eval", text, keys, args)
	}
	return list, err
}

func (s *Store) eval(ctx context.Context, name, script string, keys []string, args []any) ([]string, error) {
	words := make([]any, 0, 3+len(keys)+len(args))
	words = append(words, name, script, len(keys))
	for _, key := range keys {
		words = append(words, key)
	}
	cmd := redis.NewStringSliceCmd(ctx, append(words, args...)...)
	if err := s.send(ctx, cmd); err != nil {
		return nil, err
	}
	return cmd.Val(), nil
}
