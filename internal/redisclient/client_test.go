package redisclient_test

import (
	"crypto/tls"
	"testing"
	"time"
	"wxlogin/internal/config"
	"wxlogin/internal/redisclient"
	"wxlogin/internal/testenv"

	"github.com/redis/go-redis/v9"
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
			client, err := redisclient.New(c)
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			want := bounds{time.Second, 3 * time.Second, time.Second, time.Second, 1, -1, true, true, nil}
			if got, retries := boundsOf(t, client); got != want || retries != 3 {
				t.Errorf("%+v with %d retries, want %+v with 3", got, retries, want)
			}
			failFast, err := redisclient.New(failFastOptions(c))
			if err != nil {
				t.Fatal(err)
			}
			defer failFast.Close()
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
		client, err := redisclient.New(redisclient.Options{Mode: mode, URL: url, TLS: tlsConfig(t, config.Redis{TLSCAFile: ca.File})})

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
