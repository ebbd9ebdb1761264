package server

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"wxlogin/internal/testenv/redistest"
)

// redisFault is a Redis that cannot be used.
type redisFault struct {
	settings []string
	prepare  func(t *testing.T, server *redistest.Server)
	url      string // what stands before the address, and after it
	mode     string
	variable string // that is wrong; "" if waiting may help
	text     string // a part of what is wrong; of Redis's answer if waiting may help
}

var redisFaults = map[string]redisFault{
	"wrong_password":   {settings: []string{"requirepass right"}, url: "redis://:hidden-pass@|", variable: "REDIS_URL", text: "password"},
	"unknown_user":     {url: "redis://nobody:hidden-pass@|", variable: "REDIS_URL", text: "password"},
	"no_password":      {settings: []string{"requirepass right"}, variable: "REDIS_URL", text: "password"},
	"no_such_database": {url: "redis://|/99", variable: "REDIS_URL", text: "no database of this number"},
	"without_GETEX":    {settings: []string{`rename-command GETEX ""`}, variable: "REDIS_URL", text: "6.2"},
	"without_scripts": {
		settings: []string{`rename-command EVAL ""`, `rename-command EVALSHA ""`}, variable: "REDIS_URL", text: "refuses scripts",
	},
	"without_new_scripts": {settings: []string{`rename-command EVAL ""`}, variable: "REDIS_URL", text: "refuses scripts"},
	"scripts_not_allowed": {
		settings: []string{"user a on >hidden-pass ~* +@all -@scripting"}, url: "redis://a:hidden-pass@|", variable: "REDIS_URL", text: "rights",
	},
	"index_not_allowed": {
		settings: []string{"user a on >hidden-pass ~* +@all -zadd"}, url: "redis://a:hidden-pass@|", variable: "REDIS_URL", text: "rights",
	},
	"keys_not_allowed": {
		settings: []string{"user a on >hidden-pass ~other:* +@all"}, url: "redis://a:hidden-pass@|", variable: "REDIS_URL", text: "rights",
	},
	"read_only_rights": {
		settings: []string{"user a on >hidden-pass ~* -@all +@read +@connection"}, url: "redis://a:hidden-pass@|", variable: "REDIS_URL", text: "rights",
	},
	"without_SET":           {settings: []string{`rename-command SET ""`}, variable: "REDIS_URL", text: "lacks commands"},
	"node_without_slots":    {settings: []string{"cluster-enabled yes"}, variable: "REDIS_MODE", text: "REDIS_MODE=cluster"},
	"node_with_all_slots":   {settings: []string{"cluster-enabled yes"}, prepare: takeAllSlots, variable: "REDIS_MODE", text: "REDIS_MODE=cluster"},
	"single_as_cluster":     {mode: redisCluster, variable: "REDIS_MODE", text: "REDIS_MODE=single"},
	"cluster_password":      {settings: []string{"requirepass right"}, mode: redisCluster, url: "redis://:hidden-pass@|", variable: "REDIS_URL", text: "password"},
	"cluster_without_GETEX": {settings: []string{"cluster-enabled yes", `rename-command GETEX ""`}, prepare: takeAllSlots, mode: redisCluster, variable: "REDIS_URL", text: "6.2"},

	"replica":               {settings: []string{"replicaof 127.0.0.1 1"}, text: "READONLY"},
	"full":                  {settings: []string{"maxmemory 1", "maxmemory-policy noeviction"}, text: "OOM"},
	"too_few_replicas":      {settings: []string{"min-replicas-to-write 1"}, text: "NOREPLICAS"},
	"too_many_clients":      {settings: []string{"maxclients 1"}, prepare: holdConnection, text: "redis unavailable"},
	"cannot_save":           {prepare: failToSave, settings: []string{"save 3600 1", "enable-protected-configs yes"}, text: "MISCONF"},
	"cluster_without_slots": {settings: []string{"cluster-enabled yes"}, mode: redisCluster, text: "redis unavailable"},
	"down":                  {prepare: func(t *testing.T, s *redistest.Server) { mustDo(t, s.Kill(t.Context())) }, text: "refused"},
}

// Redis that cannot be used: what waiting does not mend is a fault of the configuration, and never shows a password. All of
// them keep /readyz from saying that it is ready, although most of them answer PING.
func TestCheckRedis(t *testing.T) {
	for name, fault := range redisFaults {
		t.Run(name, func(t *testing.T) {
			client := fault.open(t)
			sessions := newSessions(t, client)
			err := checkRedis(t.Context(), client, sessions, fault.mode)
			if fault.variable == "" {
				if err != nil {
					t.Errorf("%v, want none: waiting may help", err)
				}
			} else {
				wantFault(t, err, fault.variable, fault.text)
			}
			ready := sessions.Ready(t.Context())
			if name == "node_with_all_slots" { // works until its replica takes over
				return
			}
			if ready == nil || fault.variable == "" && !strings.Contains(ready.Error(), fault.text) {
				t.Errorf("ready: %v, want %s", ready, fault.text)
			}
			if ready != nil && strings.Contains(ready.Error(), hidden) {
				t.Errorf("it shows the password: %v", ready)
			}
		})
	}
}

// Redis refuses any other database of a Cluster. Valkey 9 has as many as it is told to, by default one.
func TestCheckRedis_another_database_of_a_Cluster(t *testing.T) {
	client := redisFault{settings: []string{"cluster-enabled yes"}, url: "redis://|/1"}.open(t)
	err := checkRedis(t.Context(), client, newSessions(t, client), redisSingle)
	if !errors.Is(err, errClusterAsSingle) && !errors.Is(err, errRedisDatabase) {
		t.Errorf("%v, want %v or %v", err, errClusterAsSingle, errRedisDatabase)
	}
}

// wantFault fails unless an error is of the configuration, names the variable and says what helps.
func wantFault(t *testing.T, err error, variable, text string) {
	t.Helper()
	if !errors.Is(err, ErrMisconfigured) {
		t.Fatalf("%v, want an ErrMisconfigured", err)
	}
	if !strings.HasPrefix(err.Error(), variable+": ") || !strings.Contains(err.Error(), text) {
		t.Errorf("%v, want one of %s that says %q", err, variable, text)
	}
	if strings.Contains(err.Error(), hidden) {
		t.Errorf("it shows the password: %v", err)
	}
}

// open starts the Redis and makes the server's client of it.
func (f redisFault) open(t *testing.T) redis.UniversalClient {
	t.Helper()
	server := redistest.RunServer(t, func(int) []string { return f.settings })
	if f.prepare != nil {
		f.prepare(t, server)
	}
	before, after, _ := strings.Cut(f.url, "|")
	if before == "" {
		before = "redis://"
	}
	client, err := openRedis(Config{RedisURL: before + server.Addr + after, Redis: RedisConfig{Mode: f.mode}})
	mustDo(t, err)
	t.Cleanup(func() { client.Close() })
	return client
}

func mustDo(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func admin(t *testing.T, server *redistest.Server) *redis.Client {
	t.Helper()
	client := redis.NewClient(&redis.Options{Addr: server.Addr})
	t.Cleanup(func() { client.Close() })
	return client
}

// takeAllSlots makes a node a Cluster of one, and waits until it knows that.
func takeAllSlots(t *testing.T, server *redistest.Server) {
	t.Helper()
	client := admin(t, server)
	mustDo(t, client.ClusterAddSlotsRange(t.Context(), 0, 16383).Err())
	for deadline := time.Now().Add(20 * time.Second); client.Exists(t.Context(), "x").Err() != nil; pause(t.Context(), 10*time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the node stays down")
		}
	}
}

func holdConnection(t *testing.T, server *redistest.Server) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; pause(t.Context(), 10*time.Millisecond) { // what started it leaves
		conn, err := net.Dial("tcp", server.Addr)
		mustDo(t, err)
		_, err = conn.Write([]byte("PING\r\n"))
		mustDo(t, err)
		answer := make([]byte, 1)
		if _, err := conn.Read(answer); err == nil && answer[0] == '+' {
			t.Cleanup(func() { conn.Close() })
			return
		}
		conn.Close()
		if time.Now().After(deadline) {
			t.Fatal("no connection is free")
		}
	}
}

// failToSave has Redis fail to write its file, where a folder stands.
func failToSave(t *testing.T, server *redistest.Server) {
	t.Helper()
	client := admin(t, server)
	dir := t.TempDir()
	mustDo(t, os.MkdirAll(filepath.Join(dir, "dump.rdb", "x"), 0o755))
	mustDo(t, client.ConfigSet(t.Context(), "dir", dir).Err())
	mustDo(t, client.BgSave(t.Context()).Err())
	for deadline := time.Now().Add(20 * time.Second); ; pause(t.Context(), 10*time.Millisecond) {
		if info := client.Info(t.Context(), "persistence").Val(); strings.Contains(info, "rdb_last_bgsave_status:err") {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("Redis saves")
		}
	}
}

// No script and no command has keys of two slots, so that proxies take them: a Cluster's only node refuses those too.
func TestRedis_commands_have_keys_of_one_slot(t *testing.T) {
	server := redistest.RunServer(t, func(int) []string { return []string{"cluster-enabled yes"} })
	takeAllSlots(t, server)
	c := Config{RedisURL: "redis://" + server.Addr}
	client, err := openRedis(c)
	mustDo(t, err)
	defer client.Close()
	mustDo(t, newSessions(t, client).Ready(t.Context()))
	useSessions(t, client)
	useAccessTokens(t, client)
	useCounter(t, c)
}

// The answers of versions that are not installed here.
func TestRedisConfigFault_of_other_versions(t *testing.T) {
	for answer, want := range map[string]string{
		"ERR unknown command `GETEX`, with args beginning with: `x`, ":                                                                                "REDIS_URL: this Redis lacks the command GETEX",
		"ERR unknown command 'EVALSHA', with args beginning with: 'x' ":                                                                               "REDIS_URL: this Redis refuses scripts",
		"NOPERM this user has no permissions to run the 'evalsha' command or its subcommand":                                                          "REDIS_URL: the user of Redis lacks rights",
		"ERR Error running script (call to f_5): @user_script:5: @user_script: 5: The user executing the script can't run this command or subcommand": "REDIS_URL: the user of Redis lacks rights",
		"ERR Error running script (call to f_5): @user_script:5: @user_script: 5: -OOM command not allowed":                                           "",
		"ERR invalid password":                                    "REDIS_URL: Redis refuses the user name or the password",
		"ERR Client sent AUTH, but no password is set":            "REDIS_URL: Redis refuses the user name or the password",
		"ERR invalid DB index":                                    "REDIS_URL: Redis has no database",
		"ASK 5 10.0.0.1:6379":                                     "REDIS_MODE: this Redis is a Cluster",
		"CROSSSLOT Keys in request don't hash to the same slot":   "REDIS_MODE: this Redis is a Cluster",
		"LOADING Redis is loading the dataset in memory":          "",
		"READONLY You can't write against a read only replica.":   "",
		"BUSY Redis is busy running a script.":                    "",
		"TRYAGAIN Multiple keys request during rehashing of slot": "",
	} {
		err := redisConfigFault(redisSingle, errors.Join(errors.New("other"), answerOf(answer)))
		if text := errText(err); !strings.HasPrefix(text, want) || (want == "") != (text == "") {
			t.Errorf("%s: %q, want %q", answer, text, want)
		}
	}
	for _, answer := range []string{"MOVED 5 10.0.0.1:6379", "CLUSTERDOWN The cluster is down"} {
		if err := redisConfigFault(redisCluster, answerOf(answer)); err != nil {
			t.Errorf("%s of a Cluster asked as one: %v", answer, err)
		}
	}
	if err := redisConfigFault(redisSingle, errors.New("WRONGPASS of another kind")); err != nil {
		t.Errorf("no answer of Redis: %v", err)
	}
}

type answerOf string

func (a answerOf) Error() string { return string(a) }
func (answerOf) RedisError()     {}

func errText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
