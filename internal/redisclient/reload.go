package redisclient

import (
	"context"
	"errors"

	"github.com/redis/go-redis/v9"
)

// reloadOnError is a hook that reads a Cluster's state again if a command was not served. Without it, the client goes on
// sending commands to a master that has died until the next regular read of the state, although a replica has long taken
// over: it learns of a change only from the reply of a live node.
//
// The client reads the state once at a time and pauses after each read, however many commands fail.
type reloadOnError struct{ client *redis.ClusterClient }

// DialHook implements redis.Hook. It changes nothing.
func (r reloadOnError) DialHook(next redis.DialHook) redis.DialHook { return next }

// ProcessHook implements redis.Hook.
func (r reloadOnError) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		err := next(ctx, cmd)
		r.check(ctx, err)
		return err
	}
}

// ProcessPipelineHook implements redis.Hook.
func (r reloadOnError) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		err := next(ctx, cmds)
		r.check(ctx, err)
		return err
	}
}

func (r reloadOnError) check(ctx context.Context, err error) {
	if needsReload(err) {
		r.client.ReloadState(ctx)
	}
}

// needsReload reports whether a command got no reply, or one from a node that may not serve its key.
func needsReload(err error) bool {
	if err == nil || errors.Is(err, context.Canceled) { // the caller has given up
		return false
	}
	if _, replied := errors.AsType[redis.Error](err); replied {
		return redis.IsClusterDownError(err) || redis.IsReadOnlyError(err)
	}
	return true
}
