package config_test

import (
	"bytes"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"wxlogin/internal/config"
	"wxlogin/internal/testenv"
	"wxlogin/session"
)

const (
	goodSecret = "5ec2e7a9905ec2e7a9905ec2e7a99099"
	goodDSN    = "wxlogin:pa55word@tcp(127.0.0.1:3306)/wxlogin"
	goodRedis  = "redis://:pa55word@127.0.0.1:6379/0"
)

func environ(extra ...string) []string {
	return append([]string{
		"WECHAT_APPID=wx0123456789abcdef", "WECHAT_SECRET=" + goodSecret, "MYSQL_DSN=" + goodDSN, "REDIS_URL=" + goodRedis,
	}, extra...)
}

func TestLoad(t *testing.T) {
	t.Run("sets the defaults", func(t *testing.T) {
		c, err := config.Load(environ())
		if err != nil {
			t.Fatal(err)
		}
		if c.ListenAddr != ":8080" || c.InternalAddr != "127.0.0.1:9090" || c.WeChatAPIBase != "https://api.weixin.qq.com" ||
			c.SessionIdleTTL != 168*time.Hour || c.SessionMaxTTL != 720*time.Hour || c.MaxSessionsPerUser != session.DefaultMaxPerUser || c.Log.Format != "json" || c.Log.Level != 0 {
			t.Errorf("got %+v", c.Log)
		}
		want := config.Limits{LoginsInFlight: 256, Logins: 6000, Updates: 60, FailedUpdates: 10, Uploads: 50}
		if c.Limits != want || c.ShutdownDelay != time.Second || len(c.TrustedProxies) != 0 {
			t.Errorf("got %+v, %v, %v", c.Limits, c.ShutdownDelay, c.TrustedProxies)
		}
	})

	t.Run("reads the settings of a distributed installation", func(t *testing.T) {
		replicas := "a:b@tcp(r1:3306)/wxlogin?tls=true\n a:b@tcp(r2:3306)/wxlogin\n"
		c, err := config.Load(environ("MYSQL_REPLICA_DSNS="+replicas, "MYSQL_MAX_OPEN_CONNS=80", "MYSQL_CONN_MAX_LIFETIME=5m",
			"MYSQL_PREPARE=off", "INTERNAL_ADDR=:9090", "INTERNAL_API_KEY=0123456789abcdef", "ACCESS_TOKEN_API=on"))
		if err != nil {
			t.Fatal(err)
		}
		want := config.MySQL{MaxOpenConns: 80, ConnMaxLifetime: 5 * time.Minute, NoPrepare: true,
			ReplicaDSNs: config.DSNs{"a:b@tcp(r1:3306)/wxlogin?tls=true", "a:b@tcp(r2:3306)/wxlogin"}}
		if !reflect.DeepEqual(c.MySQL, want) || c.InternalAPIKey != "0123456789abcdef" || !bool(c.AccessTokenAPI) {
			t.Errorf("got %d replicas, %d connections for %v", len(c.MySQL.ReplicaDSNs), c.MySQL.MaxOpenConns, c.MySQL.ConnMaxLifetime)
		}
		c, err = config.Load(environ("MYSQL_PREPARE=", "ACCESS_TOKEN_API="))
		if want := (config.MySQL{MaxOpenConns: 50, ConnMaxLifetime: 30 * time.Minute}); err != nil || !reflect.DeepEqual(c.MySQL, want) || bool(c.AccessTokenAPI) {
			t.Errorf("the defaults are %+v, %v", c.MySQL, err)
		}
	})

	t.Run("accepts 0 as no limit and proxies in every form", func(t *testing.T) {
		c, err := config.Load(environ("LOGIN_RATE_LIMIT=0", "SHUTDOWN_DELAY=0s", "TRUSTED_PROXIES=10.0.0.0/8, 192.0.2.7,::1,2001:db8::/32"))
		if err != nil {
			t.Fatal(err)
		}
		if c.Limits.Logins != 0 || c.ShutdownDelay != 0 || len(c.TrustedProxies) != 4 {
			t.Errorf("got %+v, %v, %v", c.Limits, c.ShutdownDelay, c.TrustedProxies)
		}
	})

	t.Run("reads a secret from a file", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "secret")
		if err := os.WriteFile(file, []byte("from-the-file\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := config.Load(environ("WECHAT_SECRET=", "WECHAT_SECRET_FILE="+file))
		if err != nil {
			t.Fatal(err)
		}
		if c.App.Secret != "from-the-file" {
			t.Error("the secret is not that of the file")
		}
	})
}

func TestLoad_Apps(t *testing.T) {
	one, two, three := config.App{AppID: "wx1", Secret: "s1"}, config.App{AppID: "wx2", Secret: "s2"},
		config.App{AppID: "wx3", Secret: "s3", PreviousSecret: "old3"}
	const list = "wx2:s2, wx3:s3:old3"
	file := filepath.Join(t.TempDir(), "apps")
	if err := os.WriteFile(file, []byte("wx1:s1\nwx2:s2,\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		variables []string
		single    config.SingleApp
		list      []config.App
	}{
		"single":          {[]string{"WECHAT_APPID=wx1", "WECHAT_SECRET=s1"}, config.SingleApp(one), nil},
		"list alone":      {[]string{"WECHAT_APPID=", "WECHAT_SECRET=", "WECHAT_APPS=" + list}, config.SingleApp{}, []config.App{two, three}},
		"single and list": {[]string{"WECHAT_APPID=wx1", "WECHAT_SECRET=s1", "WECHAT_APPS=" + list}, config.SingleApp(one), []config.App{two, three}},
		"file":            {[]string{"WECHAT_APPID=", "WECHAT_SECRET=", "WECHAT_APPS_FILE=" + file}, config.SingleApp{}, []config.App{one, two}},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := config.Load(environ(tt.variables...))
			if err != nil {
				t.Fatal(err)
			}
			if c.App != tt.single || !slices.Equal(c.Apps, tt.list) {
				t.Errorf("wrong apps, or %d in the list, want %d", len(c.Apps), len(tt.list))
			}
		})
	}
}

// The internal listener reveals which user a token belongs to.
func TestLoad_InternalAPIKey(t *testing.T) {
	const key = "0123456789abcdef"
	for addr, loopback := range map[string]bool{
		"127.0.0.1:9090": true, "127.1.2.3:9090": true, "[::1]:9090": true, "localhost:9090": true,
		":9090": false, "0.0.0.0:9090": false, "[::]:9090": false, "10.0.0.7:9090": false, "wxlogin.internal:9090": false,
	} {
		_, err := config.Load(environ("INTERNAL_ADDR=" + addr))
		if (err == nil) != loopback {
			t.Errorf("%s without a key: %v", addr, err)
		}
		if _, err := config.Load(environ("INTERNAL_ADDR="+addr, "INTERNAL_API_KEY="+key)); err != nil {
			t.Errorf("%s with a key: %v", addr, err)
		}
	}
	for _, bad := range []string{key[1:], key + " x", key + "é"} {
		for _, name := range []string{"INTERNAL_API_KEY", "INTERNAL_API_KEY_PREVIOUS"} {
			_, err := config.Load(environ("INTERNAL_API_KEY="+key, name+"="+bad))
			if err == nil || !strings.Contains(err.Error(), name+" ") || strings.Contains(err.Error(), bad) {
				t.Errorf("a bad key: %v", err)
			}
		}
	}
	if _, err := config.Load(environ("INTERNAL_API_KEY_PREVIOUS=" + key)); err == nil {
		t.Error("a previous key without a current one is accepted")
	}
}

func TestConfig_APIKeys(t *testing.T) {
	const one, two = "0123456789abcdef", "fedcba9876543210"
	for _, tt := range []struct {
		current, previous string
		want              []config.APIKey
	}{
		{"", "", nil},
		{one, "", []config.APIKey{{"current", one}}},
		{one, two, []config.APIKey{{"current", one}, {"previous", two}}},
		{"crm-2:" + one, "crm-1:" + two, []config.APIKey{{"crm-2", one}, {"crm-2", "crm-2:" + one}, {"crm-1", two}, {"crm-1", "crm-1:" + two}}},
		{"short-name:" + one[:8], "", []config.APIKey{{"current", "short-name:" + one[:8]}}}, // no name: the rest is too short
		{"a!b:" + one, "", []config.APIKey{{"current", "a!b:" + one}}},
	} {
		variables := []string{"INTERNAL_API_KEY=" + tt.current}
		if tt.previous != "" {
			variables = append(variables, "INTERNAL_API_KEY_PREVIOUS="+tt.previous)
		}
		c, err := config.Load(environ(variables...))
		if err != nil || !slices.Equal(c.APIKeys(), tt.want) {
			t.Errorf("%q, %q: got %v and %v", tt.current, tt.previous, c.APIKeys(), err)
		}
	}
}

func TestLoad_Errors(t *testing.T) {
	tests := map[string]struct{ variable, want string }{
		"no appid":        {"WECHAT_APPID=", "WECHAT_APPID is not set"},
		"no secret":       {"WECHAT_SECRET=", "WECHAT_SECRET is not set"},
		"no dsn":          {"MYSQL_DSN=", "MYSQL_DSN is not set"},
		"no redis":        {"REDIS_URL=", "REDIS_URL is not set"},
		"bad appid":       {"WECHAT_APPID=wx 1", "WECHAT_APPID: "},
		"list as appid":   {"WECHAT_APPID=wx1,wx2", `"wx1,wx2" is not an appid`},
		"app no secret":   {"WECHAT_APPS=wx2", "WECHAT_APPS: an entry is not of the form"},
		"app empty part":  {"WECHAT_APPS=wx2:" + goodSecret + ":", "WECHAT_APPS: an entry is not of the form"},
		"app twice":       {"WECHAT_APPS=wx0123456789abcdef:" + goodSecret, "WECHAT_APPS: wx0123456789abcdef is listed twice"},
		"bad dsn":         {"MYSQL_DSN=wxlogin:pa55word@nowhere", "MYSQL_DSN: "},
		"bad replica":     {"MYSQL_REPLICA_DSNS=" + goodDSN + " wxlogin:pa55word@nowhere", "MYSQL_REPLICA_DSNS: "},
		"no connections":  {"MYSQL_MAX_OPEN_CONNS=0", "MYSQL_MAX_OPEN_CONNS: 0 is less than 1"},
		"short lifetime":  {"MYSQL_CONN_MAX_LIFETIME=30ms", "MYSQL_CONN_MAX_LIFETIME: 30ms is less than 1s"},
		"access tokens":   {"ACCESS_TOKEN_API=on", "ACCESS_TOKEN_API is on, and INTERNAL_API_KEY is not set"},
		"bad switch":      {"ACCESS_TOKEN_API=true", `ACCESS_TOKEN_API: "true" is neither on nor off`},
		"bad prepare":     {"MYSQL_PREPARE=no", `MYSQL_PREPARE: "no" is neither on nor off`},
		"bad redis":       {"REDIS_URL=http://:pa55word@127.0.0.1", "REDIS_URL is not of the form"},
		"bad api base":    {"WECHAT_API_BASE=api.weixin.qq.com", "WECHAT_API_BASE is not"},
		"bad listen":      {"LISTEN_ADDR=8080", "LISTEN_ADDR: "},
		"bad internal":    {"INTERNAL_ADDR=localhost", "INTERNAL_ADDR: "},
		"bad ttl":         {"SESSION_IDLE_TTL=week", "SESSION_IDLE_TTL: "},
		"short ttl":       {"SESSION_IDLE_TTL=1ms", "SESSION_IDLE_TTL: 1ms is less than 1s"},
		"max under idle":  {"SESSION_MAX_TTL=1h", "SESSION_MAX_TTL is less than SESSION_IDLE_TTL"},
		"no sessions":     {"MAX_SESSIONS_PER_USER=0", "MAX_SESSIONS_PER_USER: 0 is less than 1"},
		"bad level":       {"LOG_LEVEL=loud", "LOG_LEVEL: "},
		"bad format":      {"LOG_FORMAT=xml", "LOG_FORMAT: "},
		"bad limit":       {"LOGIN_RATE_LIMIT=many", `LOGIN_RATE_LIMIT: "many" is not a whole number`},
		"negative limit":  {"MAX_LOGINS_IN_FLIGHT=-1", "MAX_LOGINS_IN_FLIGHT: -1 is less than 0"},
		"bad proxy":       {"TRUSTED_PROXIES=10.0.0.0/8,proxy", `TRUSTED_PROXIES: "proxy" is neither`},
		"proxy with zone": {"TRUSTED_PROXIES=fe80::1%eth0", "TRUSTED_PROXIES: "},
		"key alone":       {"TLS_KEY_FILE=/nowhere", "TLS_CERT_FILE and TLS_KEY_FILE must be set together"},
		"avatars nowhere": {"AVATAR_DIR=/tmp/avatars", "PUBLIC_URL is not set, which AVATAR_DIR requires"},
		"bad public url":  {"PUBLIC_URL=login.example.com", "PUBLIC_URL is not an http or https URL"},
		"bad delay":       {"SHUTDOWN_DELAY=2", "SHUTDOWN_DELAY: "},
		"long delay":      {"SHUTDOWN_DELAY=1h", "SHUTDOWN_DELAY: 1h0m0s is not between 0s and 1m0s"},
		"file and value":  {"WECHAT_SECRET_FILE=/dev/null", "WECHAT_SECRET and WECHAT_SECRET_FILE are both set"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := config.Load(environ(tt.variable))
			if err == nil {
				t.Fatal("no error")
			}
			if !strings.Contains(err.Error(), tt.want) {
				t.Errorf("the error lacks %q:\n%v", tt.want, err)
			}
			if lines := strings.Count(err.Error(), "\n") + 1; lines != 1 {
				t.Errorf("the error has %d lines:\n%v", lines, err)
			}
			if strings.Contains(err.Error(), "pa55word") || strings.Contains(err.Error(), goodSecret) {
				t.Error("the error contains a secret")
			}
		})
	}
	t.Run("half a bucket", func(t *testing.T) {
		_, err := config.Load(environ("AVATAR_S3_BUCKET=a", "AVATAR_DIR=/tmp/avatars", "PUBLIC_URL=https://login.example.com"))
		for _, want := range []string{"AVATAR_S3_ENDPOINT", "AVATAR_S3_ACCESS_KEY", "AVATAR_S3_SECRET_KEY", "are both set"} {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("the error lacks %q: %v", want, err)
			}
		}
	})
	t.Run("missing file", func(t *testing.T) {
		_, err := config.Load(environ("REDIS_URL=", "REDIS_URL_FILE=/nonexistent"))
		if err == nil || !strings.Contains(err.Error(), "REDIS_URL_FILE: ") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("all at once", func(t *testing.T) {
		_, err := config.Load([]string{"LISTEN_ADDR=x", "LOG_LEVEL=loud", "SESSION_MAX_TTL=1h"})
		for _, name := range []string{
			"WECHAT_APPID", "WECHAT_SECRET", "MYSQL_DSN", "REDIS_URL", "LISTEN_ADDR", "LOG_LEVEL", "SESSION_MAX_TTL",
		} {
			if !strings.Contains(err.Error(), name) {
				t.Errorf("the error does not name %s", name)
			}
		}
	})
}

func TestLog_NewLogger(t *testing.T) {
	var b bytes.Buffer
	config.Log{Format: "json"}.NewLogger(&b).Info("hello")
	config.Log{Format: "text"}.NewLogger(&b).Debug("hidden")
	config.Log{Format: "text"}.NewLogger(&b).Info("there")
	got := b.String()
	if !strings.Contains(got, `"msg":"hello"`) || !strings.Contains(got, "msg=there") || strings.Contains(got, "hidden") {
		t.Errorf("got %s", got)
	}
}

func TestLoadSweep(t *testing.T) {
	for name, tt := range map[string]struct{ environ, want string }{
		"no store":           {"MYSQL_DSN=u@tcp(h:1)/d", "neither AVATAR_DIR nor AVATAR_S3_BUCKET is set"},
		"no database":        {"AVATAR_DIR=/x PUBLIC_URL=https://a", "MYSQL_DSN is not set"},
		"half of a bucket":   {"MYSQL_DSN=u@tcp(h:1)/d AVATAR_S3_BUCKET=b", "AVATAR_S3_ENDPOINT is not set"},
		"a folder is enough": {"MYSQL_DSN=u@tcp(h:1)/d AVATAR_DIR=/x PUBLIC_URL=https://a", ""},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := config.LoadSweep(strings.Fields(tt.environ))
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("%v, want %q", err, tt.want)
			}
		})
	}
}

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
