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
			"MYSQL_PREPARE=off", "INTERNAL_ADDR=:9090", "INTERNAL_API_KEY=0123456789abcdef"))
		if err != nil {
			t.Fatal(err)
		}
		want := config.MySQL{MaxOpenConns: 80, ConnMaxLifetime: 5 * time.Minute, NoPrepare: true,
			ReplicaDSNs: config.DSNs{"a:b@tcp(r1:3306)/wxlogin?tls=true", "a:b@tcp(r2:3306)/wxlogin"}}
		if !reflect.DeepEqual(c.MySQL, want) || c.InternalAPIKey != "0123456789abcdef" {
			t.Errorf("got %d replicas, %d connections for %v", len(c.MySQL.ReplicaDSNs), c.MySQL.MaxOpenConns, c.MySQL.ConnMaxLifetime)
		}
		c, err = config.Load(environ("MYSQL_PREPARE="))
		if want := (config.MySQL{MaxOpenConns: 50, ConnMaxLifetime: 30 * time.Minute}); err != nil || !reflect.DeepEqual(c.MySQL, want) {
			t.Errorf("by default %+v, %v", c.MySQL, err)
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
			t.Error("the secret is not the file's")
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
		"single":      {[]string{"WECHAT_APPID=wx1", "WECHAT_SECRET=s1"}, config.SingleApp(one), nil},
		"list_alone":  {[]string{"WECHAT_APPID=", "WECHAT_SECRET=", "WECHAT_APPS=" + list}, config.SingleApp{}, []config.App{two, three}},
		"list_beside": {[]string{"WECHAT_APPID=wx1", "WECHAT_SECRET=s1", "WECHAT_APPS=" + list}, config.SingleApp(one), []config.App{two, three}},
		"file":        {[]string{"WECHAT_APPID=", "WECHAT_SECRET=", "WECHAT_APPS_FILE=" + file}, config.SingleApp{}, []config.App{one, two}},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := config.Load(environ(tt.variables...))
			if err != nil {
				t.Fatal(err)
			}
			if c.App != tt.single || !slices.Equal(c.Apps, tt.list) {
				t.Errorf("another app, or %d in the list, want %d", len(c.Apps), len(tt.list))
			}
		})
	}
}

// Whoever reaches the internal listener learns who a token's user is.
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
		_, err := config.Load(environ("INTERNAL_API_KEY=" + bad))
		if err == nil || !strings.Contains(err.Error(), "INTERNAL_API_KEY") || strings.Contains(err.Error(), bad) {
			t.Errorf("a bad key: %v", err)
		}
	}
}

func TestLoad_Errors(t *testing.T) {
	tests := map[string]struct{ variable, want string }{
		"no_appid":        {"WECHAT_APPID=", "WECHAT_APPID is not set"},
		"no_secret":       {"WECHAT_SECRET=", "WECHAT_SECRET is not set"},
		"no_dsn":          {"MYSQL_DSN=", "MYSQL_DSN is not set"},
		"no_redis":        {"REDIS_URL=", "REDIS_URL is not set"},
		"bad_appid":       {"WECHAT_APPID=wx 1", "WECHAT_APPID: "},
		"list_as_appid":   {"WECHAT_APPID=wx1,wx2", `"wx1,wx2" is not an appid`},
		"app_no_secret":   {"WECHAT_APPS=wx2", "WECHAT_APPS: an entry is not of the form"},
		"app_empty_part":  {"WECHAT_APPS=wx2:" + goodSecret + ":", "WECHAT_APPS: an entry is not of the form"},
		"app_twice":       {"WECHAT_APPS=wx0123456789abcdef:" + goodSecret, "WECHAT_APPS: wx0123456789abcdef is listed twice"},
		"bad_dsn":         {"MYSQL_DSN=wxlogin:pa55word@nowhere", "MYSQL_DSN: "},
		"bad_replica":     {"MYSQL_REPLICA_DSNS=" + goodDSN + " wxlogin:pa55word@nowhere", "MYSQL_REPLICA_DSNS: "},
		"no_connections":  {"MYSQL_MAX_OPEN_CONNS=0", "MYSQL_MAX_OPEN_CONNS: 0 is less than 1"},
		"short_lifetime":  {"MYSQL_CONN_MAX_LIFETIME=30ms", "MYSQL_CONN_MAX_LIFETIME: 30ms is less than 1s"},
		"bad_prepare":     {"MYSQL_PREPARE=no", `MYSQL_PREPARE: "no" is neither on nor off`},
		"bad_redis":       {"REDIS_URL=http://:pa55word@127.0.0.1", "REDIS_URL is not of the form"},
		"bad_api_base":    {"WECHAT_API_BASE=api.weixin.qq.com", "WECHAT_API_BASE is not"},
		"bad_listen":      {"LISTEN_ADDR=8080", "LISTEN_ADDR: "},
		"bad_internal":    {"INTERNAL_ADDR=localhost", "INTERNAL_ADDR: "},
		"bad_ttl":         {"SESSION_IDLE_TTL=week", "SESSION_IDLE_TTL: "},
		"short_ttl":       {"SESSION_IDLE_TTL=1ms", "SESSION_IDLE_TTL: 1ms is less than 1s"},
		"max_under_idle":  {"SESSION_MAX_TTL=1h", "SESSION_MAX_TTL is less than SESSION_IDLE_TTL"},
		"no_sessions":     {"MAX_SESSIONS_PER_USER=0", "MAX_SESSIONS_PER_USER: 0 is less than 1"},
		"bad_level":       {"LOG_LEVEL=loud", "LOG_LEVEL: "},
		"bad_format":      {"LOG_FORMAT=xml", "LOG_FORMAT: "},
		"bad_limit":       {"LOGIN_RATE_LIMIT=many", `LOGIN_RATE_LIMIT: "many" is not a whole number`},
		"negative_limit":  {"MAX_LOGINS_IN_FLIGHT=-1", "MAX_LOGINS_IN_FLIGHT: -1 is less than 0"},
		"bad_proxy":       {"TRUSTED_PROXIES=10.0.0.0/8,proxy", `TRUSTED_PROXIES: "proxy" is neither`},
		"proxy_with_zone": {"TRUSTED_PROXIES=fe80::1%eth0", "TRUSTED_PROXIES: "},
		"key_alone":       {"TLS_KEY_FILE=/nowhere", "TLS_CERT_FILE and TLS_KEY_FILE must be set together"},
		"avatars_nowhere": {"AVATAR_DIR=/tmp/avatars", "PUBLIC_URL is not set, which AVATAR_DIR requires"},
		"bad_public_url":  {"PUBLIC_URL=login.example.com", "PUBLIC_URL is not an http or https URL"},
		"bad_delay":       {"SHUTDOWN_DELAY=2", "SHUTDOWN_DELAY: "},
		"long_delay":      {"SHUTDOWN_DELAY=1h", "SHUTDOWN_DELAY: 1h0m0s is not between 0s and 1m0s"},
		"file_and_value":  {"WECHAT_SECRET_FILE=/dev/null", "WECHAT_SECRET and WECHAT_SECRET_FILE are both set"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := config.Load(environ(tt.variable))
			if err == nil {
				t.Fatal("it was taken")
			}
			if !strings.Contains(err.Error(), tt.want) {
				t.Errorf("the error lacks %q:\n%v", tt.want, err)
			}
			if lines := strings.Count(err.Error(), "\n") + 1; lines != 1 {
				t.Errorf("one fault is told in %d lines:\n%v", lines, err)
			}
			if strings.Contains(err.Error(), "pa55word") || strings.Contains(err.Error(), goodSecret) {
				t.Error("the error shows a secret")
			}
		})
	}
	t.Run("half_a_bucket", func(t *testing.T) {
		_, err := config.Load(environ("AVATAR_S3_BUCKET=a", "AVATAR_DIR=/tmp/avatars", "PUBLIC_URL=https://login.example.com"))
		for _, want := range []string{"AVATAR_S3_ENDPOINT", "AVATAR_S3_ACCESS_KEY", "AVATAR_S3_SECRET_KEY", "are both set"} {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%q is not told: %v", want, err)
			}
		}
	})
	t.Run("missing_file", func(t *testing.T) {
		_, err := config.Load(environ("REDIS_URL=", "REDIS_URL_FILE=/nonexistent"))
		if err == nil || !strings.Contains(err.Error(), "REDIS_URL_FILE: ") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("all_at_once", func(t *testing.T) {
		_, err := config.Load([]string{"LISTEN_ADDR=x", "LOG_LEVEL=loud", "SESSION_MAX_TTL=1h"})
		for _, name := range []string{
			"WECHAT_APPID", "WECHAT_SECRET", "MYSQL_DSN", "REDIS_URL", "LISTEN_ADDR", "LOG_LEVEL", "SESSION_MAX_TTL",
		} {
			if !strings.Contains(err.Error(), name) {
				t.Errorf("%s is not told", name)
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
