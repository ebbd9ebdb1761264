package redistest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"wxlogin/internal/testenv"
)

const (
	// MasterName is the Sentinels' name for the master.
	MasterName = "wxlogin-test"

	sentinelCount = 3
)

// Sentinels are three Sentinels that watch a master and its replica.
type Sentinels struct {
	Master, Replica *Server
	Sentinels       []*Server
}

// RunSentinels starts all five servers for the duration of a test, and waits until a failover is possible. The servers
// have the account User, the Sentinels SentinelUser.
func RunSentinels(t testing.TB) *Sentinels {
	t.Helper()
	return runForTest(t, func(dir string) (*Sentinels, error) {
		s := &Sentinels{}
		if err := s.start(t.Context(), dir); err != nil {
			return nil, errors.Join(err, s.Kill(t.Context()))
		}
		return s, nil
	})
}

func (s *Sentinels) start(ctx context.Context, dir string) (err error) {
	s.Master, err = start(ctx, filepath.Join(dir, "master"), []string{noSnapshots, "repl-diskless-sync-delay 0"})
	if err != nil {
		return err
	}
	host, port, _ := net.SplitHostPort(s.Master.Addr)
	s.Replica, err = start(ctx, filepath.Join(dir, "replica"), []string{noSnapshots, "replicaof " + host + " " + port})
	if err != nil {
		return err
	}
	err = testenv.Poll(ctx, formTimeout, func(ctx context.Context) error {
		return onEach(ctx, []*Server{s.Replica}, checkReplication)
	})
	for n := 0; n < sentinelCount && err == nil; n++ {
		var sentinel *Server
		sentinel, err = start(ctx, filepath.Join(dir, fmt.Sprint("sentinel", n+1)), []string{
			"sentinel monitor " + MasterName + " " + host + " " + port + " 2",
			fmt.Sprintf("sentinel down-after-milliseconds %s %d", MasterName, nodeTimeout.Milliseconds()),
			"sentinel failover-timeout " + MasterName + " 10000",
		}, "--sentinel")
		s.Sentinels = append(s.Sentinels, sentinel)
	}
	if err != nil {
		return err
	}
	return errors.Join(testenv.Poll(ctx, formTimeout, s.checkSentinels),
		onEach(ctx, []*Server{s.Master, s.Replica}, addUser(User, Rights)),
		onEach(ctx, s.Sentinels, addUser(SentinelUser, SentinelRights)))
}

// checkSentinels returns an error unless every Sentinel knows the others and the replica.
func (s *Sentinels) checkSentinels(ctx context.Context) error {
	for _, sentinel := range s.Sentinels {
		client := redis.NewSentinelClient(&redis.Options{Addr: sentinel.Addr})
		defer client.Close()
		others, err := client.Sentinels(ctx, MasterName).Result()
		if err != nil {
			return err
		}
		replicas, err := client.Replicas(ctx, MasterName).Result()
		if err != nil {
			return err
		}
		if len(others) != sentinelCount-1 || len(replicas) != 1 || strings.Contains(replicas[0]["flags"], "down") {
			return fmt.Errorf("a Sentinel knows %d other Sentinels and %d replicas", len(others), len(replicas))
		}
	}
	return nil
}

// URL returns the master's address by way of the Sentinels, in the form of redis.ParseFailoverURL.
func (s *Sentinels) URL() string {
	return "redis://" + s.Sentinels[0].Addr + "/0?master_name=" + MasterName +
		"&addr=" + strings.Join(addrs(s.Sentinels[1:]), "&addr=")
}

// Kill kills all servers that were started.
func (s *Sentinels) Kill(ctx context.Context) error {
	return killAll(ctx, append(slices.Clone(s.Sentinels), s.Replica, s.Master))
}

var replicationOffsets = regexp.MustCompile(`(?s)slave0:[^\n]*,offset=(\d+).*\nmaster_repl_offset:(\d+)`)

// WaitForReplica waits until a master's replica has received everything that the master has.
func WaitForReplica(ctx context.Context, master *Server) error {
	return testenv.Poll(ctx, formTimeout, func(ctx context.Context) error {
		return onEach(ctx, []*Server{master}, func(ctx context.Context, node *redis.Client) error {
			info, err := node.Info(ctx, "replication").Result()
			if offsets := replicationOffsets.FindStringSubmatch(info); err == nil && (offsets == nil || offsets[1] != offsets[2]) {
				err = fmt.Errorf("the replica is behind: %s", info)
			}
			return err
		})
	})
}
