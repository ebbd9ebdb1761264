package main

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"

	"wxlogin/internal/testenv"
	"wxlogin/internal/testenv/mysqltest"
)

// tlsMySQL is a MariaDB that rejects connections without TLS.
type tlsMySQL struct {
	*mysqltest.Server
	ca        *testenv.Authority
	cert, key string // of a client
}

func runTLSMySQL(t *testing.T) *tlsMySQL {
	t.Helper()
	s := &tlsMySQL{ca: testenv.NewAuthority(t)}
	cert, key := s.ca.Issue(t, "127.0.0.1")
	s.Server = mysqltest.RunServer(t, "--ssl-ca="+s.ca.File, "--ssl-cert="+cert, "--ssl-key="+key)
	s.cert, s.key = s.ca.Issue(t, "127.0.0.1")
	s.Exec(t, "CREATE DATABASE app CHARACTER SET utf8mb4",
		"CREATE USER app@'127.0.0.1' IDENTIFIED BY '"+password+"'", "GRANT ALL ON app.* TO app@'127.0.0.1'",
		"CREATE USER known@'127.0.0.1' IDENTIFIED BY '"+password+"' REQUIRE SUBJECT '/CN=127.0.0.1'", "GRANT ALL ON app.* TO known@'127.0.0.1'",
		"SET GLOBAL require_secure_transport = ON")
	return s
}

// migrate creates the tables over TLS.
func (s *tlsMySQL) migrate(t *testing.T, env []string) {
	t.Helper()
	var out bytes.Buffer
	if code := run(t.Context(), []string{"migrate"}, env, &out, &out); code != exitOK {
		t.Fatalf("migrate: exit code %d: %s", code, &out)
	}
}

// environ returns the variables for an account.
func (s *tlsMySQL) environ(account, parameters, ca, cert, key string) []string {
	return []string{"MYSQL_DSN=" + s.DSN(account, password, "app") + parameters,
		"MYSQL_TLS_CA_FILE=" + ca, "MYSQL_TLS_CERT_FILE=" + cert, "MYSQL_TLS_KEY_FILE=" + key}
}

func TestMySQLTLS(t *testing.T) {
	s := runTLSMySQL(t)
	for name, env := range map[string][]string{
		"CA alone":                    s.environ("app", "", s.ca.File, "", ""),
		"CA and tls=true":             s.environ("app", "?tls=true", s.ca.File, "", ""),
		"CA and a client certificate": s.environ("known", "", s.ca.File, s.cert, s.key),
	} {
		t.Run(name, func(t *testing.T) {
			s.migrate(t, env)
			replica := "MYSQL_REPLICA_DSNS=" + strings.TrimPrefix(env[0], "MYSQL_DSN=")
			p := start(t, environ(t, append(env, replica)...))
			p.wait("serving")
			if strings.Contains(p.log(), "cannot be used") || strings.Contains(p.log(), "is not ready") {
				t.Errorf("the log is:\n%s", p.log())
			}
			var out bytes.Buffer
			sweep := append(env, "AVATAR_DIR="+t.TempDir(), "PUBLIC_URL=https://login.example.com")
			if run(t.Context(), []string{"sweep"}, sweep, &out, &out); !strings.Contains(out.String(), "the database has no users") {
				t.Errorf("sweep: %s", &out)
			}
		})
	}
}

func TestMySQLTLS_Errors(t *testing.T) {
	s := runTLSMySQL(t)
	other := testenv.NewAuthority(t)
	const unverified = "failed to verify certificate"
	withoutTLS := "refuses the account" // MariaDB's message
	if s.MySQL {
		withoutTLS = "connections without TLS are refused"
	}
	for name, tt := range map[string]struct {
		env   []string
		words []string
	}{
		"another CA":            {s.environ("app", "", other.File, "", ""), []string{unverified, "MYSQL_TLS_CA_FILE"}},
		"the system's roots":    {s.environ("app", "?tls=true", "", "", ""), []string{unverified, "MYSQL_TLS_CA_FILE"}},
		"no TLS":                {s.environ("app", "", "", "", ""), []string{withoutTLS}},
		"no client certificate": {s.environ("known", "", s.ca.File, "", ""), []string{"refuses the account"}},
		"another name": {append(s.environ("app", "", s.ca.File, "", ""),
			"MYSQL_DSN="+strings.Replace(s.DSN("app", password, "app"), "127.0.0.1", "localhost", 1)), []string{unverified, "localhost"}},
	} {
		t.Run(name, func(t *testing.T) { wantMisconfiguredIn(t, tt.env, tt.words, commandsOfMySQL...) })
	}
	t.Run("a replica's name", func(t *testing.T) {
		s.migrate(t, s.environ("app", "", s.ca.File, "", ""))
		replica := "MYSQL_REPLICA_DSNS=" + s.DSN("app", password, "app") + " " + strings.Replace(s.DSN("app", password, "app"), "127.0.0.1", "localhost", 1)
		p := start(t, environ(t, append(s.environ("app", "", s.ca.File, "", ""), replica)...))
		warning := p.wait("a replica of MYSQL_REPLICA_DSNS is unusable, reading from the primary")
		if warning["replica"] != 2.0 || !strings.Contains(fmt.Sprint(warning["cause"]), unverified) {
			t.Errorf("the log line is %v", warning)
		}
		p.wait("serving")
	})
}

func TestMySQLTLS_ReloadsClientCertificate(t *testing.T) {
	s := runTLSMySQL(t)
	stale, staleKey := testenv.NewAuthority(t).Issue(t, "127.0.0.1")
	s.migrate(t, s.environ("known", "", s.ca.File, s.cert, s.key))
	p := start(t, environ(t, s.environ("known", "", s.ca.File, stale, staleKey)...))
	p.wait("mysql is not ready; waiting for it")
	for good, stale := range map[string]string{s.cert: stale, s.key: staleKey} {
		if err := os.Rename(good, stale); err != nil {
			t.Fatal(err)
		}
	}
	p.wait("mysql is ready again")
}
