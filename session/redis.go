package session

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

// maxQueuedCommands is how many commands may wait for a shared round trip: more than a server has calls at a time.
// Commands above it fail at once.
const maxQueuedCommands = 1 << 16

// enableAutoPipeline makes concurrent calls share round trips.
func (s *Store) enableAutoPipeline() error {
	options := redis.DefaultAutoPipelineOptions()
	options.MaxQueuedCommands = maxQueuedCommands
	client, ok := s.redis.(autoPipeliner)
	if !ok {
		return errors.New("session: AutoPipeline: the Redis client does not support it")
	}
	var err error
	if s.pipeliner, err = client.AsyncAutoPipelineWithOptions(options); err != nil {
		return fmt.Errorf("session: AutoPipeline: %w", err)
	}
	return nil
}

// autoPipeliner is implemented by *redis.Client and *redis.ClusterClient.
type autoPipeliner interface {
	AsyncAutoPipelineWithOptions(*redis.AutoPipelineOptions) (*redis.AutoPipeliner, error)
}

// do runs a command and waits for its reply until ctx ends. After an error the command must not be read: its reply may
// still arrive.
func (s *Store) do(ctx context.Context, cmd redis.Cmder) error {
	if s.pipeliner == nil {
		return s.redis.Process(ctx, cmd)
	}
	return s.pipeliner.Submit(ctx, cmd).WaitContext(ctx)
}

// doAll runs commands of one key each, in order on each node. It returns the first error; the commands must not be read
// then.
func (s *Store) doAll(ctx context.Context, cmds []redis.Cmder) error {
	if s.pipeliner == nil {
		pipe := s.redis.Pipeline()
		for _, cmd := range cmds {
			_ = pipe.Process(ctx, cmd) // adds it
		}
		_, err := pipe.Exec(ctx)
		return err
	}
	futures := make([]redis.AutoFuture, len(cmds))
	for i, cmd := range cmds {
		futures[i] = s.pipeliner.Submit(ctx, cmd)
	}
	for _, future := range futures {
		if err := future.WaitContext(ctx); err != nil {
			return err
		}
	}
	return nil
}

// isMiss reports whether err says that a key holds no value that a Store wrote: it is missing, or has another type.
func (s *Store) isMiss(ctx context.Context, op string, err error) bool {
	if isWrongType(err) {
		s.warnOnce(ctx, op, wrongType)
		return true
	}
	return errors.Is(err, redis.Nil)
}

func isWrongType(err error) bool { return redis.HasErrorPrefix(err, "WRONGTYPE") }

// script is a Lua script with one key, KEYS[1], that returns a list.
type script struct{ source, sha1 string }

func newScript(source string) script { return script{source, redis.NewScript(source).Hash()} }

// scriptCall is a script with its key and arguments.
type scriptCall struct {
	script script
	key    string
	args   []any
}

// command returns the command that runs the script: evalsha by its hash, which fails with NOSCRIPT if Redis does not know
// it yet, or eval by its source.
func (c scriptCall) command(ctx context.Context, name, script string) *redis.StringSliceCmd {
	args := append(make([]any, 0, 4+len(c.args)), name, script, 1, c.key)
	return redis.NewStringSliceCmd(ctx, append(args, c.args...)...)
}

// evalAfter runs a script after a command. If all keys are on one node, which keeps the order of a pipeline, both go in
// one round trip. The nodes of a Cluster work in parallel, so there the script waits for the command's reply.
func (s *Store) evalAfter(ctx context.Context, first redis.Cmder, call scriptCall) ([]string, error) {
	cmd := call.command(ctx, "evalsha", call.script.sha1)
	var err error
	if s.singleNode {
		err = s.doAll(ctx, []redis.Cmder{first, cmd})
	} else if err = s.do(ctx, first); err == nil {
		err = s.do(ctx, cmd)
	}
	if redis.HasErrorPrefix(err, "NOSCRIPT") { // first has succeeded
		cmd = call.command(ctx, "eval", call.script.source)
		err = s.do(ctx, cmd)
	}
	if err != nil {
		return nil, err
	}
	return cmd.Val(), nil
}

const (
	// masterTimeout bounds reading a Cluster's state, and then the wait for its masters, which are probed in parallel.
	masterTimeout = 300 * time.Millisecond

	// readyTTL is how long the keys of Ready live.
	readyTTL = time.Minute

	// extraReadySlots is how many other keys Ready reads on a single Redis, each in another slot. A Cluster's node that
	// has half of the slots redirects at least one of them, except once in 65,000 times.
	extraReadySlots = 16
)

var errTooFewMasters = errors.New("most masters of the Redis Cluster do not answer")

// Ready reports whether sessions can begin and be found. It runs the commands and the script of Create and Lookup, on
// keys that only this Store uses and that expire within a minute. It costs one round trip, and one more if Redis does
// not know the script yet. In a Cluster it costs one for the Cluster's state and then one to each master, in parallel.
// A Cluster is ready if most of its masters are: it then elects a new master for the others, and an instance that took
// itself out of service because of one master would be missed by the users of all others.
//
// The error is ErrUnavailable. If Redis has replied, it wraps the reply, for redis.HasErrorPrefix:
//
//   - READONLY of a replica;
//   - OOM of a Redis that is full and does not evict;
//   - MISCONF if it cannot write to disk;
//   - NOREPLICAS, LOADING, MASTERDOWN and "max number of clients reached" in these states;
//   - NOAUTH, WRONGPASS and NOPERM, which refuse the user or a command;
//   - "DB index is out of range";
//   - "unknown command" if it lacks scripts, or GETEX, as before Redis 6.2;
//   - MOVED or CLUSTERDOWN of a Cluster's node without a redis.ClusterClient, and "This instance has cluster support
//     disabled" with one;
//   - redis.Nil if it loses a value just stored, because it is full and evicts.
func (s *Store) Ready(ctx context.Context) error {
	var err error
	if cluster, ok := s.redis.(*redis.ClusterClient); ok {
		err = s.mastersReady(ctx, cluster)
	} else {
		err = s.probe(ctx, s.redis, 0, extraReadySlots)
	}
	if err != nil {
		return unavailable("ready", err)
	}
	return nil
}

// mastersReady probes each master of a Cluster and returns nil if most of them are ready.
func (s *Store) mastersReady(ctx context.Context, cluster *redis.ClusterClient) error {
	var masters, ready atomic.Int32
	listCtx, cancel := context.WithTimeout(ctx, masterTimeout)
	defer cancel()
	err := cluster.ForEachMaster(listCtx, func(_ context.Context, master *redis.Client) error {
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
	return errors.Join(errTooFewMasters, err)
}

// readySlotOf returns a number n for which the keys of Ready are on a master. It sends no command.
func (s *Store) readySlotOf(ctx context.Context, cluster *redis.ClusterClient, master *redis.Client) (n int, err error) {
	for ; ctx.Err() == nil; n++ {
		owner, err := cluster.MasterForKey(ctx, s.keys.ready(s.probeID, n, readyRecord))
		if err != nil {
			return 0, err
		}
		if owner.Options().Addr == master.Options().Addr {
			return n, nil
		}
	}
	return 0, fmt.Errorf("a master without slots: %w", ctx.Err())
}

// probe begins a session and looks it up, on the keys of Ready with the number n. It also reads the keys of the
// extraSlots numbers that follow.
func (s *Store) probe(ctx context.Context, client redis.Cmdable, n, extraSlots int) error {
	record := s.keys.ready(s.probeID, n, readyRecord)
	now := s.now()
	call := scriptCall{createScript, s.keys.ready(s.probeID, n, readyIndex), []any{
		now.UnixMicro(), "ready", now.Add(-s.maxLifetime).UnixMicro(), readyTTL.Milliseconds(), 1,
	}}
	pipe := client.Pipeline()
	pipe.Set(ctx, record, "ready", readyTTL)
	script := call.command(ctx, "evalsha", call.script.sha1)
	_ = pipe.Process(ctx, script) // adds it
	pipe.GetEx(ctx, record, readyTTL)
	for i := range extraSlots {
		pipe.PTTL(ctx, s.keys.ready(s.probeID, n+1+i, readyRecord))
	}
	cmds, err := pipe.Exec(ctx)
	if redis.HasErrorPrefix(script.Err(), "NOSCRIPT") {
		err = client.Eval(ctx, call.script.source, []string{call.key}, call.args...).Err()
		script.SetErr(err)
	}
	for _, cmd := range cmds {
		if cmd.Err() != nil {
			return cmd.Err()
		}
	}
	return err // if Redis refuses the connection, no command has an error
}
