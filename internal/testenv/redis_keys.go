package testenv

import (
	"context"
	"slices"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"
)

// onEachNode does something on the one server, or on all masters of a Cluster side by side.
func onEachNode(ctx context.Context, client redis.UniversalClient, do func(context.Context, *redis.Client) error) error {
	switch c := client.(type) {
	case *redis.ClusterClient:
		return c.ForEachMaster(ctx, do)
	case *redis.Client:
		return do(ctx, c)
	}
	panic("testenv: a Redis client of another kind")
}

// allKeys lists what tests and the code under test have written, sorted.
func allKeys(ctx context.Context, client redis.UniversalClient) ([]string, error) {
	var mu sync.Mutex
	var all []string
	err := onEachNode(ctx, client, func(ctx context.Context, node *redis.Client) error {
		keys, err := scan(ctx, node)
		mu.Lock()
		defer mu.Unlock()
		all = append(all, keys...)
		return err
	})
	slices.Sort(all)
	return slices.Compact(all), err // SCAN may tell a key twice
}

// scan lists one node's keys without those of leases.
func scan(ctx context.Context, node *redis.Client) ([]string, error) {
	var keys []string
	found := node.Scan(ctx, 0, "", 1000).Iterator()
	for found.Next(ctx) {
		if !strings.HasPrefix(found.Val(), leasePrefix) {
			keys = append(keys, found.Val())
		}
	}
	return keys, found.Err()
}

// empty deletes all that allKeys lists. A logical database of its own, where no lease stands, goes in one command.
func empty(ctx context.Context, client redis.UniversalClient) error {
	return onEachNode(ctx, client, func(ctx context.Context, node *redis.Client) error {
		if node.Options().DB != 0 {
			return node.FlushDBAsync(ctx).Err()
		}
		keys, err := scan(ctx, node)
		if err != nil || len(keys) == 0 {
			return err
		}
		pipe := node.Pipeline() // a key a command: a Cluster's node has many slots
		for _, key := range keys {
			pipe.Del(ctx, key)
		}
		_, err = pipe.Exec(ctx)
		return err
	})
}
