package server

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"wxlogin/internal/testenv"
)

func TestMySQLFaults_of_TLS_files(t *testing.T) {
	ca := testenv.NewAuthority(t)
	cert, key := ca.Issue(t, "127.0.0.1")
	text := filepath.Join(t.TempDir(), "text")
	if err := os.WriteFile(text, []byte(hidden), 0o600); err != nil {
		t.Fatal(err)
	}
	const dsn = "u:" + hidden + "@tcp(db:3306)/wxlogin"
	tests := map[string]struct {
		dsn    string
		c      MySQLTLS
		faults []string
	}{
		"none":            {dsn + "?tls=skip-verify", MySQLTLS{}, nil},
		"all":             {dsn, MySQLTLS{ca.File, cert, key}, nil},
		"client_alone":    {dsn + "?tls=true", MySQLTLS{"", cert, key}, nil},
		"no_such_ca":      {dsn, MySQLTLS{text + "x", "", ""}, []string{"MYSQL_TLS_CA_FILE: open"}},
		"useless_ca":      {dsn, MySQLTLS{text, "", ""}, []string{"MYSQL_TLS_CA_FILE holds no certificate"}},
		"cert_only":       {dsn, MySQLTLS{ca.File, cert, ""}, []string{"MYSQL_TLS_CERT_FILE and MYSQL_TLS_KEY_FILE go together"}},
		"key_only":        {dsn, MySQLTLS{"", "", key}, []string{"MYSQL_TLS_CERT_FILE and MYSQL_TLS_KEY_FILE go together"}},
		"useless_key":     {dsn, MySQLTLS{"", cert, text}, []string{"MYSQL_TLS_CERT_FILE and"}},
		"ca_and_skip":     {dsn + "?tls=skip-verify", MySQLTLS{ca.File, "", ""}, []string{"MYSQL_DSN: store: a CA or a client certificate"}},
		"client_and_skip": {dsn + "?tls=skip-verify", MySQLTLS{"", cert, key}, []string{"MYSQL_DSN: store: a CA or a client certificate"}},
		"by_a_socket":     {"u:" + hidden + "@unix(/run/mysql.sock)/wxlogin", MySQLTLS{ca.File, "", ""}, []string{"MYSQL_DSN: store: a CA"}},
		"own_name":        {dsn + "?tls=custom", MySQLTLS{}, []string{"MYSQL_DSN: store: the parameter tls"}},
		"all_at_once":     {dsn + "?tls=preferred", MySQLTLS{text, "", key}, []string{"MYSQL_TLS_CA_FILE holds", "go together", "MYSQL_DSN: "}},
	}
	for name, test := range tests {
		environ := []string{"MYSQL_DSN=" + test.dsn, "MYSQL_TLS_CA_FILE=" + test.c.CAFile,
			"MYSQL_TLS_CERT_FILE=" + test.c.CertFile, "MYSQL_TLS_KEY_FILE=" + test.c.KeyFile}
		server := append([]string{"WECHAT_APPID=" + testAppID, "WECHAT_SECRET=" + testSecret, "REDIS_URL=redis://r"}, environ...)
		for command, load := range map[string]func() error{
			"serve":   func() error { _, err := LoadConfig(server); return err },
			"migrate": func() error { _, err := LoadMigrateConfig(environ); return err },
			"sweep": func() error {
				_, err := LoadSweepConfig(append(environ, "AVATAR_DIR=/a", "PUBLIC_URL=https://login.example.com"))
				return err
			},
		} {
			t.Run(name+"/"+command, func(t *testing.T) { wantLines(t, load(), test.faults) })
		}
	}
	t.Run("replica", func(t *testing.T) {
		c := MySQLConfig{MaxOpenConns: 1, ConnMaxLifetime: 1e9, TLS: MySQLTLS{CAFile: ca.File}, ReplicaDSNs: DSNs{dsn, dsn + "?tls=false"}}
		wantLines(t, errors.Join(c.validate()...), []string{"MYSQL_REPLICA_DSNS: store: a CA"})
	})
}

// wantLines fails unless an error has a line for each of these faults, and no secret.
func wantLines(t *testing.T, err error, faults []string) {
	t.Helper()
	var lines []string
	if err != nil {
		lines = strings.Split(err.Error(), "\n")
	}
	if len(lines) != len(faults) {
		t.Fatalf("%q, want %q", lines, faults)
	}
	for n, line := range lines {
		if !strings.Contains(line, faults[n]) || strings.Contains(line, hidden) {
			t.Errorf("%q, want %q and no secret", line, faults[n])
		}
	}
}
