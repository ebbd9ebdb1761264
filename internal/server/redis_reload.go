package server

import (
	"context"
	"errors"

	"github.com/redis/go-redis/v9"
)

// reloadOnFault has a Cluster's state read again when a command could not be served. The client by itself would go on
// asking a master that has died, though its replica has long taken over, until its next regular look at the state: only
// the answer of a living node tells it of a change.
//
// However many commands fail, there is one look at a time and a pause after each.
type reloadOnFault struct{ client *redis.ClusterClient }

// DialHook changes nothing.
func (r reloadOnFault) DialHook(next redis.DialHook) redis.DialHook { return next }

// ProcessHook looks at the outcome of one command.
func (r reloadOnFault) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		err := next(ctx, cmd)
		r.look(ctx, err)
		return err
	}
}

// ProcessPipelineHook looks at the outcome of a pipeline.
func (r reloadOnFault) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		err := next(ctx, cmds)
		r.look(ctx, err)
		return err
	}
}

func (r reloadOnFault) look(ctx context.Context, err error) {
	if unserved(err) {
		r.client.ReloadState(ctx)
	}
}

// unserved tells whether no node has answered, or one that may not serve the key.
func unserved(err error) bool {
	if err == nil || errors.Is(err, context.Canceled) { // the caller has left
		return false
	}
	if _, answered := errors.AsType[redis.Error](err); answered {
		return redis.IsClusterDownError(err) || redis.IsReadOnlyError(err)
	}
	return true
}
