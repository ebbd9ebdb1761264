package redistest

import (
	"context"
	"errors"
	"fmt"
	"net"

	"github.com/redis/go-redis/v9"
)

// Move moves the slot of a key to another master, like an operator who adds a node. It calls between after each step:
// when the slot is marked as moving, when its keys have moved but the slot has not, and when the slot has moved.
func (c *Cluster) Move(ctx context.Context, key string, to *Server, between func()) error {
	from, err := c.MasterOf(ctx, key)
	if err != nil {
		return err
	}
	if from == to {
		return errors.New("the target already has the slot")
	}
	source := redis.NewClient(&redis.Options{Addr: from.Addr})
	defer source.Close()
	target := redis.NewClient(&redis.Options{Addr: to.Addr})
	defer target.Close()
	m := slotMove{source: source, target: target, to: to}
	for _, step := range []func(context.Context, string) error{m.begin, m.moveKeys, func(ctx context.Context, _ string) error {
		return m.finish(ctx, c)
	}} {
		if err := step(ctx, key); err != nil {
			return err
		}
		between()
	}
	return nil
}

type slotMove struct {
	source, target *redis.Client
	to             *Server
	slot           int64
	targetID       string
}

// begin marks the slot as moving on both nodes. From now on, the source redirects requests for keys it no longer has
// (ASK).
func (m *slotMove) begin(ctx context.Context, key string) (err error) {
	if m.slot, err = m.source.ClusterKeySlot(ctx, key).Result(); err != nil {
		return err
	}
	sourceID, err := m.source.ClusterMyID(ctx).Result()
	if err != nil {
		return err
	}
	if m.targetID, err = m.target.ClusterMyID(ctx).Result(); err != nil {
		return err
	}
	return errors.Join(
		m.target.Do(ctx, "cluster", "setslot", m.slot, "importing", sourceID).Err(),
		m.source.Do(ctx, "cluster", "setslot", m.slot, "migrating", m.targetID).Err())
}

// moveKeys moves the keys one by one.
func (m *slotMove) moveKeys(ctx context.Context, _ string) error {
	keys, err := m.source.ClusterGetKeysInSlot(ctx, int(m.slot), 1000).Result()
	if err != nil {
		return err
	}
	if len(keys) == 0 {
		return fmt.Errorf("slot %d is empty", m.slot)
	}
	host, port, _ := net.SplitHostPort(m.to.Addr)
	for _, key := range keys {
		if err := m.source.Do(ctx, "migrate", host, port, key, 0, 5000).Err(); err != nil {
			return err
		}
	}
	return nil
}

// finish assigns the slot to the new master, first on that master itself, then on all others.
func (m *slotMove) finish(ctx context.Context, c *Cluster) error {
	masters, err := c.Masters(ctx)
	if err != nil {
		return err
	}
	for _, s := range append([]*Server{m.to}, masters...) {
		node := redis.NewClient(&redis.Options{Addr: s.Addr})
		defer node.Close()
		if err := node.Do(ctx, "cluster", "setslot", m.slot, "node", m.targetID).Err(); err != nil {
			return err
		}
	}
	return nil
}
