package testenv

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
)

// Redis is a logical Redis database, or a whole Cluster, that belongs to one test and is empty at its start.
type Redis struct {
	// Client is a client of the database. It is closed at the end of the test.
	Client redis.UniversalClient

	// URL is the database's address, in the form of redis.ParseURL, or of redis.ParseClusterURL for a Cluster.
	URL string

	fake *miniredis.Miniredis // nil if it is a real server
}

// NewRedis returns a Redis database for this test alone: a miniredis, or if the environment variable TEST_REDIS_URL is
// set, one of that server's logical databases or the Cluster (see the package comment).
func NewRedis(t testing.TB) *Redis {
	t.Helper()
	switch url := os.Getenv("TEST_REDIS_URL"); {
	case url != "" && isCluster():
		return leaseCluster(t, url)
	case url != "":
		return leaseRedis(t, url)
	}
	fake := miniredis.RunT(t)
	r := &Redis{URL: "redis://" + fake.Addr() + "/0", fake: fake}
	client := redis.NewClient(&redis.Options{Addr: fake.Addr()})
	t.Cleanup(func() { client.Close() })
	r.Client = client
	return r
}

// NewClient returns another client of the same database, with the permissions that the code under test should have: as
// the user TEST_REDIS_USER (user:password) if that is set, or else as Client's. It is closed at the end of the test.
func (r *Redis) NewClient(t testing.TB) redis.UniversalClient {
	t.Helper()
	user, password, _ := strings.Cut(os.Getenv("TEST_REDIS_USER"), ":")
	client, err := r.connect(user, password)
	if err != nil {
		t.Fatal(unreadableURL)
	}
	t.Cleanup(func() { client.Close() })
	return client
}

func (r *Redis) connect(user, password string) (redis.UniversalClient, error) {
	if _, ok := r.Client.(*redis.ClusterClient); ok {
		o, err := redis.ParseClusterURL(r.URL)
		if err != nil {
			return nil, err
		}
		if user != "" {
			o.Username, o.Password = user, password
		}
		o.DisableRoutingPolicies = true // like the server's client
		return redis.NewClusterClient(o), nil
	}
	o, err := redis.ParseURL(r.URL)
	if err != nil {
		return nil, err
	}
	if user != "" && r.fake == nil {
		o.Username, o.Password = user, password
	}
	return redis.NewClient(o), nil
}

// FastForward subtracts d from the remaining time of every key and deletes the expired ones. The server's own clock
// (TIME, EXPIREAT) does not move, so only relative expiries follow.
func (r *Redis) FastForward(t testing.TB, d time.Duration) {
	t.Helper()
	if r.fake != nil {
		r.fake.FastForward(d)
		return
	}
	for _, key := range r.keys(t) {
		left := r.TTL(t, key)
		var err error
		switch {
		case left < 0: // without TTL, or just expired
		case left <= d:
			err = r.Client.Del(t.Context(), key).Err()
		default:
			err = r.Client.PExpire(t.Context(), key, left-d).Err()
		}
		if err != nil {
			t.Fatalf("testenv: fast-forward Redis: %v", err)
		}
	}
}

// TTL returns the remaining time of a key, to the millisecond; -1 if the key has no TTL, -2 if there is no such key.
func (r *Redis) TTL(t testing.TB, key string) time.Duration {
	t.Helper()
	left, err := r.Client.PTTL(t.Context(), key).Result()
	if err != nil {
		t.Fatalf("testenv: TTL: %v", err)
	}
	return left
}

// Dump returns every key with its whole value as text: a string unchanged, a list in its order, a set sorted, a hash as
// sorted "field=value", a sorted set as "member=score" in the order of the scores. Elements are separated by a space.
func (r *Redis) Dump(t testing.TB) map[string]string {
	t.Helper()
	dump := make(map[string]string)
	for _, key := range r.keys(t) {
		value, err := r.valueText(t.Context(), key)
		if err != nil {
			t.Fatalf("testenv: dump Redis: %v", err)
		}
		dump[key] = value
	}
	return dump
}

func (r *Redis) keys(t testing.TB) []string {
	t.Helper()
	keys, err := allKeys(t.Context(), r.Client)
	if err != nil {
		t.Fatalf("testenv: scan Redis: %v", err)
	}
	return keys
}

func (r *Redis) valueText(ctx context.Context, key string) (string, error) {
	kind, err := r.Client.Type(ctx, key).Result()
	if err != nil {
		return "", err
	}
	var parts []string
	switch kind {
	case "string":
		return r.Client.Get(ctx, key).Result()
	case "list":
		parts, err = r.Client.LRange(ctx, key, 0, -1).Result()
	case "set":
		parts, err = r.Client.SMembers(ctx, key).Result()
		slices.Sort(parts)
	case "hash":
		var fields map[string]string
		fields, err = r.Client.HGetAll(ctx, key).Result()
		for field, value := range fields {
			parts = append(parts, field+"="+value)
		}
		slices.Sort(parts)
	case "zset":
		var members []redis.Z
		members, err = r.Client.ZRangeWithScores(ctx, key, 0, -1).Result()
		for _, m := range members {
			parts = append(parts, fmt.Sprintf("%v=%s", m.Member, strconv.FormatFloat(m.Score, 'f', -1, 64)))
		}
	default:
		return "", fmt.Errorf("a key of type %s, which Dump does not support", kind)
	}
	return strings.Join(parts, " "), err
}

// onEachNode calls do for the one server, or concurrently for all masters of a Cluster.
func onEachNode(ctx context.Context, client redis.UniversalClient, do func(context.Context, *redis.Client) error) error {
	switch c := client.(type) {
	case *redis.ClusterClient:
		return c.ForEachMaster(ctx, do)
	case *redis.Client:
		return do(ctx, c)
	}
	panic("testenv: unknown type of Redis client")
}

// allKeys returns the keys that tests and the code under test have written, sorted.
func allKeys(ctx context.Context, client redis.UniversalClient) ([]string, error) {
	var mu sync.Mutex
	var all []string
	err := onEachNode(ctx, client, func(ctx context.Context, node *redis.Client) error {
		keys, err := scanKeys(ctx, node)
		mu.Lock()
		defer mu.Unlock()
		all = append(all, keys...)
		return err
	})
	slices.Sort(all)
	return slices.Compact(all), err // SCAN may return a key twice
}

// scanKeys returns a node's keys except those of leases.
func scanKeys(ctx context.Context, node *redis.Client) ([]string, error) {
	var keys []string
	found := node.Scan(ctx, 0, "", 1000).Iterator()
	for found.Next(ctx) {
		if !strings.HasPrefix(found.Val(), leasePrefix) {
			keys = append(keys, found.Val())
		}
	}
	return keys, found.Err()
}

// deleteAll deletes all keys that allKeys returns. A logical database other than 0 holds no leases, so it is flushed.
func deleteAll(ctx context.Context, client redis.UniversalClient) error {
	return onEachNode(ctx, client, func(ctx context.Context, node *redis.Client) error {
		if node.Options().DB != 0 {
			return node.FlushDBAsync(ctx).Err()
		}
		keys, err := scanKeys(ctx, node)
		if err != nil || len(keys) == 0 {
			return err
		}
		pipe := node.Pipeline() // one key per command: on a Cluster's node the keys have different slots
		for _, key := range keys {
			pipe.Del(ctx, key)
		}
		_, err = pipe.Exec(ctx)
		return err
	})
}
