package redisclient_test

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"wxlogin/internal/redisclient"
	"wxlogin/internal/testenv/redistest"
)

// unusableRedis is a Redis that cannot be used.
type unusableRedis struct {
	settings []string
	prepare  func(t *testing.T, server *redistest.Server)
	url      string // the parts before and after the address
	mode     string
	variable string // the variable to change; "" if waiting may help
	text     string // a part of the error; of Redis's reply if waiting may help
}

var unusable = map[string]unusableRedis{
	"wrong password":   {settings: []string{"requirepass right"}, url: "redis://:hidden-pass@|", variable: "REDIS_URL", text: "password"},
	"unknown user":     {url: "redis://unknown:hidden-pass@|", variable: "REDIS_URL", text: "password"},
	"no password":      {settings: []string{"requirepass right"}, variable: "REDIS_URL", text: "password"},
	"no such database": {url: "redis://|/99", variable: "REDIS_URL", text: "no database with this number"},
	"without GETEX":    {settings: []string{`rename-command GETEX ""`}, variable: "REDIS_URL", text: "6.2"},
	"without scripts": {
		settings: []string{`rename-command EVAL ""`, `rename-command EVALSHA ""`}, variable: "REDIS_URL", text: "refuses scripts",
	},
	"without new scripts": {settings: []string{`rename-command EVAL ""`}, variable: "REDIS_URL", text: "refuses scripts"},
	"scripts not allowed": {
		settings: []string{"user a on >hidden-pass ~* +@all -@scripting"}, url: "redis://a:hidden-pass@|", variable: "REDIS_URL", text: "rights",
	},
	"index not allowed": {
		settings: []string{"user a on >hidden-pass ~* +@all -zadd"}, url: "redis://a:hidden-pass@|", variable: "REDIS_URL", text: "rights",
	},
	"keys not allowed": {
		settings: []string{"user a on >hidden-pass ~other:* +@all"}, url: "redis://a:hidden-pass@|", variable: "REDIS_URL", text: "rights",
	},
	"read only rights": {
		settings: []string{"user a on >hidden-pass ~* -@all +@read +@connection"}, url: "redis://a:hidden-pass@|", variable: "REDIS_URL", text: "rights",
	},
	"without SET":           {settings: []string{`rename-command SET ""`}, variable: "REDIS_URL", text: "lacks commands"},
	"node without slots":    {settings: []string{"cluster-enabled yes"}, variable: "REDIS_MODE", text: "REDIS_MODE=cluster"},
	"node with all slots":   {settings: []string{"cluster-enabled yes"}, prepare: takeAllSlots, variable: "REDIS_MODE", text: "REDIS_MODE=cluster"},
	"single as cluster":     {mode: redisclient.Cluster, variable: "REDIS_MODE", text: "REDIS_MODE=single"},
	"cluster password":      {settings: []string{"requirepass right"}, mode: redisclient.Cluster, url: "redis://:hidden-pass@|", variable: "REDIS_URL", text: "password"},
	"cluster without GETEX": {settings: []string{"cluster-enabled yes", `rename-command GETEX ""`}, prepare: takeAllSlots, mode: redisclient.Cluster, variable: "REDIS_URL", text: "6.2"},

	"replica":               {settings: []string{"replicaof 127.0.0.1 1"}, text: "READONLY"},
	"full":                  {settings: []string{"maxmemory 1", "maxmemory-policy noeviction"}, text: "OOM"},
	"too few replicas":      {settings: []string{"min-replicas-to-write 1"}, text: "NOREPLICAS"},
	"too many clients":      {settings: []string{"maxclients 1"}, prepare: holdConnection, text: "redis unavailable"},
	"cannot save":           {prepare: failToSave, settings: []string{"save 3600 1", "enable-protected-configs yes"}, text: "MISCONF"},
	"cluster without slots": {settings: []string{"cluster-enabled yes"}, mode: redisclient.Cluster, text: "redis unavailable"},
	"down":                  {prepare: func(t *testing.T, s *redistest.Server) { must(t, s.Kill(t.Context())) }, text: "refused"},
}

// CheckConfig returns an error, without a password, if waiting does not help. None of these servers is ready, although most
// of them reply to PING.
func TestCheckConfig(t *testing.T) {
	for name, test := range unusable {
		t.Run(name, func(t *testing.T) {
			client := test.open(t)
			sessions := newSessions(t, client, 0)
			err := redisclient.CheckConfig(t.Context(), client, test.mode, sessions.Ready)
			if test.variable == "" {
				if err != nil {
					t.Errorf("%v, want none: waiting may help", err)
				}
			} else {
				wantConfigError(t, err, test.variable, test.text)
			}
			ready := sessions.Ready(t.Context())
			if name == "node with all slots" { // it works until its replica takes over
				return
			}
			if ready == nil || test.variable == "" && !strings.Contains(ready.Error(), test.text) {
				t.Errorf("ready: %v, want %s", ready, test.text)
			}
			if ready != nil && strings.Contains(ready.Error(), hidden) {
				t.Errorf("the error shows the password: %v", ready)
			}
		})
	}
}

// Redis refuses any other database of a Cluster than 0. Valkey 9 has a configurable number, by default one.
func TestCheckConfig_ClusterDatabase(t *testing.T) {
	client := unusableRedis{settings: []string{"cluster-enabled yes"}, url: "redis://|/1"}.open(t)
	err := redisclient.CheckConfig(t.Context(), client, redisclient.Single, newSessions(t, client, 0).Ready)
	if !errors.Is(err, redisclient.ErrClusterAsSingle) && !errors.Is(err, redisclient.ErrDatabase) {
		t.Errorf("%v, want %v or %v", err, redisclient.ErrClusterAsSingle, redisclient.ErrDatabase)
	}
}

// wantConfigError fails unless err names the variable and contains text.
func wantConfigError(t *testing.T, err error, variable, text string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want one of %s", variable)
	}
	if !strings.HasPrefix(err.Error(), variable+": ") || !strings.Contains(err.Error(), text) {
		t.Errorf("%v, want one of %s with %q", err, variable, text)
	}
	if strings.Contains(err.Error(), hidden) {
		t.Errorf("the error shows the password: %v", err)
	}
}

// open starts the Redis and returns a client of it.
func (u unusableRedis) open(t *testing.T) redis.UniversalClient {
	t.Helper()
	server := redistest.RunServer(t, u.settings...)
	if u.prepare != nil {
		u.prepare(t, server)
	}
	before, after, _ := strings.Cut(u.url, "|")
	if before == "" {
		before = "redis://"
	}
	client := newClient(t, redisclient.Options{URL: before + server.Addr + after, Mode: u.mode})
	return client
}

func must(t *testing.T, err error) {
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

// takeAllSlots makes a node a Cluster of one node, and waits until it serves all keys.
func takeAllSlots(t *testing.T, server *redistest.Server) {
	t.Helper()
	client := admin(t, server)
	must(t, client.ClusterAddSlotsRange(t.Context(), 0, 16383).Err())
	waitUntil(t, "the node stays down", func() bool { return client.Exists(t.Context(), "x").Err() == nil })
}

func holdConnection(t *testing.T, server *redistest.Server) {
	t.Helper()
	waitUntil(t, "no connection is free", func() bool { // redistest's own connection is closed soon
		conn, err := net.Dial("tcp", server.Addr)
		must(t, err)
		_, err = conn.Write([]byte("PING\r\n"))
		must(t, err)
		reply := make([]byte, 1)
		if _, err := conn.Read(reply); err == nil && reply[0] == '+' {
			t.Cleanup(func() { conn.Close() })
			return true
		}
		conn.Close()
		return false
	})
}

// failToSave makes Redis fail to write its file, because a folder has its name.
func failToSave(t *testing.T, server *redistest.Server) {
	t.Helper()
	client := admin(t, server)
	dir := t.TempDir()
	must(t, os.MkdirAll(filepath.Join(dir, "dump.rdb", "x"), 0o755))
	must(t, client.ConfigSet(t.Context(), "dir", dir).Err())
	must(t, client.BgSave(t.Context()).Err())
	waitUntil(t, "Redis saves", func() bool {
		return strings.Contains(client.Info(t.Context(), "persistence").Val(), "rdb_last_bgsave_status:err")
	})
}

// No script and no command has keys of two slots, so proxies accept them. A Cluster with one node refuses such commands too.
func TestCommands_OneSlot(t *testing.T) {
	server := redistest.RunServer(t, "cluster-enabled yes")
	takeAllSlots(t, server)
	o := redisclient.Options{URL: "redis://" + server.Addr}
	client := newClient(t, o)
	must(t, newSessions(t, client, 0).Ready(t.Context()))
	useSessions(t, client)
	useAccessTokens(t, client)
	useCounter(t, o)
}

// The replies of versions that are not installed here.
func TestCheckConfig_RepliesOfOtherVersions(t *testing.T) {
	for reply, want := range map[string]string{
		"ERR unknown command `GETEX`, with args beginning with: `x`, ":                                                                                "REDIS_URL: this Redis lacks the command GETEX",
		"ERR unknown command 'EVALSHA', with args beginning with: 'x' ":                                                                               "REDIS_URL: this Redis refuses scripts",
		"NOPERM this user has no permissions to run the 'evalsha' command or its subcommand":                                                          "REDIS_URL: the Redis user lacks rights",
		"ERR Error running script (call to f_5): @user_script:5: @user_script: 5: The user executing the script can't run this command or subcommand": "REDIS_URL: the Redis user lacks rights",
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
		err := redisclient.ConfigError(redisclient.Single, errors.Join(errors.New("other"), replyError(reply)))
		if text := errText(err); !strings.HasPrefix(text, want) || (want == "") != (text == "") {
			t.Errorf("%s: %q, want %q", reply, text, want)
		}
	}
	for _, reply := range []string{"MOVED 5 10.0.0.1:6379", "CLUSTERDOWN The cluster is down"} {
		if err := redisclient.ConfigError(redisclient.Cluster, replyError(reply)); err != nil {
			t.Errorf("%s of a Cluster to a Cluster client: %v", reply, err)
		}
	}
	if err := redisclient.ConfigError(redisclient.Single, errors.New("WRONGPASS of another kind")); err != nil {
		t.Errorf("an error that is not a reply: %v", err)
	}
}

type replyError string

func (r replyError) Error() string { return string(r) }
func (replyError) RedisError()     {}

func errText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
