package redistest

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	masterCount = 3
	nodeCount   = 2 * masterCount // one replica for each master
	nodeTimeout = 2 * time.Second

	formTimeout = 60 * time.Second
)

// clusterSettings returns the settings of a node. If a master is down for nodeTimeout, its replica takes over; the
// other masters go on serving their slots.
func clusterSettings(int) []string {
	return []string{
		"cluster-enabled yes",
		fmt.Sprintf("cluster-node-timeout %d", nodeTimeout.Milliseconds()),
		"cluster-require-full-coverage no",
		"repl-diskless-sync-delay 0",
	}
}

// Cluster is a Redis Cluster of three masters with one replica each.
type Cluster struct{ Servers []*Server }

// StartCluster starts a Cluster with its files below dir, and waits until it is complete. Its nodes have the account
// User.
func StartCluster(ctx context.Context, dir string) (*Cluster, error) {
	c := &Cluster{}
	for n := range nodeCount {
		s, err := StartServer(ctx, nodeDir(dir, n), clusterSettings)
		if err != nil {
			return nil, errors.Join(err, c.Kill(ctx))
		}
		c.Servers = append(c.Servers, s)
	}
	if err := errors.Join(c.form(ctx), onEach(ctx, c.Servers, AddUser)); err != nil {
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

// form joins the nodes into one Cluster.
func (c *Cluster) form(ctx context.Context) error {
	args := []string{"--cluster", "create"}
	for _, s := range c.Servers {
		args = append(args, s.Addr)
	}
	args = append(args, "--cluster-replicas", "1", "--cluster-yes")
	if out, err := exec.CommandContext(ctx, "redis-cli", args...).CombinedOutput(); err != nil {
		return fmt.Errorf("redis-cli: %w\n%s", err, out)
	}
	return poll(ctx, formTimeout, func(ctx context.Context) error { return onEach(ctx, c.Servers, checkCluster) })
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
	for _, s := range slots {
		if len(s.Nodes) != nodeCount/masterCount {
			return fmt.Errorf("%d nodes have the slots from %d", len(s.Nodes), s.Start)
		}
	}
	if len(slots) != masterCount {
		return fmt.Errorf("%d nodes have slots", len(slots))
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

// onEach calls do for every server, one after the other.
func onEach(ctx context.Context, servers []*Server, do func(context.Context, *redis.Client) error) error {
	for _, s := range servers {
		node := redis.NewClient(&redis.Options{Addr: s.Addr})
		err := errors.Join(do(ctx, node), node.Close())
		if err != nil {
			return fmt.Errorf("%s: %w", s.Addr, err)
		}
	}
	return nil
}

// URL returns the Cluster's address, in the form of redis.ParseClusterURL.
func (c *Cluster) URL() string {
	url := "redis://" + c.Servers[0].Addr
	for n, s := range c.Servers[1:] {
		url += string("?&"[min(n, 1)]) + "addr=" + s.Addr
	}
	return url
}

// Masters returns the nodes that have slots, in the order of the slots, as seen by the first living node.
func (c *Cluster) Masters(ctx context.Context) ([]*Server, error) {
	var servers []*Server
	return servers, c.onLivingNode(ctx, func(node *redis.Client) error {
		slots, err := slotsOf(ctx, node)
		if err != nil {
			return err
		}
		slices.SortFunc(slots, func(a, b redis.ClusterSlot) int { return a.Start - b.Start })
		for _, slot := range slots {
			s, err := c.server(slot.Nodes[0].Addr)
			if err != nil {
				return err
			}
			if !slices.Contains(servers, s) {
				servers = append(servers, s)
			}
		}
		return nil
	})
}

// MasterOf returns the master of a key's slot.
func (c *Cluster) MasterOf(ctx context.Context, key string) (*Server, error) {
	var s *Server
	return s, c.onLivingNode(ctx, func(node *redis.Client) error {
		slot, err := node.ClusterKeySlot(ctx, key).Result()
		if err != nil {
			return err
		}
		slots, err := slotsOf(ctx, node)
		for _, part := range slots {
			if part.Start <= int(slot) && int(slot) <= part.End {
				s, err = c.server(part.Nodes[0].Addr)
			}
		}
		return err
	})
}

// WaitForSuccessor waits until a killed master has no slots any more.
func (c *Cluster) WaitForSuccessor(ctx context.Context, killed *Server) error {
	return poll(ctx, formTimeout, func(ctx context.Context) error {
		present, err := c.Masters(ctx)
		if err == nil && slices.Contains(present, killed) {
			err = errors.New("no replica has taken over yet")
		}
		return err
	})
}

// slotsOf returns the slots with their nodes, by a command that Redis 6.2 supports too.
func slotsOf(ctx context.Context, node *redis.Client) ([]redis.ClusterSlot, error) {
	//lint:ignore SA1019 the successor, CLUSTER SHARDS, came with Redis 7
	return node.ClusterSlots(ctx).Result()
}

// onLivingNode calls do with a client of the first node that accepts connections.
func (c *Cluster) onLivingNode(ctx context.Context, do func(node *redis.Client) error) error {
	for _, s := range c.Servers {
		if s.dial() != nil {
			continue // it was killed
		}
		node := redis.NewClient(&redis.Options{Addr: s.Addr})
		return errors.Join(do(node), node.Close())
	}
	return errors.New("no node accepts connections")
}

func (c *Cluster) server(addr string) (*Server, error) {
	for _, s := range c.Servers {
		if s.Addr == addr {
			return s, nil
		}
	}
	return nil, fmt.Errorf("%s is not a node of this Cluster", addr)
}

// Kill kills all nodes.
func (c *Cluster) Kill(ctx context.Context) error {
	var errs []error
	for _, s := range c.Servers {
		errs = append(errs, s.Kill(ctx))
	}
	return errors.Join(errs...)
}

// RunCluster is StartCluster for the duration of a test.
func RunCluster(t testing.TB) *Cluster {
	t.Helper()
	skipUnlessInstalled(t)
	return startForTest(t, func(dir string) (*Cluster, error) { return StartCluster(t.Context(), dir) })
}
