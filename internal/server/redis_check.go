package server

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/redis/go-redis/v9"

	"wxlogin/session"
)

// checkRedis returns what is wrong with the configuration of Redis. A Redis that cannot be used for another reason (it is down,
// loading, read-only, full) is no fault: the server starts, and /readyz says so until Redis is well.
func checkRedis(ctx context.Context, client redis.UniversalClient, sessions *session.Store, mode string) error {
	ctx, cancel := context.WithTimeout(ctx, startCheckTimeout)
	defer cancel()
	if err := sessions.Ready(ctx); err != nil {
		return redisConfigFault(mode, err)
	}
	if mode != redisCluster && isOnlyMaster(ctx, client) {
		return errClusterAsSingle
	}
	return nil
}

// isOnlyMaster reports whether a Redis is a Cluster of one master. That one answers for all keys, and yet a client that does
// not know of the Cluster loses it when the replica takes over. A Redis that hides behind a proxy is none.
func isOnlyMaster(ctx context.Context, client redis.UniversalClient) bool {
	hello := redis.NewMapStringInterfaceCmd(ctx, "hello") // without a version it changes nothing
	if client.Process(ctx, hello) != nil || hello.Val()["mode"] != "cluster" {
		return false
	}
	slots, err := client.ClusterSlots(ctx).Result()
	if err != nil {
		return false
	}
	masters := make(map[string]bool)
	for _, part := range slots {
		if len(part.Nodes) > 0 {
			masters[part.Nodes[0].Addr] = true
		}
	}
	return len(masters) == 1
}

var (
	errClusterAsSingle = configError{"REDIS_MODE", "this Redis is a Cluster: set REDIS_MODE=cluster"}
	errSingleAsCluster = configError{"REDIS_MODE", "this Redis is no Cluster: set REDIS_MODE=single, or sentinel"}
	errRedisPassword   = configError{"REDIS_URL", "Redis refuses the user name or the password, or asks for one"}
	errRedisRights     = configError{"REDIS_URL", "the user of Redis lacks rights; docs/operations.md lists those it needs"}
	errRedisDatabase   = configError{"REDIS_URL", "Redis has no database of this number; a Cluster has 0 alone, and needs REDIS_MODE=cluster"}
	errRedisTooOld     = configError{"REDIS_URL", "this Redis lacks the command GETEX: it must be Redis 6.2 or later, with GETEX not renamed"}
	errRedisScripts    = configError{"REDIS_URL", "this Redis refuses scripts: it must allow EVAL and EVALSHA"}
	errRedisCommands   = configError{"REDIS_URL", "this Redis lacks commands that the server needs; a Sentinel is asked with REDIS_MODE=sentinel"}
)

// redisAnswer is how an error of Redis begins that only another configuration mends: in lower case, without ERR before it.
type redisAnswer struct {
	prefix string
	fault  configError
}

var redisAnswers = []redisAnswer{
	{"wrongpass", errRedisPassword},
	{"noauth", errRedisPassword},
	{"invalid password", errRedisPassword}, // before Redis 6
	{"auth", errRedisPassword},             // a password that Redis does not ask for
	{"client sent auth", errRedisPassword}, // the same before Redis 6
	{"noperm", errRedisRights},
	{"acl failure in script", errRedisRights},
	{"the user executing the script", errRedisRights}, // before Redis 7
	{"db index is out of range", errRedisDatabase},
	{"invalid db index", errRedisDatabase},
	{"unknown command 'getex'", errRedisTooOld},
	{"unknown command 'eval", errRedisScripts},
	{"unknown command", errRedisCommands},
	{"this instance has cluster support disabled", errSingleAsCluster},
}

// clusterAnswers are those of a Cluster's node to a client that does not know of the Cluster. One that does may wait.
var clusterAnswers = []redisAnswer{
	{"moved", errClusterAsSingle},
	{"ask ", errClusterAsSingle},
	{"clusterdown", errClusterAsSingle},
	{"crossslot", errClusterAsSingle},
	{"select is not allowed in cluster mode", errClusterAsSingle},
}

// redisConfigFault returns the fault of the configuration behind an error of session.Store.Ready, and nil if there is none.
func redisConfigFault(mode string, err error) error {
	text, ok := redisText(err)
	if !ok {
		return nil
	}
	answers := redisAnswers
	if mode != redisCluster {
		answers = slices.Concat(clusterAnswers, redisAnswers)
	}
	for _, answer := range answers {
		if strings.HasPrefix(text, answer.prefix) {
			return answer.fault
		}
	}
	return nil
}

// redisText returns what Redis has answered, in a form that its versions have in common; ok is false if it has not.
func redisText(err error) (text string, ok bool) {
	answer, ok := errors.AsType[redis.Error](err)
	if !ok {
		return "", false
	}
	text = strings.ReplaceAll(strings.ToLower(answer.Error()), "`", "'")
	if _, inScript, found := strings.Cut(text, "@user_script: "); found { // "error running script (…): … 5: text", before Redis 7
		_, text, _ = strings.Cut(inScript, ": ")
	}
	return strings.TrimPrefix(text, "err "), true
}
