package session

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

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

const (
	// masterTimeout bounds the look at a Cluster's state, and then the wait for each of its masters, which answer side by
	// side.
	masterTimeout = 300 * time.Millisecond

	// readyTTL is how long the keys of Ready stay.
	readyTTL = time.Minute

	// readySlots is how many other keys Ready asks for on one Redis, each in another slot. A node of a Cluster that has half
	// of the slots redirects at least one of them, except once in 65,000 times.
	readySlots = 16
)

var errFewMasters = errors.New("most masters of the Redis Cluster do not answer")

// Ready reports whether sessions can begin and be found. It does what Create and Lookup do, with the same commands and the
// same script, on keys that belong to this Store alone and that expire within a minute. It costs one round trip; one more if
// Redis does not know the script yet, and in a Cluster one for its state, and then one to each master side by side. A Cluster
// is ready if most of its masters are: it elects a new one then, and an instance that took itself out of service for one
// master would be missed by the users of all others.
//
// The error is ErrUnavailable. If Redis has answered, its answer is wrapped, for redis.HasErrorPrefix: READONLY of a replica;
// OOM of a Redis that is full and evicts nothing; MISCONF if it cannot write to disk; NOREPLICAS, LOADING, MASTERDOWN and "max
// number of clients reached" in such a state; NOAUTH, WRONGPASS and NOPERM, which refuse the user or a command; "DB index is
// out of range"; "unknown command" if it lacks GETEX, as before Redis 6.2, or scripts; MOVED or CLUSTERDOWN of a Cluster's node
// that was asked without a redis.ClusterClient, and "This instance has cluster support disabled" with one. redis.Nil is a
// Redis that loses what it has just stored, because it is full and evicts.
func (s *Store) Ready(ctx context.Context) error {
	var err error
	if cluster, ok := s.redis.(*redis.ClusterClient); ok {
		err = s.mastersReady(ctx, cluster)
	} else {
		err = s.probe(ctx, s.redis, 0, readySlots)
	}
	if err != nil {
		return unavailable("ready", err)
	}
	return nil
}

// mastersReady probes each master of a Cluster.
func (s *Store) mastersReady(ctx context.Context, cluster *redis.ClusterClient) error {
	var masters, ready atomic.Int32
	look, cancel := context.WithTimeout(ctx, masterTimeout)
	defer cancel()
	err := cluster.ForEachMaster(look, func(_ context.Context, master *redis.Client) error {
		ctx, cancel := context.WithTimeout(ctx, masterTimeout)
		defer cancel()
		masters.Add(1)
		n, err := s.readySlotOf(ctx, cluster, master)
		if err == nil {
			err = s.probe(ctx, master, n, 0)
		}
		if err == nil {
			ready.Add(1)
		}
		return err
	})
	if 2*ready.Load() > masters.Load() {
		return nil
	}
	return errors.Join(errFewMasters, err)
}

// readySlotOf finds keys of Ready that are on a master, without asking it.
func (s *Store) readySlotOf(ctx context.Context, cluster *redis.ClusterClient, master *redis.Client) (n int, err error) {
	for ; ctx.Err() == nil; n++ {
		owner, err := cluster.MasterForKey(ctx, readyKey(s.id, n, readyRecord))
		if err != nil {
			return 0, err
		}
		if owner.Options().Addr == master.Options().Addr {
			return n, nil
		}
	}
	return 0, fmt.Errorf("a master without slots: %w", ctx.Err())
}

// probe begins a session and looks it up, on the keys of Ready with the number n. It also asks for those of some further
// numbers.
func (s *Store) probe(ctx context.Context, client redis.Cmdable, n, further int) error {
	record := readyKey(s.id, n, readyRecord)
	now := s.now()
	add := call{begin, readyKey(s.id, n, readyIndex), []any{
		now.UnixMicro(), "ready", now.Add(-s.maxTTL).UnixMicro(), readyTTL.Milliseconds(), 1,
	}}
	pipe := client.Pipeline()
	pipe.Set(ctx, record, "ready", readyTTL)
	script := add.command(ctx, "evalsha", add.script.hash)
	_ = pipe.Process(ctx, script) // adds it
	pipe.GetEx(ctx, record, readyTTL)
	for i := range further {
		pipe.PTTL(ctx, readyKey(s.id, n+1+i, readyRecord))
	}
	cmds, err := pipe.Exec(ctx)
	if redis.HasErrorPrefix(script.Err(), "NOSCRIPT") {
		err = client.Eval(ctx, add.script.text, []string{add.key}, add.args...).Err()
		script.SetErr(err)
	}
	for _, cmd := range cmds {
		if cmd.Err() != nil {
			return cmd.Err()
		}
	}
	return err // of a connection that Redis refuses the commands have none
}
