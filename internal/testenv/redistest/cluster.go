package redistest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"wxlogin/internal/testenv"
)

const (
	masterCount = 3
	nodeCount   = 2 * masterCount // one replica for each master
	nodeTimeout = 2 * time.Second

	formTimeout = 60 * time.Second
)

// clusterSettings are the settings of a node. If a master is down for nodeTimeout, its replica takes over; the other
// masters go on serving their slots.
var clusterSettings = []string{
	noSnapshots,
	"cluster-enabled yes",
	fmt.Sprintf("cluster-node-timeout %d", nodeTimeout.Milliseconds()),
	"cluster-require-full-coverage no",
	"repl-diskless-sync-delay 0",
}

// Cluster is a Redis Cluster of three masters with one replica each.
type Cluster struct{ Servers []*Server }

// RunCluster is StartCluster for the duration of a test.
func RunCluster(t testing.TB) *Cluster {
	t.Helper()
	return runForTest(t, func(dir string) (*Cluster, error) { return StartCluster(t.Context(), dir) })
}

// StartCluster starts a Cluster with its files below dir, and waits until it is complete. Its nodes have the account
// User.
func StartCluster(ctx context.Context, dir string) (*Cluster, error) {
	c := &Cluster{}
	var err error
	for n := 0; n < nodeCount && err == nil; n++ {
		var s *Server
		s, err = start(ctx, nodeDir(dir, n), clusterSettings)
		c.Servers = append(c.Servers, s)
	}
	if err == nil {
		err = errors.Join(c.form(ctx), onEach(ctx, c.Servers, addUser(User, Rights)))
	}
	if err != nil {
		return nil, errors.Join(err, c.Kill(ctx))
	}
	return c, nil
}

// FindCluster returns the Cluster that was started with this dir.
func FindCluster(dir string) (*Cluster, error) {
	c := &Cluster{}
	for n := range nodeCount {
		s, err := findServer(nodeDir(dir, n))
		if err != nil {
			return nil, err
		}
		c.Servers = append(c.Servers, s)
	}
	return c, nil
}

func nodeDir(dir string, n int) string { return filepath.Join(dir, "node"+strconv.Itoa(n+1)) }

// Kill kills all nodes.
func (c *Cluster) Kill(ctx context.Context) error { return killAll(ctx, c.Servers) }

// form joins the nodes into one Cluster.
func (c *Cluster) form(ctx context.Context) error {
	args := slices.Concat([]string{"--cluster", "create"}, addrs(c.Servers), []string{"--cluster-replicas", "1", "--cluster-yes"})
	if out, err := exec.CommandContext(ctx, "redis-cli", args...).CombinedOutput(); err != nil {
		return fmt.Errorf("redis-cli: %w\n%s", err, out)
	}
	return testenv.Poll(ctx, formTimeout, func(ctx context.Context) error { return onEach(ctx, c.Servers, checkCluster) })
}

// checkCluster returns an error unless the node sees all slots served, each by a master and its replica, and is in sync
// if it is a replica itself.
func checkCluster(ctx context.Context, node *redis.Client) error {
	info, err := node.ClusterInfo(ctx).Result()
	if err != nil {
		return err
	}
	if !strings.Contains(info, "cluster_state:ok") {
		return errors.New("cluster_state is not ok")
	}
	slots, err := slotsOf(ctx, node)
	if err != nil {
		return err
	}
	incomplete := func(s redis.ClusterSlot) bool { return len(s.Nodes) != nodeCount/masterCount }
	if len(slots) != masterCount || slices.ContainsFunc(slots, incomplete) {
		return fmt.Errorf("not every master has slots and a replica: %v", slots)
	}
	return checkReplication(ctx, node)
}

// checkReplication returns an error if the node is a replica that is not connected to its master.
func checkReplication(ctx context.Context, node *redis.Client) error {
	info, err := node.Info(ctx, "replication").Result()
	if err == nil && strings.Contains(info, "role:slave") && !strings.Contains(info, "master_link_status:up") {
		return errors.New("the replica's link to its master is down")
	}
	return err
}

// URL returns the Cluster's address, in the form of redis.ParseClusterURL.
func (c *Cluster) URL() string {
	return "redis://" + c.Servers[0].Addr + "?addr=" + strings.Join(addrs(c.Servers[1:]), "&addr=")
}

// Masters returns the nodes that have slots, in the order of the slots, as seen by the first living node.
func (c *Cluster) Masters(ctx context.Context) ([]*Server, error) {
	s, err := c.living()
	if err != nil {
		return nil, err
	}
	node := s.client()
	defer node.Close()
	slots, err := slotsOf(ctx, node)
	var masters []*Server
	for _, slot := range slots {
		if master := c.server(slot.Nodes[0].Addr); !slices.Contains(masters, master) {
			masters = append(masters, master)
		}
	}
	return masters, err
}

// MasterOf returns the master of a key's slot.
func (c *Cluster) MasterOf(ctx context.Context, key string) (*Server, error) {
	s, err := c.living()
	if err != nil {
		return nil, err
	}
	client := redis.NewClusterClient(&redis.ClusterOptions{Addrs: []string{s.Addr}})
	defer client.Close()
	master, err := client.MasterForKey(ctx, key)
	if err != nil {
		return nil, err
	}
	return c.server(master.Options().Addr), nil
}

// WaitForSuccessor waits until a killed master has no slots any more.
func (c *Cluster) WaitForSuccessor(ctx context.Context, killed *Server) error {
	return testenv.Poll(ctx, formTimeout, func(ctx context.Context) error {
		present, err := c.Masters(ctx)
		if err == nil && slices.Contains(present, killed) {
			err = errors.New("no replica has taken over yet")
		}
		return err
	})
}

// slotsOf returns the slots with their nodes, in their order, by a command that Redis 6.2 supports too.
func slotsOf(ctx context.Context, node *redis.Client) ([]redis.ClusterSlot, error) {
	//lint:ignore SA1019 the successor, CLUSTER SHARDS, came with Redis 7
	slots, err := node.ClusterSlots(ctx).Result()
	slices.SortFunc(slots, func(a, b redis.ClusterSlot) int { return a.Start - b.Start })
	return slots, err
}

// living returns the first node that accepts connections. Others may have been killed.
func (c *Cluster) living() (*Server, error) {
	for _, s := range c.Servers {
		if s.dial() == nil {
			return s, nil
		}
	}
	return nil, errors.New("no node accepts connections")
}

// server returns the node with an address.
func (c *Cluster) server(addr string) *Server { return c.Servers[slices.Index(addrs(c.Servers), addr)] }

// Move moves the slot of a key to another master, like an operator who adds a node. It calls between after each step:
// when the slot is marked as moving, when its keys have moved but the slot has not, and when the slot has moved.
func (c *Cluster) Move(ctx context.Context, key string, to *Server, between func()) error {
	from, err := c.MasterOf(ctx, key)
	masters, mastersErr := c.Masters(ctx)
	if err := errors.Join(err, mastersErr); err != nil {
		return err
	}
	source, target := from.client(), to.client()
	defer source.Close()
	defer target.Close()
	slot, err := source.ClusterKeySlot(ctx, key).Result()
	if err != nil {
		return err
	}
	sourceID, targetID := source.ClusterMyID(ctx).Val(), target.ClusterMyID(ctx).Val() // if empty, the next commands fail
	host, port, _ := net.SplitHostPort(to.Addr)
	for _, step := range []func() error{
		func() error { // from now on, the source redirects requests for keys it no longer has (ASK)
			return errors.Join(
				target.Do(ctx, "cluster", "setslot", slot, "importing", sourceID).Err(),
				source.Do(ctx, "cluster", "setslot", slot, "migrating", targetID).Err())
		},
		func() error {
			command := []any{"migrate", host, port, "", 0, 5000, "keys"}
			for _, key := range source.ClusterGetKeysInSlot(ctx, int(slot), 1000).Val() {
				command = append(command, key)
			}
			return source.Do(ctx, command...).Err() // fails without keys
		},
		func() error { // first on the new master itself, then on all others
			return onEach(ctx, append([]*Server{to}, masters...), func(ctx context.Context, node *redis.Client) error {
				return node.Do(ctx, "cluster", "setslot", slot, "node", targetID).Err()
			})
		},
	} {
		if err := step(); err != nil {
			return err
		}
		between()
	}
	return nil
}
