package server

import (
	"encoding/json"
	"strings"
	"testing"

	"wxlogin/internal/testenv"
)

func TestDescribe(t *testing.T) {
	const password = "pa55word"
	for name, tt := range map[string]struct {
		environ []string
		want    string // of the line, in JSON
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
		"what is off": {nil, `"uploads":"off","tls":false,"internalKey":false,"tracing":false,"trustedProxies":[]`},
		"what is on": {[]string{"AVATAR_S3_ENDPOINT=https://s3.example.com", "AVATAR_S3_BUCKET=b", "AVATAR_S3_ACCESS_KEY=k-" + password,
			"AVATAR_S3_SECRET_KEY=" + password, "TLS_CERT_FILE=/c", "TLS_KEY_FILE=/k", "INTERNAL_API_KEY=" + password + password,
			"TRUSTED_PROXIES=10.0.0.0/8"},
			`"uploads":"s3.example.com/b","tls":true,"internalKey":true,"tracing":false,"trustedProxies":["10.0.0.0/8"]`},
		"wechat": {[]string{"WECHAT_API_BASE=https://u:" + password + "@proxy.example.com/x?y=" + password}, `"wechat":"proxy.example.com"`},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := LoadConfig(append([]string{
				"WECHAT_APPID=" + testAppID, "WECHAT_SECRET=" + testSecret,
				"MYSQL_DSN=wxlogin:" + password + "@tcp(db:3306)/wxlogin", "REDIS_URL=redis://:" + password + "@redis",
			}, tt.environ...))
			if err != nil {
				t.Fatal(err)
			}
			c.Version = "v1.2.3"
			var log testenv.Log
			NewLogger(LogConfig{Format: "json"}, &log).LogAttrs(t.Context(), 0, "serving", describe(c)...)
			if !json.Valid([]byte(log.String())) || !strings.Contains(log.String(), tt.want) || !strings.Contains(log.String(), `"version":"v1.2.3"`) {
				t.Errorf("the line lacks %s:\n%s", tt.want, log.String())
			}
			for _, secret := range []string{password, testSecret} {
				if strings.Contains(log.String(), secret) {
					t.Error("the line holds a secret")
				}
			}
		})
	}
}

// The line of a real start is that of describe.
func TestStart_says_what_it_serves(t *testing.T) {
	w := newWire(t, listenerLimits)
	for line := range strings.Lines(w.log.String()) {
		if strings.Contains(line, `"msg":"serving"`) {
			if !strings.Contains(line, `"apps":["`+testAppID+`"]`) || !strings.Contains(line, `"mode":"single"`) || strings.Contains(line, testSecret) {
				t.Errorf("it says %s", line)
			}
			return
		}
	}
	t.Error("no line says that it serves")
}
