package redistest

import (
	"context"
	"fmt"
	"regexp"
	"strconv"

	"github.com/redis/go-redis/v9"
)

var (
	masterOffset  = regexp.MustCompile(`(?m)^master_repl_offset:(\d+)`)
	replicaOffset = regexp.MustCompile(`(?m)^slave0:.*,offset=(\d+)`)
)

// WaitForReplica waits until a master's replica has all that the master has answered so far.
func WaitForReplica(ctx context.Context, master *Server) error {
	client := redis.NewClient(&redis.Options{Addr: master.Addr})
	defer client.Close()
	wanted, err := offset(ctx, client, masterOffset)
	if err != nil {
		return err
	}
	return within(ctx, formLimit, func(ctx context.Context) error {
		has, err := offset(ctx, client, replicaOffset)
		if err == nil && has < wanted {
			err = fmt.Errorf("the replica of %s is %d bytes behind", master.Addr, wanted-has)
		}
		return err
	})
}

func offset(ctx context.Context, client *redis.Client, of *regexp.Regexp) (int, error) {
	info, err := client.Info(ctx, "replication").Result()
	if err != nil {
		return 0, err
	}
	found := of.FindStringSubmatch(info)
	if found == nil {
		return 0, fmt.Errorf("INFO replication has no line like %s", of)
	}
	return strconv.Atoi(found[1])
}
