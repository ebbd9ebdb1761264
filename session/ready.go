package session

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

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
