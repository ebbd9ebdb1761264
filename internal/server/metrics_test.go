package server

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"wxlogin/internal/config"
	"wxlogin/internal/testenv/mysqltest"
)

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
