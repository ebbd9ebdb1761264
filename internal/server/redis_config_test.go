package server

import (
	"crypto/tls"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"wxlogin/internal/testenv"
)

// hidden stands for the password in every URL of these tests.
const hidden = "hidden-pass"

func TestRedisFaults_of_the_URL(t *testing.T) {
	tests := map[string]struct{ mode, url, fault string }{ // fault "": none
		"single":                    {"", "redis://u:hidden-pass@redis:6379/3?read_timeout=3s", ""},
		"single_by_name":            {"single", "rediss://:hidden-pass@redis", ""},
		"single_by_socket":          {"single", "unix://u:hidden-pass@/run/redis.sock?db=2", ""},
		"single_scheme":             {"single", "http://u:hidden-pass@redis:6379", "not of the form"},
		"single_option":             {"single", "redis://redis?hidden-pass=1", "unknown options"},
		"single_with_two_addresses": {"single", "redis://:hidden-pass@redis?addr=other:6379", "not of the form"},
		"single_as_sentinel_has_it": {"single", "redis://:hidden-pass@redis?master_name=m", "not of the form"},
		"single_unescaped":          {"single", "redis://u:hidden-pass#@redis:6379", "not of the form"},
		"single_pool":               {"single", "redis://:hidden-pass@redis?pool_size=3000000000", "3000000000 is no size of a pool"},

		"sentinel":              {"sentinel", "redis://u:x@s1:26379/2?master_name=m&addr=s2:26379&username=r&password=hidden-pass", ""},
		"sentinel_tls":          {"sentinel", "rediss://s1?master_name=m", ""},
		"sentinel_unnamed":      {"sentinel", "redis://:hidden-pass@s1:26379", "has no option master_name"},
		"sentinel_option":       {"sentinel", "redis://:hidden-pass@s1?master_name=m&sentinels=3", "unknown options"},
		"sentinel_address":      {"sentinel", "redis://:hidden-pass@s1?master_name=m&addr=s2", "not of the form"},
		"sentinel_reads_stale":  {"sentinel", "redis://:hidden-pass@s1?master_name=m&replica_only=true", "from replicas"},
		"sentinel_routes":       {"sentinel", "redis://:hidden-pass@s1?master_name=m&route_randomly=true", "from replicas"},
		"sentinel_by_latency":   {"sentinel", "redis://:hidden-pass@s1?master_name=m&route_by_latency=true", "from replicas"},
		"sentinel_pool":         {"sentinel", "redis://s1?master_name=m&min_idle_conns=-7", "-7 is no size"},
		"sentinel_by_socket":    {"sentinel", "unix:///run/redis.sock?master_name=m", "not of the form"},
		"sentinel_bad_database": {"sentinel", "redis://s1/two?master_name=m", "not of the form"},

		"cluster":             {"cluster", "redis://u:hidden-pass@n1:6379?addr=n2:6379&addr=n3:6379", ""},
		"cluster_database_0":  {"cluster", "redis://n1:6379/0", ""},
		"cluster_database":    {"cluster", "redis://:hidden-pass@n1:6379/1", "names a database"},
		"cluster_db":          {"cluster", "redis://:hidden-pass@n1:6379?db=1", "unknown options"},
		"cluster_reads_stale": {"cluster", "redis://:hidden-pass@n1?read_only=true", "from replicas"},
		"cluster_routes":      {"cluster", "redis://:hidden-pass@n1?route_by_latency=true", "from replicas"},
		"cluster_pool":        {"cluster", "redis://n1?pool_size=99999", "99999 is no size"},
		"cluster_scheme":      {"cluster", "n1:6379", "not of the form"},

		"mode": {"Cluster", "redis://:hidden-pass@n1", `REDIS_MODE: "Cluster" is not single, sentinel or cluster`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			c := Config{RedisURL: test.url, Redis: RedisConfig{Mode: test.mode}}
			text := ""
			if err := errors.Join(c.redisFaults()...); err != nil {
				text = err.Error()
			}
			if (text == "") != (test.fault == "") || !strings.Contains(text, test.fault) {
				t.Errorf("%q, want %q", text, test.fault)
			}
			if strings.Contains(text, hidden) {
				t.Errorf("it shows the password: %s", text)
			}
			client, err := openRedis(c)
			if (err == nil) != (test.fault == "") {
				t.Errorf("opening: %v", err)
			}
			if err == nil {
				client.Close()
			}
		})
	}
}

func TestRedisFaults_of_TLS_files(t *testing.T) {
	ca := testenv.NewAuthority(t)
	cert, key := ca.Issue(t, "127.0.0.1")
	_, otherKey := ca.Issue(t, "127.0.0.1")
	text := filepath.Join(t.TempDir(), "text")
	if err := os.WriteFile(text, []byte("hidden-pass"), 0o600); err != nil {
		t.Fatal(err)
	}
	const tlsURL, plainURL = "rediss://:hidden-pass@redis", "redis://:hidden-pass@redis"
	tests := map[string]struct {
		url    string
		c      RedisConfig
		faults []string
	}{
		"none":          {tlsURL, RedisConfig{}, nil},
		"all":           {tlsURL, RedisConfig{TLSCAFile: ca.File, TLSCertFile: cert, TLSKeyFile: key}, nil},
		"ca_only":       {tlsURL, RedisConfig{TLSCAFile: ca.File}, nil},
		"without_tls":   {plainURL, RedisConfig{TLSCAFile: ca.File}, []string{"is not rediss://"}},
		"by_a_socket":   {"unix:///run/redis.sock", RedisConfig{TLSCAFile: ca.File}, []string{"is not rediss://"}},
		"cert_only":     {tlsURL, RedisConfig{TLSCertFile: cert}, []string{"go together"}},
		"key_only":      {tlsURL, RedisConfig{TLSKeyFile: key}, []string{"go together"}},
		"no_such_ca":    {tlsURL, RedisConfig{TLSCAFile: text + "x"}, []string{"REDIS_TLS_CA_FILE: open"}},
		"useless_ca":    {tlsURL, RedisConfig{TLSCAFile: text}, []string{"REDIS_TLS_CA_FILE holds no certificate"}},
		"no_such_cert":  {tlsURL, RedisConfig{TLSCertFile: text + "x", TLSKeyFile: key}, []string{"REDIS_TLS_CERT_FILE and"}},
		"useless_key":   {tlsURL, RedisConfig{TLSCertFile: cert, TLSKeyFile: text}, []string{"REDIS_TLS_CERT_FILE and"}},
		"anothers_key":  {tlsURL, RedisConfig{TLSCertFile: cert, TLSKeyFile: otherKey}, []string{"REDIS_TLS_CERT_FILE and"}},
		"all_at_once":   {tlsURL, RedisConfig{TLSCAFile: text, TLSKeyFile: key}, []string{"TLS_CA_FILE holds", "go together"}},
		"in_a_cluster":  {tlsURL, RedisConfig{Mode: "cluster", TLSCAFile: text}, []string{"TLS_CA_FILE holds"}},
		"with_sentinel": {tlsURL + "?master_name=m", RedisConfig{Mode: "sentinel", TLSCAFile: text}, []string{"TLS_CA_FILE holds"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			faults := Config{RedisURL: test.url, Redis: test.c}.redisFaults()
			if len(faults) != len(test.faults) {
				t.Fatalf("%q, want %q", faults, test.faults)
			}
			for n, fault := range faults {
				if !strings.Contains(fault.Error(), test.faults[n]) || strings.Contains(fault.Error(), hidden) {
					t.Errorf("%q, want %q and no content", fault, test.faults[n])
				}
			}
		})
	}
}

// bounds are the waits and counts that clients of all kinds have.
type bounds struct {
	dial, read, write, pool time.Duration
	dialers, pipelinePool   int
	heedsContext, anonymous bool
	tls                     *tls.Config
}

func boundsOf(t *testing.T, client redis.UniversalClient) (b bounds, tries int) {
	t.Helper()
	switch c := client.(type) {
	case *redis.Client:
		o := c.Options()
		return bounds{o.DialTimeout, o.ReadTimeout, o.WriteTimeout, o.PoolTimeout, o.DialerRetries, o.PipelinePoolSize,
			o.ContextTimeoutEnabled, o.DisableIdentity, o.TLSConfig}, o.MaxRetries
	case *redis.ClusterClient:
		o := c.Options()
		return bounds{o.DialTimeout, o.ReadTimeout, o.WriteTimeout, o.PoolTimeout, o.DialerRetries, o.PipelinePoolSize,
			o.ContextTimeoutEnabled, o.DisableIdentity, o.TLSConfig}, o.MaxRedirects
	}
	t.Fatalf("a client of type %T", client)
	return bounds{}, 0
}

// Every mode waits as long as every other, and no longer than it was told.
func TestOpenRedis_bounds_are_the_same_in_all_modes(t *testing.T) {
	urls := map[string]string{
		redisSingle:   "redis://r?read_timeout=3s",
		redisSentinel: "redis://s?master_name=m&read_timeout=3s",
		redisCluster:  "redis://n?read_timeout=3s",
	}
	counterTries := map[string]int{redisSingle: 0, redisSentinel: 0, redisCluster: 1} // the one is where a slot has moved
	for mode, url := range urls {
		t.Run(mode, func(t *testing.T) {
			c := Config{RedisURL: url, Redis: RedisConfig{Mode: mode}}
			client, err := openRedis(c)
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			want := bounds{time.Second, 3 * time.Second, time.Second, time.Second, 1, -1, true, true, nil}
			if got, tries := boundsOf(t, client); got != want || tries != 3 {
				t.Errorf("%+v with %d tries, want %+v with 3", got, tries, want)
			}
			counter, err := openCounterRedis(c)
			if err != nil {
				t.Fatal(err)
			}
			defer counter.Close()
			const w = counterTimeout
			want = bounds{w, w, w, w, 1, -1, true, true, nil}
			if got, tries := boundsOf(t, counter); got != want || tries != counterTries[mode] {
				t.Errorf("counter: %+v with %d tries, want %+v with %d", got, tries, want, counterTries[mode])
			}
		})
	}
}

// Each node shows a certificate of the address it was reached at, and not of the URL's first.
func TestOpenRedis_names_no_server_for_TLS(t *testing.T) {
	ca := testenv.NewAuthority(t)
	for mode, url := range map[string]string{
		redisSingle: "rediss://r", redisSentinel: "rediss://s?master_name=m", redisCluster: "rediss://n",
	} {
		client, err := openRedis(Config{RedisURL: url, Redis: RedisConfig{Mode: mode, TLSCAFile: ca.File}})
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		b, _ := boundsOf(t, client)
		if b.tls == nil || b.tls.ServerName != "" || b.tls.RootCAs == nil || b.tls.InsecureSkipVerify ||
			b.tls.MinVersion != tls.VersionTLS12 {
			t.Errorf("%s: %+v", mode, b.tls)
		}
	}
}
