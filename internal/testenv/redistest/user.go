package redistest

import (
	"context"
	"strings"

	"github.com/redis/go-redis/v9"
)

// User is the name and password of a user who has Rights and no more.
const User = "wxlogin:only-what-is-needed"

// Rights are what the server needs of Redis, as ACL SETUSER takes them. docs/operations.md gives them to operators. select
// is for a database other than 0; cluster|slots and asking are for a Cluster.
const Rights = "resetkeys ~wxlogin:* resetchannels -@all +ping +select +dbsize +get +set +getex +getdel +del +type +pttl " +
	"+pexpire +incrby +zadd +zrem +zrange +zrevrange +zremrangebyscore +eval +evalsha +cluster|slots +asking"

// SentinelUser is the name and password of a user of Sentinels who has SentinelRights and no more.
const SentinelUser = "watcher:watch-only"

// SentinelRights are what the server needs of Sentinels.
const SentinelRights = "resetkeys resetchannels &+switch-master &+replica-reconf-done -@all +ping +subscribe " +
	"+sentinel|get-master-addr-by-name +sentinel|sentinels"

// AddUser makes User on a server.
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
