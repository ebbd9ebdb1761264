// Package redisclient makes the server's clients of Redis, for a single server, Sentinel or a Cluster:
//
//	client, err := redisclient.New(redisclient.Options{Mode: redisclient.Cluster, URL: "rediss://node:6379?addr=node2:6379"})
//	if err != nil {
//		return err
//	}
//	defer client.Close()
//	err = redisclient.CheckConfig(ctx, client, redisclient.Cluster, sessions.Ready)
//
// Every wait of a client is bounded, and the bounds are the same in all modes. No error holds a user name, a password or
// the URL.
//
// It imports nothing of this module.
package redisclient
