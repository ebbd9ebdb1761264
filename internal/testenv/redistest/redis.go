// Package redistest gives tests a Redis.
//
// [New] gives a test a key prefix of its own, [NewServer] a whole server, for tests of the server, which has no key prefix
// to set. By default both are a miniredis inside the process. Environment variables replace it by real servers:
//
//	TEST_REDIS_URL=redis://127.0.0.1:6379/0     where New has its keys; NewServer starts a redis-server instead
//	TEST_REDIS_MODE=cluster                     it is a Cluster: redis://node1:6379?addr=node2:6379
//	TEST_REDIS_USER=user:password               the user of Redis.NewClient, like the server's in production
//
// The server of TEST_REDIS_URL may be shared, even with other test processes. A prefix is random, like the name of a test's
// MySQL database: tests need no locks, leave other keys alone, and cannot meet what a killed test left behind
// (wxlogin:test:…). A prefix works on a Cluster too, which has no logical databases.
//
// Time is moved by [Redis.FastForward], never by sleeping.
//
// The Run functions start real servers for tests that kill or configure them: a single one, a Cluster, or a master with
// Sentinels. They store nothing on disk, listen on loopback, and end with the test. The commands redis-server and redis-cli
// must be installed, or else the test is skipped. The command rediscluster starts a Cluster for shell scripts.
package redistest

import (
	"context"
	"crypto/rand"
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

// Redis is a part of Redis that belongs to one test and is empty at its start: the keys with a prefix, or a server.
type Redis struct {
	// Client is a client of the server. It is closed at the end of the test.
	Client redis.UniversalClient

	// Prefix begins the keys of the code under test. It is "" if the test has the whole server.
	Prefix string

	// URL is the server's address, in the form of redis.ParseURL, or of redis.ParseClusterURL for a Cluster.
	URL string

	fake   *miniredis.Miniredis // nil if it is a real server
	shared bool                 // the server of TEST_REDIS_URL
}

// New returns a part of Redis for this test alone, with a random Prefix. Its keys are deleted at the end of the test.
func New(t testing.TB) *Redis {
	t.Helper()
	url := os.Getenv("TEST_REDIS_URL")
	r := &Redis{Prefix: "wxlogin:test:" + rand.Text() + ":", URL: url, shared: url != ""}
	r.start(t)
	if r.shared {
		t.Cleanup(func() {
			if err := r.deleteAll(context.Background()); err != nil { // the test's context has ended
				t.Errorf("redistest: delete the test's keys: %v", err)
			}
		})
	}
	return r
}

// NewServer returns a whole server for this test alone, as user default. It skips the test if TEST_REDIS_URL is set and
// redis-server is not installed.
func NewServer(t testing.TB) *Redis {
	t.Helper()
	r := &Redis{}
	if os.Getenv("TEST_REDIS_URL") != "" {
		r.URL = "redis://" + RunServer(t).Addr + "/0"
	}
	r.start(t)
	return r
}

// start connects, if URL is "" to an engine in this process.
func (r *Redis) start(t testing.TB) {
	t.Helper()
	if r.URL == "" {
		r.fake = miniredis.RunT(t)
		r.URL = "redis://" + r.fake.Addr() + "/0"
	}
	r.Client = r.connect(t, "")
}

// NewClient returns another client of the same server, with the permissions that the code under test should have: as
// the user TEST_REDIS_USER (user:password) if that is set, or else as Client's. It is closed at the end of the test.
func (r *Redis) NewClient(t testing.TB) redis.UniversalClient {
	t.Helper()
	account := ""
	if r.shared {
		account = os.Getenv("TEST_REDIS_USER")
	}
	return r.connect(t, account)
}

// connect returns a client as account (user:password), or as the URL's if account is "".
func (r *Redis) connect(t testing.TB, account string) redis.UniversalClient {
	t.Helper()
	client, err := r.open(account)
	if err != nil {
		t.Fatal("redistest: TEST_REDIS_URL is invalid (not shown, it may contain a password)")
	}
	t.Cleanup(func() { client.Close() })
	return client
}

func (r *Redis) open(account string) (redis.UniversalClient, error) {
	user, password, _ := strings.Cut(account, ":")
	if r.shared && os.Getenv("TEST_REDIS_MODE") == "cluster" {
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
	if user != "" {
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
	for _, key := range r.mustScan(t) {
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
			t.Fatalf("redistest: fast-forward: %v", err)
		}
	}
}

// TTL returns the remaining time of a key, to the millisecond; -1 if the key has no TTL, -2 if there is no such key.
func (r *Redis) TTL(t testing.TB, key string) time.Duration {
	t.Helper()
	left, err := r.Client.PTTL(t.Context(), key).Result()
	if err != nil {
		t.Fatalf("redistest: TTL: %v", err)
	}
	return left
}

// Dump returns every key with its value: a string as it is, a sorted set as "member=score" in the order of the scores,
// separated by spaces, and of any other type, which the server does not use, the type's name. On the embedded engine a key
// without the Prefix, which the code under test must not write, is there too.
func (r *Redis) Dump(t testing.TB) map[string]string {
	t.Helper()
	dump := make(map[string]string)
	for _, key := range r.mustScan(t) {
		value, err := r.value(t.Context(), key)
		if err != nil {
			t.Fatalf("redistest: dump: %v", err)
		}
		dump[key] = value
	}
	return dump
}

func (r *Redis) value(ctx context.Context, key string) (string, error) {
	kind, err := r.Client.Type(ctx, key).Result()
	switch kind {
	case "string":
		return r.Client.Get(ctx, key).Result()
	case "zset":
		members, err := r.Client.ZRangeWithScores(ctx, key, 0, -1).Result()
		var parts []string
		for _, m := range members {
			parts = append(parts, fmt.Sprintf("%v=%s", m.Member, strconv.FormatFloat(m.Score, 'f', -1, 64)))
		}
		return strings.Join(parts, " "), err
	}
	return kind, err
}

func (r *Redis) mustScan(t testing.TB) []string {
	t.Helper()
	keys, err := r.scan(t.Context())
	if err != nil {
		t.Fatalf("redistest: scan: %v", err)
	}
	return keys
}

// scan returns the test's keys, sorted, in a Cluster those of all masters.
func (r *Redis) scan(ctx context.Context) ([]string, error) {
	pattern := ""
	if r.shared {
		pattern = r.Prefix + "*"
	}
	var mu sync.Mutex
	var keys []string
	scanNode := func(ctx context.Context, node *redis.Client) error {
		found := node.Scan(ctx, 0, pattern, 1000).Iterator()
		for found.Next(ctx) {
			mu.Lock()
			keys = append(keys, found.Val())
			mu.Unlock()
		}
		return found.Err()
	}
	var err error
	switch client := r.Client.(type) {
	case *redis.ClusterClient:
		err = client.ForEachMaster(ctx, scanNode)
	case *redis.Client:
		err = scanNode(ctx, client)
	}
	slices.Sort(keys)
	return slices.Compact(keys), err // SCAN may return a key twice
}

// deleteAll deletes the test's keys.
func (r *Redis) deleteAll(ctx context.Context) error {
	keys, err := r.scan(ctx)
	if err != nil {
		return err
	}
	for batch := range slices.Chunk(keys, 1000) {
		pipe := r.Client.Pipeline() // one key per command: in a Cluster they are in different slots
		for _, key := range batch {
			pipe.Del(ctx, key)
		}
		if _, err := pipe.Exec(ctx); err != nil {
			return err
		}
	}
	return nil
}
