package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"regexp"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"wxlogin/handlers"
	"wxlogin/internal/config"
	"wxlogin/internal/testenv"
	"wxlogin/internal/testenv/mysqltest"
)

func TestDescribe(t *testing.T) {
	const password = "pa55word"
	for name, tt := range map[string]struct {
		environ []string
		want    string // a part of the log line
	}{
		"single": {[]string{"REDIS_URL=redis://wxlogin:" + password + "@redis:6379/3"},
			`"redis":{"mode":"single","address":"redis:6379","database":3,"tls":false}`},
		"sentinel": {[]string{"REDIS_MODE=sentinel", "REDIS_URL=rediss://watcher:" + password +
			"@s1:26379/0?master_name=mymaster&addr=s2:26379&username=wxlogin&password=" + password},
			`"redis":{"mode":"sentinel","sentinels":["s1:26379","s2:26379"],"master":"mymaster","database":0,"tls":true}`},
		"cluster": {[]string{"REDIS_MODE=cluster", "REDIS_URL=redis://wxlogin:" + password + "@n1:6379?addr=n2:6379"},
			`"redis":{"mode":"cluster","nodes":["n1:6379","n2:6379"],"tls":false}`},
		"mysql": {[]string{"MYSQL_REPLICA_DSNS=r:" + password + "@tcp(replica:3307)/wxlogin?tls=true"},
			`"mysql":{"primary":"db:3306/wxlogin","replicas":["replica:3307/wxlogin"],"maxOpenConns":50,"tls":false}`},
		"mysql on TLS": {[]string{"MYSQL_DSN=wxlogin:" + password + "@tcp(db:3306)/wxlogin?tls=true"}, `"maxOpenConns":50,"tls":true}`},
		"apps":         {[]string{"WECHAT_APPS=wx2:" + testSecret + ":" + password}, `"apps":["wx0123456789abcdef","wx2"]`},
		"limits": {[]string{"LOGIN_RATE_LIMIT=0", "UPLOAD_DAILY_LIMIT=7"},
			`"limits":{"loginsInFlight":256,"loginsPerMinute":0,"updatesPerMinute":60,"failedUpdatesPerMinute":10,"uploadsPerDay":7}`},
		"features that are off": {nil, `"uploads":"off","tls":false,"internalKey":false,"accessTokenAPI":false,"tracing":false,"trustedProxies":[],"pushes":0,"reportZone":"Asia/Shanghai"`},
		"features that are on": {[]string{"AVATAR_S3_ENDPOINT=https://s3.example.com", "AVATAR_S3_BUCKET=b", "AVATAR_S3_ACCESS_KEY=k-" + password,
			"AVATAR_S3_SECRET_KEY=" + password, "TLS_CERT_FILE=/c", "TLS_KEY_FILE=/k", "INTERNAL_API_KEY=" + password + password, "ACCESS_TOKEN_API=on",
			"TRUSTED_PROXIES=10.0.0.0/8", "WECHAT_PUSH=wx0123456789abcdef:" + password, "REPORT_TIME_ZONE=UTC"},
			`"uploads":"s3.example.com/b","tls":true,"internalKey":true,"accessTokenAPI":true,"tracing":false,"trustedProxies":["10.0.0.0/8"],"pushes":1,"reportZone":"UTC"`},
		"wechat": {[]string{"WECHAT_API_BASE=https://u:" + password + "@proxy.example.com/x?y=" + password}, `"wechat":"proxy.example.com"`},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := config.Load(append([]string{
				"WECHAT_APPID=" + testAppID, "WECHAT_SECRET=" + testSecret,
				"MYSQL_DSN=wxlogin:" + password + "@tcp(db:3306)/wxlogin", "REDIS_URL=redis://:" + password + "@redis",
			}, tt.environ...))
			if err != nil {
				t.Fatal(err)
			}
			var log testenv.Log
			config.Log{Format: "json"}.NewLogger(&log).LogAttrs(t.Context(), 0, "serving", describe(c, Options{Version: "v1.2.3"})...)
			if !json.Valid([]byte(log.String())) || !strings.Contains(log.String(), tt.want) || !strings.Contains(log.String(), `"version":"v1.2.3"`) {
				t.Errorf("the line lacks %s:\n%s", tt.want, log.String())
			}
			for _, secret := range []string{password, testSecret} {
				if strings.Contains(log.String(), secret) {
					t.Error("the line contains a secret")
				}
			}
		})
	}
}

// Start logs the attributes of describe.
func TestStart_LogsServing(t *testing.T) {
	w := newTestServer(t)
	for line := range strings.Lines(w.log.String()) {
		if strings.Contains(line, `"msg":"serving"`) {
			if !strings.Contains(line, `"apps":["`+testAppID+`"]`) || !strings.Contains(line, `"mode":"single"`) || strings.Contains(line, testSecret) {
				t.Errorf("the line is %s", line)
			}
			return
		}
	}
	t.Error("there is no line with the message serving")
}

func TestIsPatchedGo(t *testing.T) {
	for built, want := range map[string]bool{
		"go1.25": false, "go1.25.99": false, "go1.9.7": false, "go1": false,
		"go1.26": false, "go1.26rc3": false, "go1.26.0": false, "go1.26.8": false, "go1.26.9": false,
		"go1.26.10": true, "go1.26.11": true, "go1.26.100": true,
		"go1.27": false, "go1.27rc1": false, "go1.27.0": false, "go1.27.3": false, "go1.27.4": true, "go1.27.12": true,
		"go1.28": true, "go1.28rc1": true, "go1.28.0": true, "go1.30.2": true, "go2.0": true,
		"go1.26.8 X:boringcrypto": false, "go1.26.10 X:boringcrypto": true, "go1.27.4 X:nodwarf5,jsonv2": true,
		"go1.26.8-bigcorp": false, "go1.26.10-bigcorp": true, "go1.26.10-bigcorp X:boringcrypto": true,
		"devel go1.28-0f1b2c3 Tue Nov 3 10:00:00 2026 +0000": true, "devel +0f1b2c3": true,
		"": false, "unknown": false,
	} {
		if got := isPatchedGo(built); got != want {
			t.Errorf("%q: %v, want %v", built, got, want)
		}
	}
}

// This repository's image must not log the warning.
func TestIsPatchedGo_Dockerfile(t *testing.T) {
	dockerfile, err := os.ReadFile("../../Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	_, tag, _ := strings.Cut(string(dockerfile), " golang:")
	tag, _, _ = strings.Cut(tag, " ")
	if !isPatchedGo("go" + tag) {
		t.Errorf("the image is built with Go %s", tag)
	}
}

func TestIsPlainRemote(t *testing.T) {
	for address, want := range map[string]bool{
		"https://api.weixin.qq.com": false, "http://api.weixin.qq.com": true, "HTTP://api.weixin.qq.com": true,
		"http://wxsim:8089": true, "http://10.0.0.1": true, "http://[2001:db8::1]:80": true, "http://0.0.0.0:8089": true,
		"http://127.0.0.1:8089": false, "http://127.9.9.9": false, "http://localhost:8089": false, "http://LOCALHOST": false,
		"http://[::1]:8089": false, "http://[::ffff:127.0.0.1]": false,
		"http://localhost.example.com": true, "http://127.0.0.1.example.com": true, "http://127.0.0.1@example.com": true,
	} {
		if got := isPlainRemote(address); got != want {
			t.Errorf("%q: %v, want %v", address, got, want)
		}
	}
}

func TestStart_Warnings(t *testing.T) {
	const oldGo, plainHTTP = "known vulnerabilities in net/http", "cross the network unencrypted"
	t.Run("names the Go release that it was built with, once, if that is not patched", func(t *testing.T) {
		w := newTestServer(t)
		want := 1
		if isPatchedGo(runtime.Version()) {
			want = 0
		}
		log := w.log.String()
		if got := strings.Count(log, oldGo); got != want {
			t.Errorf("warned %d times, want %d", got, want)
		}
		if want == 1 && !strings.Contains(log, `"builtWith":"`+runtime.Version()+`","patchedSince":"go1.26.10, go1.27.4"`) {
			t.Errorf("the releases are not named:\n%s", log)
		}
	})
	for name, test := range map[string]struct {
		base string
		want int
	}{
		"plain http to another machine": {"http://wxsim.invalid:8089", 1},
		"https to another machine":      {"https://api.weixin.qq.com", 0},
		"plain http to this machine":    {"http://127.0.0.1:1", 0},
	} {
		t.Run("WECHAT_API_BASE: "+name, func(t *testing.T) {
			w := newTestServer(t, func(c *config.Config, _ *Options) { c.WeChatAPIBase = test.base })
			if got := strings.Count(w.log.String(), plainHTTP); got != test.want {
				t.Errorf("warned %d times, want %d:\n%s", got, test.want, w.log.String())
			}
			if strings.Contains(w.log.String(), testSecret) {
				t.Error("the log shows the AppSecret")
			}
		})
	}
}

// logLines returns the lines of a JSON log from a level on, each as "LEVEL message".
func logLines(t *testing.T, log string, from slog.Level) (got []string) {
	t.Helper()
	for line := range strings.Lines(log) {
		var l struct {
			Level slog.Level
			Msg   string
		}
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			t.Fatalf("the log has a line that is not JSON: %s", line)
		}
		if l.Level >= from {
			got = append(got, l.Level.String()+" "+l.Msg)
		}
	}
	return got
}

func TestLogOutages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log testenv.Log
		var away, other atomic.Bool
		check := func(away *atomic.Bool) func(context.Context) error {
			return func(ctx context.Context) error {
				if !away.Load() {
					return nil
				}
				<-ctx.Done() // it hangs
				return errors.Join(errors.New("no response"), ctx.Err())
			}
		}
		wants := func(want ...string) {
			t.Helper()
			synctest.Wait()
			if got := logLines(t, log.String(), slog.LevelDebug); strings.Join(got, "\n") != strings.Join(want, "\n") {
				t.Errorf("the log says %q, want %q", got, want)
			}
		}
		away.Store(true)
		stop := logOutages([]handlers.Check{{Name: "mysql", Func: check(&away)}, {Name: "redis", Func: check(&other)}},
			config.Log{Format: "json"}.NewLogger(&log))
		wants("WARN mysql is not ready; waiting for it") // immediately
		time.Sleep(time.Hour)
		wants("WARN mysql is not ready; waiting for it")
		away.Store(false)
		time.Sleep(outageInterval + outageTimeout)
		wants("WARN mysql is not ready; waiting for it", "INFO mysql is ready again")
		if !strings.Contains(log.String(), `"awaySeconds":360`) {
			t.Errorf("the log has no awaySeconds:\n%s", log.String())
		}
		time.Sleep(time.Hour)
		other.Store(true)
		time.Sleep(time.Hour)
		other.Store(false)
		time.Sleep(time.Minute)
		away.Store(true)
		time.Sleep(time.Minute)
		wants("WARN mysql is not ready; waiting for it", "INFO mysql is ready again",
			"WARN redis is not ready; waiting for it", "INFO redis is ready again", "WARN mysql is not ready; waiting for it")
		began := time.Now()
		stop()
		if took := time.Since(began); took > 0 {
			t.Errorf("stop took %v", took)
		}
		before := log.String()
		time.Sleep(time.Hour)
		if log.String() != before {
			t.Error("a check ran after stop")
		}
	})
}

func TestMetrics(t *testing.T) {
	t.Run("show the components", func(t *testing.T) {
		replica := mysqltest.NewWithSchema(t)
		w := newTestServer(t, func(c *config.Config, o *Options) {
			o.Version, c.MySQL.ReplicaDSNs, c.MySQL.MaxOpenConns, c.Limits.LoginsInFlight = "v1.2.3", config.DSNs{replica}, 7, 5
			c.Limits.Logins = 100
		})
		conn := w.dial()
		fmt.Fprint(conn, w.login(last))
		w.responses(conn)
		metrics := w.metrics()
		w.wantMetrics(metrics, map[string]string{
			`wxlogin_redis_pool_connections{state="idle"}`:               "[0-9]", // the response may precede the release of its connection
			`wxlogin_redis_pool_connections{state="in_use"}`:             "[0-9]",
			`wxlogin_redis_pool_size_limit`:                              "[1-9][0-9]*",
			`wxlogin_redis_pool_waits_timed_out_total`:                   "0",
			`wxlogin_redis_keys`:                                         "[234]", // a record, its index, and after a flush the counters
			`wxlogin_rate_limits_local`:                                  "0",
			`wxlogin_login_days_pending`:                                 "[01]",
			`wxlogin_login_days_failures_total`:                          "0",
			`wxlogin_unionid_conflicts_total{appid="` + testAppID + `"}`: "0",
			`wxlogin_logins_in_flight_limit`:                             "5",
			`go_sql_max_open_connections{db_name="primary"}`:             "7",
			`go_sql_open_connections{db_name="primary"}`:                 "[1-9]",
			`go_sql_max_open_connections{db_name="replica_1"}`:           "7",
			`wxlogin_logins_total{outcome="new"}`:                        "1",

			`wxlogin_wechat_breaker_state{appid="` + testAppID + `",state="closed"}`: "1",
		})
		if !regexp.MustCompile(`(?m)^wxlogin_build_info\{go_version="go1[^"]*",version="v1.2.3"\} 1$`).MatchString(metrics) {
			t.Error("no build_info")
		}
		if strings.Contains(metrics, "tls_certificate") {
			t.Error("there is a metric of a certificate without a certificate")
		}
	})

	t.Run("are served without Redis", func(t *testing.T) {
		w := newTestServer(t, func(c *config.Config, _ *Options) { c.RedisURL = "redis://127.0.0.1:1/0" })
		w.wantMetrics(w.metrics(), map[string]string{
			"wxlogin_redis_keys": "NaN", `wxlogin_redis_pool_connections{state="in_use"}`: "0",
		})
	})

	t.Run("show when the certificate expires", func(t *testing.T) {
		w := newTestServer(t, func(c *config.Config, _ *Options) { c.TLS = pairFiles(t, "a") })
		w.wantMetrics(w.metrics(), map[string]string{"wxlogin_tls_certificate_expiry_timestamp_seconds": `\d\.\d+e\+09`})
	})

	t.Run("show the folder of pictures", func(t *testing.T) {
		dir := t.TempDir()
		writeOldPicture(t, config.Sweep{Avatars: config.Avatars{Dir: dir}}, "a")
		w := newTestServer(t, func(c *config.Config, _ *Options) {
			c.Avatars = config.Avatars{Dir: dir, PublicURL: "https://login.example.com"}
		})
		waitUntil(t, "the files are counted", func() bool { return strings.Contains(w.metrics(), "wxlogin_avatar_files 1\n") })
		w.wantMetrics(w.metrics(), map[string]string{
			"wxlogin_avatar_bytes":           "7",
			"wxlogin_avatar_disk_size_bytes": "[1-9].*",
			"wxlogin_avatar_disk_free_bytes": "[1-9].*",
		})
	})
}
