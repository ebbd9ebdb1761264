package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"wxlogin/internal/testenv"
	"wxlogin/internal/testenv/redistest"
	"wxlogin/session"
	"wxlogin/wechat/accesstoken"
)

// secured is a Redis that wants TLS with a certificate of the client, and a user.
type secured struct {
	authority *testenv.Authority
	config    Config        // of the server's user, who has redistest.Rights
	admin     *redis.Client // may do everything
}

func runSecured(t *testing.T) *secured {
	t.Helper()
	s := &secured{authority: testenv.NewAuthority(t)}
	cert, key := s.authority.Issue(t, "127.0.0.1")
	name, password, _ := strings.Cut(redistest.User, ":")
	server := redistest.RunServer(t, func(port int) []string {
		return []string{
			"port 0", fmt.Sprintf("tls-port %d", port), "tls-auth-clients yes",
			"tls-cert-file " + cert, "tls-key-file " + key, "tls-ca-cert-file " + s.authority.File,
			"user default off",
			"user admin on >admin ~* &* +@all",
			"user " + name + " on >" + password + " " + redistest.Rights,
		}
	})
	s.config = Config{
		RedisURL: "rediss://" + redistest.User + "@" + server.Addr + "/3",
		Redis:    RedisConfig{TLSCAFile: s.authority.File, TLSCertFile: cert, TLSKeyFile: key},
	}
	admin, err := openRedis(Config{RedisURL: "rediss://admin:admin@" + server.Addr, Redis: s.config.Redis})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { admin.Close() })
	s.admin = admin.(*redis.Client)
	return s
}

// What the server does needs no more rights than the documented ones.
func TestRedis_on_TLS_with_the_documented_rights(t *testing.T) {
	s := runSecured(t)
	client, err := openRedis(s.config)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	useAll(t, s.config)
	wantExpiries(t, s.database(t, 3))
	if log, err := s.admin.ACLLog(t.Context(), 10).Result(); err != nil || len(log) != 0 {
		t.Errorf("refused by the ACL: %v, %v", log, err)
	}
	for _, forbidden := range [][]any{
		{"flushall"}, {"keys", "*"}, {"config", "get", "*"}, {"get", "others"}, {"scan", 0}, {"publish", "c", "m"}, {"acl", "whoami"},
	} {
		if err := client.Do(t.Context(), forbidden...).Err(); !redis.HasErrorPrefix(err, "NOPERM") {
			t.Errorf("%v: %v, want NOPERM", forbidden, err)
		}
	}
}

// database is the admin's client of a numbered database.
func (s *secured) database(t *testing.T, n int) *redis.Client {
	t.Helper()
	o := *s.admin.Options()
	o.DB = n
	client := redis.NewClient(&o)
	t.Cleanup(func() { client.Close() })
	return client
}

// newSessions makes a Store whose users have two sessions at most.
func newSessions(t *testing.T, client redis.UniversalClient) *session.Store {
	t.Helper()
	store, err := session.New(session.Options{
		Redis: client, Apps: []session.App{{AppID: trafficApp, Secret: "0123456789abcdef0123456789abcdef"}}, MaxPerUser: 2,
	})
	if err != nil {
		t.Fatal(err)
	}
	return store
}

// useSessions does all that a session.Store can.
func useSessions(t *testing.T, client redis.UniversalClient) {
	t.Helper()
	ctx := t.Context()
	store := newSessions(t, client)
	begin := func(openID string, n int) string {
		token, err := store.Create(ctx, session.Session{AppID: trafficApp, OpenID: openID, SessionKey: fmt.Sprint("key", n)})
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	client.Set(ctx, session.DefaultKeyPrefix+"sessions:"+trafficApp+":alice", "no index", time.Hour) // gives way to a login
	oldest := begin("alice", 1)
	second, newest := begin("alice", 2), begin("alice", 3)
	if _, err := store.Lookup(ctx, oldest); !errors.Is(err, session.ErrNotFound) {
		t.Errorf("the oldest of too many: %v", err)
	}
	sess, err := store.Lookup(ctx, newest)
	if err != nil {
		t.Fatal(err)
	}
	if keys, err := store.OtherSessionKeys(ctx, sess); err != nil || len(keys) != 1 || keys[0] != "key2" {
		t.Errorf("the key ring: %v, %v", keys, err)
	}
	if err := errors.Join(store.Revoke(ctx, second), store.RevokeAll(ctx, trafficApp, "alice")); err != nil {
		t.Error(err)
	}
	begin("bob", 4)
}

// useAccessTokens gets a token and uses it again.
func useAccessTokens(t *testing.T, client redis.UniversalClient) {
	t.Helper()
	fetched := 0
	cache, err := accesstoken.New(accesstoken.Options{
		Redis: client, AppID: trafficApp, Secret: "0123456789abcdef0123456789abcdef",
		Fetch: func(context.Context, bool) (string, time.Duration, error) {
			fetched++
			return fmt.Sprint("token", fetched), 2 * time.Hour, nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, refused := range []string{"", "", "token1"} {
		if _, err := cache.Token(t.Context(), refused); err != nil {
			t.Error(err)
		}
	}
	if fetched != 2 {
		t.Errorf("fetched %d times, want 2", fetched)
	}
}

// useCounter counts for a rate limit.
func useCounter(t *testing.T, c Config) {
	t.Helper()
	client, err := openCounterRedis(c)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	counter := newCounter(client, counterTimeout, slog.New(slog.DiscardHandler))
	defer counter.Close()
	window := time.Now().UTC().Truncate(time.Minute)
	for range 2 {
		counter.Limiter("test", 10).Allow("a")
	}
	waitForCount(t, client, "test:a", window, 2)
	if counter.Limiter("test", 2).Allow("a") || counter.Degraded() {
		t.Errorf("fewer than 2 are counted here, or degraded is %v", counter.Degraded())
	}
}

// What is not right is a fault without the password in it.
func TestRedis_on_TLS_refuses(t *testing.T) {
	s := runSecured(t)
	other := testenv.NewAuthority(t)
	foreignCert, foreignKey := other.Issue(t, "127.0.0.1")
	_, password, _ := strings.Cut(redistest.User, ":")
	tests := map[string]func(*Config){
		"system_roots":        func(c *Config) { c.Redis.TLSCAFile = "" },
		"another_authority":   func(c *Config) { c.Redis.TLSCAFile = other.File },
		"no_certificate":      func(c *Config) { c.Redis.TLSCertFile, c.Redis.TLSKeyFile = "", "" },
		"foreign_certificate": func(c *Config) { c.Redis.TLSCertFile, c.Redis.TLSKeyFile = foreignCert, foreignKey },
		"another_name":        func(c *Config) { c.RedisURL = strings.Replace(c.RedisURL, "127.0.0.1", "localhost", 1) },
		"without_TLS": func(c *Config) {
			c.RedisURL, c.Redis = strings.Replace(c.RedisURL, "rediss://", "redis://", 1), RedisConfig{}
		},
		"wrong_password": func(c *Config) { c.RedisURL = strings.Replace(c.RedisURL, "only-", "not-only-", 1) },
	}
	for name, change := range tests {
		t.Run(name, func(t *testing.T) {
			c := s.config
			change(&c)
			client, err := openRedis(c)
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			err = newSessions(t, client).Ready(t.Context())
			if err == nil || strings.Contains(err.Error(), password) {
				t.Errorf("%v", err)
			}
		})
	}
}

// A client's certificate that was replaced is used by the next connection.
func TestRedis_TLS_takes_up_a_new_certificate(t *testing.T) {
	s := runSecured(t)
	stale, staleKey := testenv.NewAuthority(t).Issue(t, "127.0.0.1")
	good := s.config.Redis
	s.config.Redis.TLSCertFile, s.config.Redis.TLSKeyFile = stale, staleKey
	client, err := openRedis(s.config)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if newSessions(t, client).Ready(t.Context()) == nil {
		t.Fatal("a certificate of nobody's was taken")
	}
	for good, stale := range map[string]string{good.TLSCertFile: stale, good.TLSKeyFile: staleKey} {
		if err := os.Rename(good, stale); err != nil {
			t.Fatal(err)
		}
	}
	if err := newSessions(t, client).Ready(t.Context()); err != nil {
		t.Error(err)
	}
}
