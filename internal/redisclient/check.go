package redisclient

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/redis/go-redis/v9"
)

// The errors of CheckConfig.
var (
	errClusterAsSingle = errors.New("REDIS_MODE: this Redis is a Cluster: set REDIS_MODE=cluster")
	errSingleAsCluster = errors.New("REDIS_MODE: this Redis is not a Cluster: set REDIS_MODE=single or sentinel")
	errPassword        = errors.New("REDIS_URL: Redis refuses the user name or the password, or requires one")
	errRights          = errors.New("REDIS_URL: the Redis user lacks rights; docs/operations.md lists the rights it needs")
	errDatabase        = errors.New("REDIS_URL: Redis has no database with this number; a Cluster has only database 0 and needs REDIS_MODE=cluster")
	errTooOld          = errors.New("REDIS_URL: this Redis lacks the command GETEX: it must be Redis 6.2 or later, with GETEX not renamed")
	errScripts         = errors.New("REDIS_URL: this Redis refuses scripts: it must allow EVAL and EVALSHA")
	errCommands        = errors.New("REDIS_URL: this Redis lacks commands that the server needs; for a Sentinel set REDIS_MODE=sentinel")
)

// CheckConfig calls ready, a check that uses all commands that the server needs, and returns an error if only another
// configuration can help: a wrong password, missing rights, the wrong mode, a version that is too old. The error names
// the variable to change and holds no secret.
//
// It returns nil if Redis cannot be used for another reason (down, loading, read-only, full): that may pass.
func CheckConfig(ctx context.Context, client redis.UniversalClient, mode string, ready func(context.Context) error) error {
	if err := ready(ctx); err != nil {
		return configError(mode, err)
	}
	if mode != Cluster && isSingleMaster(ctx, client) {
		return errClusterAsSingle
	}
	return nil
}

// isSingleMaster reports whether a Redis is a Cluster with one master. That node serves all keys, so ready succeeds, but a
// client in another mode than Cluster would lose it when its replica takes over. A Cluster behind a proxy is not
// recognized.
func isSingleMaster(ctx context.Context, client redis.UniversalClient) bool {
	hello := redis.NewMapStringInterfaceCmd(ctx, "hello") // without a version it changes nothing
	if client.Process(ctx, hello) != nil || hello.Val()["mode"] != "cluster" {
		return false
	}
	slots, err := client.ClusterSlots(ctx).Result()
	if err != nil {
		return false
	}
	masters := make(map[string]bool)
	for _, slotRange := range slots {
		if len(slotRange.Nodes) > 0 {
			masters[slotRange.Nodes[0].Addr] = true
		}
	}
	return len(masters) == 1
}

// errorPattern maps error replies to errors of the configuration.
type errorPattern struct {
	prefix string // of a reply as replyText returns it
	err    error
}

var configErrors = []errorPattern{
	{"wrongpass", errPassword},
	{"noauth", errPassword},
	{"invalid password", errPassword}, // before Redis 6
	{"auth", errPassword},             // a password that Redis does not require
	{"client sent auth", errPassword}, // the same before Redis 6
	{"noperm", errRights},
	{"acl failure in script", errRights},
	{"the user executing the script", errRights}, // before Redis 7
	{"db index is out of range", errDatabase},
	{"invalid db index", errDatabase},
	{"unknown command 'getex'", errTooOld},
	{"unknown command 'eval", errScripts},
	{"unknown command", errCommands},
	{"this instance has cluster support disabled", errSingleAsCluster},
}

// clusterErrors are replies of a Cluster's node that show a client in another mode. A Cluster client may get some of them
// too, and they pass.
var clusterErrors = []errorPattern{
	{"moved", errClusterAsSingle},
	{"ask ", errClusterAsSingle},
	{"clusterdown", errClusterAsSingle},
	{"crossslot", errClusterAsSingle},
	{"select is not allowed in cluster mode", errClusterAsSingle},
}

// configError returns the error of the configuration that caused err, and nil if there is none.
func configError(mode string, err error) error {
	text, ok := replyText(err)
	if !ok {
		return nil
	}
	patterns := configErrors
	if mode != Cluster {
		patterns = slices.Concat(clusterErrors, configErrors)
	}
	for _, p := range patterns {
		if strings.HasPrefix(text, p.prefix) {
			return p.err
		}
	}
	return nil
}

// replyText returns the text of an error reply in a form that all versions of Redis share: lower case, without ERR and
// without the frames of a script. ok is false if err is not a reply of Redis.
func replyText(err error) (text string, ok bool) {
	reply, ok := errors.AsType[redis.Error](err)
	if !ok {
		return "", false
	}
	text = strings.ReplaceAll(strings.ToLower(reply.Error()), "`", "'")
	if _, inScript, found := strings.Cut(text, "@user_script: "); found { // "error running script (…): … 5: text", before Redis 7
		_, text, _ = strings.Cut(inScript, ": ")
	}
	return strings.TrimPrefix(text, "err "), true
}
