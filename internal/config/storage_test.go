package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"wxlogin/internal/config"
	"wxlogin/internal/testenv"
)

// hidden is a password, or the content of a file, that no error may contain.
const hidden = "hidden-pass"

func TestLoad_RedisTLSFiles(t *testing.T) {
	ca := testenv.NewAuthority(t)
	cert, key := ca.Issue(t, "127.0.0.1")
	_, otherKey := ca.Issue(t, "127.0.0.1")
	text := filepath.Join(t.TempDir(), "text")
	if err := os.WriteFile(text, []byte(hidden), 0o600); err != nil {
		t.Fatal(err)
	}
	const tlsURL, plainURL = "rediss://:hidden-pass@redis", "redis://:hidden-pass@redis"
	tests := map[string]struct {
		url   string
		files config.Redis
		errs  []string
	}{
		"none":          {tlsURL, config.Redis{}, nil},
		"all":           {tlsURL, config.Redis{TLSCAFile: ca.File, TLSCertFile: cert, TLSKeyFile: key}, nil},
		"ca only":       {tlsURL, config.Redis{TLSCAFile: ca.File}, nil},
		"without tls":   {plainURL, config.Redis{TLSCAFile: ca.File}, []string{"is not rediss://"}},
		"by a socket":   {"unix:///run/redis.sock", config.Redis{TLSCAFile: ca.File}, []string{"is not rediss://"}},
		"cert only":     {tlsURL, config.Redis{TLSCertFile: cert}, []string{"must be set together"}},
		"key only":      {tlsURL, config.Redis{TLSKeyFile: key}, []string{"must be set together"}},
		"no such ca":    {tlsURL, config.Redis{TLSCAFile: text + "x"}, []string{"REDIS_TLS_CA_FILE: open"}},
		"useless ca":    {tlsURL, config.Redis{TLSCAFile: text}, []string{"REDIS_TLS_CA_FILE contains no PEM certificate"}},
		"no such cert":  {tlsURL, config.Redis{TLSCertFile: text + "x", TLSKeyFile: key}, []string{"REDIS_TLS_CERT_FILE and"}},
		"useless key":   {tlsURL, config.Redis{TLSCertFile: cert, TLSKeyFile: text}, []string{"REDIS_TLS_CERT_FILE and"}},
		"anothers key":  {tlsURL, config.Redis{TLSCertFile: cert, TLSKeyFile: otherKey}, []string{"REDIS_TLS_CERT_FILE and"}},
		"all at once":   {tlsURL, config.Redis{TLSCAFile: text, TLSKeyFile: key}, []string{"TLS_CA_FILE contains", "must be set together"}},
		"in a cluster":  {tlsURL, config.Redis{Mode: "cluster", TLSCAFile: text}, []string{"TLS_CA_FILE contains"}},
		"with sentinel": {tlsURL + "?master_name=m", config.Redis{Mode: "sentinel", TLSCAFile: text}, []string{"TLS_CA_FILE contains"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := config.Load(environ("REDIS_URL="+test.url, "REDIS_MODE="+test.files.Mode, "REDIS_TLS_CA_FILE="+test.files.TLSCAFile,
				"REDIS_TLS_CERT_FILE="+test.files.TLSCertFile, "REDIS_TLS_KEY_FILE="+test.files.TLSKeyFile))
			wantLines(t, err, test.errs)
		})
	}
}

func TestLoad_MySQLTLSFiles(t *testing.T) {
	ca := testenv.NewAuthority(t)
	cert, key := ca.Issue(t, "127.0.0.1")
	text := filepath.Join(t.TempDir(), "text")
	if err := os.WriteFile(text, []byte(hidden), 0o600); err != nil {
		t.Fatal(err)
	}
	const dsn = "u:" + hidden + "@tcp(db:3306)/wxlogin"
	tests := map[string]struct {
		dsn   string
		files config.MySQLTLS
		errs  []string
	}{
		"none":            {dsn + "?tls=skip-verify", config.MySQLTLS{}, nil},
		"all":             {dsn, config.MySQLTLS{ca.File, cert, key}, nil},
		"client alone":    {dsn + "?tls=true", config.MySQLTLS{"", cert, key}, nil},
		"no such ca":      {dsn, config.MySQLTLS{text + "x", "", ""}, []string{"MYSQL_TLS_CA_FILE: open"}},
		"useless ca":      {dsn, config.MySQLTLS{text, "", ""}, []string{"MYSQL_TLS_CA_FILE contains no PEM certificate"}},
		"cert only":       {dsn, config.MySQLTLS{ca.File, cert, ""}, []string{"MYSQL_TLS_CERT_FILE and MYSQL_TLS_KEY_FILE must be set together"}},
		"key only":        {dsn, config.MySQLTLS{"", "", key}, []string{"MYSQL_TLS_CERT_FILE and MYSQL_TLS_KEY_FILE must be set together"}},
		"useless key":     {dsn, config.MySQLTLS{"", cert, text}, []string{"MYSQL_TLS_CERT_FILE and"}},
		"ca and skip":     {dsn + "?tls=skip-verify", config.MySQLTLS{ca.File, "", ""}, []string{"MYSQL_DSN: store: a CA or a client certificate"}},
		"client and skip": {dsn + "?tls=skip-verify", config.MySQLTLS{"", cert, key}, []string{"MYSQL_DSN: store: a CA or a client certificate"}},
		"by a socket":     {"u:" + hidden + "@unix(/run/mysql.sock)/wxlogin", config.MySQLTLS{ca.File, "", ""}, []string{"MYSQL_DSN: store: a CA"}},
		"own name":        {dsn + "?tls=custom", config.MySQLTLS{}, []string{"MYSQL_DSN: store: the parameter tls"}},
		"all at once":     {dsn + "?tls=preferred", config.MySQLTLS{text, "", key}, []string{"MYSQL_TLS_CA_FILE contains", "must be set together", "MYSQL_DSN: "}},
	}
	for name, test := range tests {
		variables := []string{"MYSQL_DSN=" + test.dsn, "MYSQL_TLS_CA_FILE=" + test.files.CAFile,
			"MYSQL_TLS_CERT_FILE=" + test.files.CertFile, "MYSQL_TLS_KEY_FILE=" + test.files.KeyFile}
		for command, load := range map[string]func() error{
			"serve":   func() error { _, err := config.Load(environ(variables...)); return err },
			"migrate": func() error { _, err := config.LoadMigrate(variables); return err },
			"sweep": func() error {
				_, err := config.LoadSweep(append(variables, "AVATAR_DIR=/a", "PUBLIC_URL=https://login.example.com"))
				return err
			},
		} {
			t.Run(name+"/"+command, func(t *testing.T) { wantLines(t, load(), test.errs) })
		}
	}
	t.Run("replica", func(t *testing.T) {
		_, err := config.Load(environ("MYSQL_TLS_CA_FILE="+ca.File, "MYSQL_REPLICA_DSNS="+dsn+" "+dsn+"?tls=false"))
		wantLines(t, err, []string{"MYSQL_REPLICA_DSNS: store: a CA"})
	})
}

// wantLines fails unless err has one line for each of want and contains no secret.
func wantLines(t *testing.T, err error, want []string) {
	t.Helper()
	var lines []string
	if err != nil {
		lines = strings.Split(err.Error(), "\n")
	}
	if len(lines) != len(want) {
		t.Fatalf("%q, want %q", lines, want)
	}
	for n, line := range lines {
		if !strings.Contains(line, want[n]) || strings.Contains(line, hidden) {
			t.Errorf("%q, want %q and no secret", line, want[n])
		}
	}
}
