package redisclient_test

import (
	"crypto/tls"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"wxlogin/internal/config"
	"wxlogin/internal/redisclient"
	"wxlogin/internal/testenv"
)

// bounds are the time-outs and counts that clients of all modes have.
type bounds struct {
	dial, read, write, pool time.Duration
	dialers, pipelinePool   int
	usesContext, noIdentity bool
	tls                     *tls.Config
}

func boundsOf(t *testing.T, client redis.UniversalClient) (b bounds, retries int) {
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

// The bounds are the same in all modes.
func TestNew_Bounds(t *testing.T) {
	urls := map[string]string{
		redisclient.Single:   "redis://r?read_timeout=3s",
		redisclient.Sentinel: "redis://s?master_name=m&read_timeout=3s",
		redisclient.Cluster:  "redis://n?read_timeout=3s",
	}
	failFastRetries := map[string]int{redisclient.Single: 0, redisclient.Sentinel: 0, redisclient.Cluster: 1} // 1 follows a moved slot
	for mode, url := range urls {
		t.Run(mode, func(t *testing.T) {
			c := redisclient.Options{URL: url, Mode: mode}
			client := newClient(t, c)
			want := bounds{time.Second, 3 * time.Second, time.Second, time.Second, 1, -1, true, true, nil}
			if got, retries := boundsOf(t, client); got != want || retries != 3 {
				t.Errorf("%+v with %d retries, want %+v with 3", got, retries, want)
			}
			failFast := newClient(t, failFastOptions(c))
			const w = failFastTimeout
			want = bounds{w, w, w, w, 1, -1, true, true, nil}
			if got, retries := boundsOf(t, failFast); got != want || retries != failFastRetries[mode] {
				t.Errorf("fail fast: %+v with %d retries, want %+v with %d", got, retries, want, failFastRetries[mode])
			}
		})
	}
}

// Each node has a certificate for its own address, which need not be the address in the URL.
func TestNew_TLSWithoutServerName(t *testing.T) {
	ca := testenv.NewAuthority(t)
	for mode, url := range map[string]string{
		redisclient.Single: "rediss://r", redisclient.Sentinel: "rediss://s?master_name=m", redisclient.Cluster: "rediss://n",
	} {
		client := newClient(t, redisclient.Options{Mode: mode, URL: url, TLS: tlsConfig(t, config.Redis{TLSCAFile: ca.File})})
		b, _ := boundsOf(t, client)
		if b.tls == nil || b.tls.ServerName != "" || b.tls.RootCAs == nil || b.tls.InsecureSkipVerify ||
			b.tls.MinVersion != tls.VersionTLS12 {
			t.Errorf("%s: %+v", mode, b.tls)
		}
	}
}

// hidden is the password in every URL of these tests.
const hidden = "hidden-pass"

func TestCheckURL(t *testing.T) {
	tests := map[string]struct{ mode, url, want string }{ // want "": no error
		"single":                    {"", "redis://u:hidden-pass@redis:6379/3?read_timeout=3s", ""},
		"single by name":            {"single", "rediss://:hidden-pass@redis", ""},
		"single by socket":          {"single", "unix://u:hidden-pass@/run/redis.sock?db=2", ""},
		"single scheme":             {"single", "http://u:hidden-pass@redis:6379", "not of the form"},
		"single option":             {"single", "redis://redis?hidden-pass=1", "unknown options"},
		"single with two addresses": {"single", "redis://:hidden-pass@redis?addr=other:6379", "not of the form"},
		"single as sentinel has it": {"single", "redis://:hidden-pass@redis?master_name=m", "not of the form"},
		"single unescaped":          {"single", "redis://u:hidden-pass#@redis:6379", "not of the form"},
		"single pool":               {"single", "redis://:hidden-pass@redis?pool_size=3000000000", "3000000000 is not a valid pool size"},

		"sentinel":              {"sentinel", "redis://u:x@s1:26379/2?master_name=m&addr=s2:26379&username=r&password=hidden-pass", ""},
		"sentinel tls":          {"sentinel", "rediss://s1?master_name=m", ""},
		"sentinel unnamed":      {"sentinel", "redis://:hidden-pass@s1:26379", "has no option master_name"},
		"sentinel option":       {"sentinel", "redis://:hidden-pass@s1?master_name=m&sentinels=3", "unknown options"},
		"sentinel address":      {"sentinel", "redis://:hidden-pass@s1?master_name=m&addr=s2", "not of the form"},
		"sentinel reads stale":  {"sentinel", "redis://:hidden-pass@s1?master_name=m&replica_only=true", "from replicas"},
		"sentinel routes":       {"sentinel", "redis://:hidden-pass@s1?master_name=m&route_randomly=true", "from replicas"},
		"sentinel by latency":   {"sentinel", "redis://:hidden-pass@s1?master_name=m&route_by_latency=true", "from replicas"},
		"sentinel pool":         {"sentinel", "redis://s1?master_name=m&min_idle_conns=-7", "-7 is not a valid pool size"},
		"sentinel by socket":    {"sentinel", "unix:///run/redis.sock?master_name=m", "not of the form"},
		"sentinel bad database": {"sentinel", "redis://s1/two?master_name=m", "not of the form"},

		"cluster":             {"cluster", "redis://u:hidden-pass@n1:6379?addr=n2:6379&addr=n3:6379", ""},
		"cluster database 0":  {"cluster", "redis://n1:6379/0", ""},
		"cluster database":    {"cluster", "redis://:hidden-pass@n1:6379/1", "names a database"},
		"cluster db":          {"cluster", "redis://:hidden-pass@n1:6379?db=1", "unknown options"},
		"cluster reads stale": {"cluster", "redis://:hidden-pass@n1?read_only=true", "from replicas"},
		"cluster routes":      {"cluster", "redis://:hidden-pass@n1?route_by_latency=true", "from replicas"},
		"cluster pool":        {"cluster", "redis://n1?pool_size=99999", "99999 is not a valid pool size"},
		"cluster scheme":      {"cluster", "n1:6379", "not of the form"},

		"mode": {"Cluster", "redis://:hidden-pass@n1", `REDIS_MODE: "Cluster" is not single, sentinel or cluster`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			text := errText(redisclient.CheckURL(test.mode, test.url))
			if (text == "") != (test.want == "") || !strings.Contains(text, test.want) {
				t.Errorf("%q, want %q", text, test.want)
			}
			if strings.Contains(text, hidden) {
				t.Errorf("the error shows the password: %s", text)
			}
			client, err := redisclient.New(redisclient.Options{URL: test.url, Mode: test.mode})
			if (err == nil) != (test.want == "") {
				t.Errorf("New: %v", err)
			}
			if err == nil {
				client.Close()
			}
		})
	}
}
