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
		return errors.New("session: AutoPipeline: the Redis client cannot do that")
	}
	var err error
	if s.trips, err = client.AsyncAutoPipelineWithOptions(options); err != nil {
		return fmt.Errorf("session: AutoPipeline: %w", err)
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

// sendAll sends commands of one key each, to each node in their order. It returns the first error; the answers must not be looked at then.
func (s *Store) sendAll(ctx context.Context, cmds []redis.Cmder) error {
	if s.trips == nil {
		pipe := s.redis.Pipeline()
		for _, cmd := range cmds {
			_ = pipe.Process(ctx, cmd) // adds it
		}
		_, err := pipe.Exec(ctx)
		return err
	}
	futures := make([]redis.AutoFuture, len(cmds))
	for i, cmd := range cmds {
		futures[i] = s.trips.Submit(ctx, cmd)
	}
	for _, future := range futures {
		if err := future.WaitContext(ctx); err != nil {
			return err
		}
	}
	return nil
}

// script is a Lua script whose answer is a list. Its only key is KEYS[1].
type script struct{ text, hash string }

func newScript(text string) script { return script{text, redis.NewScript(text).Hash()} }

// call is a script with what it is to be given.
type call struct {
	script script
	key    string
	args   []any
}

// command makes the command that runs a script: by its hash or, if Redis does not know it yet, by its text.
func (c call) command(ctx context.Context, name, script string) *redis.StringSliceCmd {
	words := append(make([]any, 0, 4+len(c.args)), name, script, 1, c.key)
	return redis.NewStringSliceCmd(ctx, append(words, c.args...)...)
}

// runAfter runs a script after a command: in the same round trip if all keys are on one node, which keeps the order of a
// pipeline, and otherwise, as the nodes of a Cluster work side by side, after the command's answer.
func (s *Store) runAfter(ctx context.Context, first redis.Cmder, c call) ([]string, error) {
	cmd := c.command(ctx, "evalsha", c.script.hash)
	var err error
	if s.oneNode {
		err = s.sendAll(ctx, []redis.Cmder{first, cmd})
	} else if err = s.send(ctx, first); err == nil {
		err = s.send(ctx, cmd)
	}
	if redis.HasErrorPrefix(err, "NOSCRIPT") { // first was done
		cmd = c.command(ctx, "eval", c.script.text)
		err = s.send(ctx, cmd)
	}
	if err != nil {
		return nil, err
	}
	return cmd.Val(), nil
}
