package session_test

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"wxlogin/session"
)

// cluster is a Redis Cluster of several nodes, which share the slots.
type cluster struct {
	*redis.ClusterClient
	nodes []*miniredis.Miniredis
}

func newCluster(t *testing.T, size int) *cluster {
	t.Helper()
	const slots = 16384
	c := &cluster{}
	var parts []redis.ClusterSlot
	for n := range size {
		node := miniredis.RunT(t)
		c.nodes = append(c.nodes, node)
		parts = append(parts, redis.ClusterSlot{
			Start: n * slots / size, End: (n+1)*slots/size - 1, Nodes: []redis.ClusterNode{{Addr: node.Addr()}},
		})
	}
	c.ClusterClient = redis.NewClusterClient(&redis.ClusterOptions{
		ClusterSlots:           func(context.Context) ([]redis.ClusterSlot, error) { return parts, nil },
		DisableRoutingPolicies: true,
	})
	t.Cleanup(func() { c.Close() })
	return c
}

// dump returns the same as redistest.Redis.Dump, for all nodes.
func (c *cluster) dump(t *testing.T) map[string]string {
	t.Helper()
	dump := make(map[string]string)
	for _, node := range c.nodes {
		for _, key := range node.Keys() {
			dump[key] = ""
			if !strings.Contains(key, ":sessions:") {
				continue
			}
			members, err := node.SortedSet(key)
			if err != nil {
				t.Fatal(err)
			}
			dump[key] = strings.Join(slices.Collect(maps.Keys(members)), "= ") + "="
		}
	}
	return dump
}

func TestStore_Cluster(t *testing.T) {
	ctx := context.Background()
	c := newCluster(t, 3)
	f := newFixture(t, func(o *session.Options) { o.Redis, o.MaxPerUser = c, 3 })
	var tokens []string
	for n := range 6 {
		tokens = append(tokens, f.login(t, openID, key(n)))
	}
	for _, token := range tokens[:3] {
		f.mustMiss(t, token)
	}
	keys, err := f.OtherSessionKeys(ctx, f.mustFind(t, tokens[3]))
	if err != nil || !slices.Equal(keys, []string{key(5), key(4)}) {
		t.Errorf("%d keys, %v; want the newer ones", len(keys), err)
	}
	if newest, err := f.NewestSessionKey(ctx, f.mustFind(t, tokens[3])); err != nil || newest != key(5) {
		t.Errorf("another key than the newest, or %v", err)
	}
	if err := f.Revoke(ctx, tokens[3]); err != nil {
		t.Fatal(err)
	}
	f.mustBeConsistent(t, c.dump(t))
	if err := f.RevokeAll(ctx, appID, openID); err != nil {
		t.Fatal(err)
	}
	if keys := c.dump(t); len(keys) != 0 {
		t.Errorf("%d keys are left", len(keys))
	}
	f.mustLog(t)
}

// beforeEvalHook calls do before each script, and so before a member is added to an index.
type beforeEvalHook struct {
	failingHook
	do func()
}

func (b beforeEvalHook) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if strings.HasPrefix(cmd.Name(), "eval") {
			b.do()
		}
		return next(ctx, cmd)
	}
}

// The nodes of a Cluster work in parallel. If a record could be written after its index entry, RevokeAll could miss it
// for ever.
func TestStore_CreateCluster(t *testing.T) {
	ctx := context.Background()
	c := newCluster(t, 3)
	f := newFixture(t, func(o *session.Options) { o.Redis = c })
	records := 0
	c.AddHook(beforeEvalHook{do: func() {
		records = len(c.dump(t))
		if err := f.RevokeAll(ctx, appID, openID); err != nil {
			t.Error(err)
		}
	}})
	token := f.login(t, openID, sessionKey)
	if records != 1 {
		t.Errorf("%d records exist when the index is written, want 1", records)
	}
	f.mustFind(t, token)
	f.mustBeConsistent(t, c.dump(t))
}

func TestStore_RevokeAllConcurrentCluster(t *testing.T) {
	c := newCluster(t, 3)
	f := newFixture(t, func(o *session.Options) { o.Redis = c })
	for range 3 {
		createAndRevoke(t, f.Store)
		f.mustBeConsistent(t, c.dump(t))
	}
	f.mustLog(t)
}

// recordingHook records the names of the commands of each round trip, without those that set up a connection.
type recordingHook struct{ sent *[][]string }

var recordingMu sync.Mutex // the nodes of a Cluster are called in parallel

func (w recordingHook) record(cmds ...redis.Cmder) {
	var names []string
	for _, cmd := range cmds {
		names = append(names, cmd.Name())
	}
	if !slices.Contains(names, "hello") && !slices.Contains(names, "client") {
		recordingMu.Lock()
		defer recordingMu.Unlock()
		*w.sent = append(*w.sent, names)
	}
}

func (w recordingHook) DialHook(next redis.DialHook) redis.DialHook { return next }

func (w recordingHook) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		w.record(cmd)
		return next(ctx, cmd)
	}
}

func (w recordingHook) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		w.record(cmds...)
		return next(ctx, cmds)
	}
}

// A new index gets its expiry in the same command, so that no crash leaves it without one. Record and index take one
// round trip, in a Cluster two.
func TestStore_CreateRoundTrips(t *testing.T) {
	for name, client := range map[string]func(*testing.T) redis.UniversalClient{
		"single Redis": func(t *testing.T) redis.UniversalClient {
			return redis.NewClient(&redis.Options{Addr: miniredis.RunT(t).Addr()})
		},
		"Cluster": func(t *testing.T) redis.UniversalClient { return newCluster(t, 3).ClusterClient },
	} {
		t.Run(name, func(t *testing.T) {
			var sent [][]string
			c := client(t)
			defer c.Close()
			// With AutoPipeline the scheduler decides which commands share a round trip.
			f := newFixture(t, func(o *session.Options) { o.Redis, o.AutoPipeline = c, false })
			f.login(t, openID, sessionKey) // now the node knows the script
			c.AddHook(recordingHook{&sent})
			f.login(t, openID, sessionKey)
			want := [][]string{{"set", "evalsha"}}
			if name == "Cluster" {
				want = [][]string{{"set"}, {"evalsha"}}
			}
			if !slices.EqualFunc(sent, want, slices.Equal) {
				t.Errorf("sent %q, want %q", sent, want)
			}
		})
	}
}
