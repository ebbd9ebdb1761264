package redistest

import (
	"context"
	"strings"

	"github.com/redis/go-redis/v9"
)

// User is the name and password of an account that has exactly Rights.
const User = "wxlogin:only-what-is-needed"

// Rights are the permissions that wxlogin needs in Redis, as rules of ACL SETUSER. docs/operations.md documents them.
// select is only needed for a database other than 0; cluster|slots and asking only for a Cluster.
const Rights = "resetkeys ~wxlogin:* resetchannels -@all +ping +select +dbsize +get +set +getex +getdel +del +type +pttl " +
	"+pexpire +incrby +zadd +zrem +zrange +zrevrange +zremrangebyscore +eval +evalsha +cluster|slots +asking"

// SentinelUser is the name and password of an account on Sentinels that has exactly SentinelRights.
const SentinelUser = "watcher:watch-only"

// SentinelRights are the permissions that wxlogin needs on Sentinels.
const SentinelRights = "resetkeys resetchannels &+switch-master &+replica-reconf-done -@all +ping +subscribe " +
	"+sentinel|get-master-addr-by-name +sentinel|sentinels"

// AddUser creates User on a server.
func AddUser(ctx context.Context, server *redis.Client) error {
	return addUser(ctx, server, User, Rights)
}

func addSentinelUser(ctx context.Context, server *redis.Client) error {
	return addUser(ctx, server, SentinelUser, SentinelRights)
}

func addUser(ctx context.Context, server *redis.Client, user, rights string) error {
	name, password, _ := strings.Cut(user, ":")
	rules := append([]string{"reset", "on", ">" + password}, strings.Fields(rights)...)
	return server.ACLSetUser(ctx, name, rules...).Err()
}
