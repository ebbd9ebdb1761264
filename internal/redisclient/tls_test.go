package redisclient_test

import (
	"crypto/tls"
	"os"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"wxlogin/internal/config"
	"wxlogin/internal/redisclient"
	"wxlogin/internal/testenv"
	"wxlogin/internal/testenv/redistest"
)

// tlsRedis is a Redis that requires TLS with a client certificate, and a user.
type tlsRedis struct {
	authority *testenv.Authority
	url       string        // with the server's user, which has redistest.Rights
	files     config.Redis  // CA and client certificate
	admin     *redis.Client // has all rights
}

func runTLSRedis(t *testing.T) *tlsRedis {
	t.Helper()
	s := &tlsRedis{authority: testenv.NewAuthority(t)}
	cert, key := s.authority.Issue(t, "127.0.0.1")
	name, password, _ := strings.Cut(redistest.User, ":")
	server := redistest.RunServer(t,
		"port 0", "tls-port $PORT", "tls-auth-clients yes",
		"tls-cert-file "+cert, "tls-key-file "+key, "tls-ca-cert-file "+s.authority.File,
		"user default off",
		"user admin on >admin ~* &* +@all",
		"user "+name+" on >"+password+" "+redistest.Rights)
	s.url = "rediss://" + redistest.User + "@" + server.Addr + "/3"
	s.files = config.Redis{TLSCAFile: s.authority.File, TLSCertFile: cert, TLSKeyFile: key}
	admin := newClient(t, redisclient.Options{URL: "rediss://admin:admin@" + server.Addr, TLS: tlsConfig(t, s.files)})
	s.admin = admin.(*redis.Client)
	return s
}

// tlsConfig returns the TLS configuration that the server uses with these files.
func tlsConfig(t *testing.T, files config.Redis) *tls.Config {
	t.Helper()
	c, err := files.TLSConfig()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// The server needs no more rights than the documented ones.
func TestTLS_Rights(t *testing.T) {
	s := runTLSRedis(t)
	o := redisclient.Options{URL: s.url, TLS: tlsConfig(t, s.files)}
	client := newClient(t, o)
	useAll(t, o)
	wantExpiries(t, s.database(t, 3))
	if log, err := s.admin.ACLLog(t.Context(), 10).Result(); err != nil || len(log) != 0 {
		t.Errorf("denied by the ACL: %v, %v", log, err)
	}
	for _, forbidden := range [][]any{
		{"flushall"}, {"keys", "*"}, {"config", "get", "*"}, {"get", "others"}, {"scan", 0}, {"publish", "c", "m"}, {"acl", "whoami"},
	} {
		if err := client.Do(t.Context(), forbidden...).Err(); !redis.HasErrorPrefix(err, "NOPERM") {
			t.Errorf("%v: %v, want NOPERM", forbidden, err)
		}
	}
}

// database returns the admin's client of a numbered database.
func (s *tlsRedis) database(t *testing.T, n int) *redis.Client {
	t.Helper()
	o := *s.admin.Options()
	o.DB = n
	client := redis.NewClient(&o)
	t.Cleanup(func() { client.Close() })
	return client
}

// A wrong certificate, name or password is an error without the password.
func TestTLS_Errors(t *testing.T) {
	s := runTLSRedis(t)
	other := testenv.NewAuthority(t)
	foreignCert, foreignKey := other.Issue(t, "127.0.0.1")
	_, password, _ := strings.Cut(redistest.User, ":")
	tests := map[string]func(url *string, files *config.Redis){
		"system roots":        func(_ *string, f *config.Redis) { f.TLSCAFile = "" },
		"another CA":          func(_ *string, f *config.Redis) { f.TLSCAFile = other.File },
		"no certificate":      func(_ *string, f *config.Redis) { f.TLSCertFile, f.TLSKeyFile = "", "" },
		"foreign certificate": func(_ *string, f *config.Redis) { f.TLSCertFile, f.TLSKeyFile = foreignCert, foreignKey },
		"another name":        func(url *string, _ *config.Redis) { *url = strings.Replace(*url, "127.0.0.1", "localhost", 1) },
		"without TLS": func(url *string, f *config.Redis) {
			*url, *f = strings.Replace(*url, "rediss://", "redis://", 1), config.Redis{}
		},
		"wrong password": func(url *string, _ *config.Redis) { *url = strings.Replace(*url, "only-", "not-only-", 1) },
	}
	for name, change := range tests {
		t.Run(name, func(t *testing.T) {
			url, files := s.url, s.files
			change(&url, &files)
			client := newClient(t, redisclient.Options{URL: url, TLS: tlsConfig(t, files)})
			err := newSessions(t, client, 0).Ready(t.Context())
			if err == nil || strings.Contains(err.Error(), password) {
				t.Errorf("%v", err)
			}
		})
	}
}

// A new client certificate is used by the next connection.
func TestTLS_ReloadsClientCertificate(t *testing.T) {
	s := runTLSRedis(t)
	stale, staleKey := testenv.NewAuthority(t).Issue(t, "127.0.0.1")
	good := s.files
	s.files.TLSCertFile, s.files.TLSKeyFile = stale, staleKey
	client := newClient(t, redisclient.Options{URL: s.url, TLS: tlsConfig(t, s.files)})
	if newSessions(t, client, 0).Ready(t.Context()) == nil {
		t.Fatal("a certificate of an unknown CA was accepted")
	}
	for good, stale := range map[string]string{good.TLSCertFile: stale, good.TLSKeyFile: staleKey} {
		if err := os.Rename(good, stale); err != nil {
			t.Fatal(err)
		}
	}
	if err := newSessions(t, client, 0).Ready(t.Context()); err != nil {
		t.Error(err)
	}
}
