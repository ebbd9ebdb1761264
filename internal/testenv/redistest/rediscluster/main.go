// Command rediscluster starts and stops a Redis Cluster for tests: three masters with one replica each.
//
//	rediscluster start DIR            start a Cluster with its files in DIR, a new folder, and print its REDIS_URL
//	rediscluster user                 print name:password of an account with only the permissions the server needs
//	rediscluster kill-master DIR N    kill (SIGKILL) the N-th master in the order of the slots, and wait until its
//	                                  replica has taken over
//	rediscluster stop DIR             kill all nodes
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"wxlogin/internal/testenv/redistest"
)

func main() {
	if err := run(context.Background(), os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "rediscluster:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	switch {
	case len(args) == 1 && args[0] == "user":
		fmt.Println(redistest.User)
		return nil
	case len(args) == 2 && args[0] == "start":
		dir, err := filepath.Abs(args[1])
		if err != nil {
			return err
		}
		cluster, err := redistest.StartCluster(ctx, dir)
		if err != nil {
			return err
		}
		fmt.Println(cluster.URL())
		return nil
	case len(args) == 2 && args[0] == "stop":
		cluster, err := redistest.FindCluster(args[1])
		if err != nil {
			return err
		}
		return cluster.Kill(ctx)
	case len(args) == 3 && args[0] == "kill-master":
		return killMaster(ctx, args[1], args[2])
	}
	return errors.New("usage: rediscluster start DIR | user | kill-master DIR N | stop DIR")
}

func killMaster(ctx context.Context, dir, number string) error {
	cluster, err := redistest.FindCluster(dir)
	if err != nil {
		return err
	}
	masters, err := cluster.Masters(ctx)
	if err != nil {
		return err
	}
	n, err := strconv.Atoi(number)
	if err != nil || n < 1 || n > len(masters) {
		return fmt.Errorf("the number of a master is 1 to %d", len(masters))
	}
	if err := masters[n-1].Kill(ctx); err != nil {
		return err
	}
	killed := time.Now()
	if err := cluster.WaitForSuccessor(ctx, masters[n-1]); err != nil {
		return err
	}
	fmt.Printf("its replica took over after %.1f s\n", time.Since(killed).Seconds())
	return nil
}
