package main

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"strings"
	"testing"

	"wxlogin/internal/testenv"
	"wxlogin/internal/testenv/mysqltest"
)

const (
	password   = "pa55word"
	serverText = "as the server puts it"
)

// refusingMySQL refuses every connection with an error of MySQL.
func refusingMySQL(t *testing.T, number uint16, text string) (dsn string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	body := append([]byte{0xff, byte(number), byte(number >> 8)}, "#28000"+text...)
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			conn.Write(append([]byte{byte(len(body)), byte(len(body) >> 8), 0, 0}, body...))
			conn.Close()
		}
	}()
	return "app:" + password + "@tcp(" + l.Addr().String() + ")/app"
}

// commandsOfMySQL are the commands that need the database.
var commandsOfMySQL = []string{
	"serve", "migrate", "sweep", "user find -openid=o", "user show 1", "user block 1 -reason=spam -by=li", "user export 1", "user erase 1",
	"user erase 1 -dry-run", "import -file=testdata/import.csv -appid=" + appID,
}

// wantMisconfigured runs each of the commands. Each must print the words and return exitUsage.
func wantMisconfigured(t *testing.T, dsn string, words []string, commands ...string) {
	t.Helper()
	wantMisconfiguredIn(t, []string{"MYSQL_DSN=" + dsn}, words, commands...)
}

// wantMisconfiguredIn is wantMisconfigured with more than MYSQL_DSN in the environment.
func wantMisconfiguredIn(t *testing.T, mysql, words []string, commands ...string) {
	t.Helper()
	env := append([]string{
		"WECHAT_APPID=" + appID, "WECHAT_SECRET=" + secret, "REDIS_URL=redis://127.0.0.1:1",
		"LISTEN_ADDR=127.0.0.1:0", "INTERNAL_ADDR=127.0.0.1:0", "WECHAT_API_BASE=http://127.0.0.1:1",
		"AVATAR_DIR=" + t.TempDir(), "PUBLIC_URL=https://login.example.com",
	}, mysql...)
	for _, command := range commands {
		var out bytes.Buffer
		code := run(t.Context(), strings.Fields(command), env, &out, &out)
		text := out.String()
		if code != exitUsage {
			t.Errorf("%s: exit code %d, want %d", command, code, exitUsage)
		}
		for _, word := range append(words, "invalid configuration", "MYSQL_DSN: ") {
			if !strings.Contains(text, word) {
				t.Errorf("%s does not print %q:\n%s", command, word, text)
			}
		}
		if strings.Contains(text, password) || strings.Contains(text, secret) || strings.Contains(text, serverText) {
			t.Errorf("%s prints a secret or the server's own text:\n%s", command, text)
		}
		if n := strings.Count(text, "MYSQL_DSN"); n != 1 {
			t.Errorf("%s prints it %d times:\n%s", command, n, text)
		}
	}
}

func TestMySQL_ErrorNumbers(t *testing.T) {
	for _, tt := range []struct {
		number uint16
		words  []string
	}{
		{1045, []string{"refuses the account", "wrong user name, password or host", `the account is "app"`}},
		{1698, []string{"refuses the account", "the account does not take passwords"}},
		{1251, []string{"refuses the account"}},
		{1130, []string{"refuses the account"}},
		{1862, []string{"refuses the account"}},
		{3118, []string{"refuses the account"}},
		{4151, []string{"refuses the account"}},
		{1049, []string{"unknown database", "CREATE DATABASE `app` CHARACTER SET utf8mb4"}},
		{1044, []string{"lacks a right", "GRANT SELECT, INSERT, UPDATE, DELETE ON `app`.*"}},
		{3159, []string{"no TLS", "connections without TLS are refused", "tls"}},
		{1193, []string{"refuses a setting", "unknown system variable: SET NAMES, autocommit, "}},
		{1115, []string{"refuses a setting", "unknown character set"}},
	} {
		t.Run(fmt.Sprint(tt.number), func(t *testing.T) {
			wantMisconfigured(t, refusingMySQL(t, tt.number, serverText), tt.words, commandsOfMySQL...)
		})
	}
}

// The server waits for a database that is temporarily unavailable. Other commands fail and may be run again.
func TestMySQL_TemporaryErrors(t *testing.T) {
	for _, number := range []uint16{1040, 1053, 1129, 1203, 2013, 3032, 9001} {
		dsn := refusingMySQL(t, number, "later")
		for _, command := range []string{"migrate", "sweep", "user show 1", "user erase 1"} {
			var out bytes.Buffer
			env := []string{
				"MYSQL_DSN=" + dsn, "REDIS_URL=redis://127.0.0.1:1", "AVATAR_DIR=" + t.TempDir(), "PUBLIC_URL=https://login.example.com",
			}
			if code := run(t.Context(), strings.Fields(command), env, &out, &out); code != exitFailed {
				t.Errorf("%d: %s: exit code %d: %s", number, command, code, &out)
			}
		}
	}
	p := start(t, environ(t, "MYSQL_DSN="+refusingMySQL(t, 1040, "later")))
	p.wait("mysql is not ready; waiting for it")
	p.wait("serving")
}

func TestMySQL_RealServer(t *testing.T) {
	s := mysqltest.RunServer(t)
	dsn := s.NewDatabase(t, "app", "ALL")
	socketPlugin, locked := "unix_socket", "4151"
	if s.MySQL {
		s.Exec(t, "INSTALL PLUGIN auth_socket SONAME 'auth_socket.so'")
		socketPlugin, locked = "auth_socket", "3118"
	}
	s.Exec(t, "CREATE USER none@'127.0.0.1' IDENTIFIED BY '"+password+"'", "CREATE USER locked@'127.0.0.1' ACCOUNT LOCK",
		"CREATE USER sock@'127.0.0.1' IDENTIFIED WITH "+socketPlugin, "CREATE USER tls@'127.0.0.1' REQUIRE SSL",
		"CREATE USER reader@'127.0.0.1' IDENTIFIED BY '"+password+"'", "GRANT SELECT ON app.* TO reader@'127.0.0.1'",
		"GRANT ALL ON `od``d`.* TO app@'127.0.0.1'")
	for name, tt := range map[string]struct {
		dsn   string
		words []string
	}{
		"password":  {s.DSN("app", password, "app"), []string{"wrong user name, password or host", `the account is "app"`}},
		"account":   {s.DSN("unknown", password, "app"), []string{"wrong user name, password or host", `the account is "unknown"`}},
		"locked":    {s.DSN("locked", "", "app"), []string{"refuses the account", locked}},
		"socket":    {s.DSN("sock", password, "app"), []string{"refuses the account"}},
		"needs tls": {s.DSN("tls", "", "app"), []string{"refuses the account"}},
		"database":  {s.DSN("root", "", "nowhere"), []string{"unknown database", "CREATE DATABASE `nowhere`"}},
		"odd name":  {s.DSN("app", "app", "od`d"), []string{"CREATE DATABASE `od``d` CHARACTER SET utf8mb4"}},
		"rights":    {s.DSN("none", password, "app"), []string{"lacks a right", "GRANT SELECT, INSERT, UPDATE, DELETE ON `app`.* TO the account \"none\""}},
		"setting":   {dsn + "?no_such_setting=1", []string{"refuses a setting", "no_such_setting"}},
		"no tls":    {dsn + "?tls=true", []string{"no TLS"}},
		"latin1":    {dsn + "?charset=latin1", []string{"utf8mb4"}},
	} {
		t.Run(name, func(t *testing.T) {
			commands := commandsOfMySQL
			if name == "latin1" { // other cases have no text
				commands = commands[:1]
			}
			wantMisconfigured(t, tt.dsn, tt.words, commands...)
		})
	}
	t.Run("an account that may not make tables", func(t *testing.T) {
		wantMisconfigured(t, s.DSN("reader", password, "app"), []string{"lacks a right", "no right on the table: CREATE TABLE", "CREATE, ALTER"}, "migrate")
	})
	t.Run("an account that may not write", func(t *testing.T) {
		var out bytes.Buffer
		if code := run(t.Context(), []string{"migrate"}, []string{"MYSQL_DSN=" + dsn}, &out, &out); code != exitOK {
			t.Fatalf("migrate: exit code %d: %s", code, &out)
		}
		wantMisconfigured(t, s.DSN("reader", password, "app"), []string{"lacks a right", "no right on the table: UPDATE users"}, "serve")
	})
	t.Run("a replica's password", func(t *testing.T) {
		p := start(t, environ(t, "MYSQL_DSN="+dsn, "MYSQL_REPLICA_DSNS="+dsn+" "+s.DSN("app", password, "app")))
		warning := p.wait("a replica of MYSQL_REPLICA_DSNS is unusable, reading from the primary")
		if warning["replica"] != 2.0 || !strings.Contains(fmt.Sprint(warning["cause"]), "wrong user name, password or host") {
			t.Errorf("the log line is %v", warning)
		}
		p.wait("serving")
		if strings.Contains(p.log(), password) {
			t.Error("the output contains the password")
		}
	})
	t.Run("a read-only server", func(t *testing.T) {
		s.Exec(t, "SET GLOBAL read_only = 1")
		p := start(t, environ(t, "MYSQL_DSN="+dsn))
		line := p.wait("mysql is not ready; waiting for it")
		if !strings.Contains(fmt.Sprint(line["cause"]), "read_only is ON") {
			t.Errorf("the log line is %v", line)
		}
		p.wait("serving")
		var out bytes.Buffer
		s.Exec(t, "DROP DATABASE app", "CREATE DATABASE app")
		if code := run(t.Context(), []string{"migrate"}, []string{"MYSQL_DSN=" + dsn}, &out, &out); code != exitFailed ||
			!strings.Contains(out.String(), "read_only is ON") {
			t.Errorf("migrate: exit code %d: %s", code, &out)
		}
	})
}

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
