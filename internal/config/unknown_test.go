package config_test

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"wxlogin/internal/config"
)

func TestUnknownVariables(t *testing.T) {
	for name, nearest := range map[string]string{
		"MYSQL_DNS": "MYSQL_DSN", "MYSQL_DSM": "MYSQL_DSN", "mysql_dsn": "MYSQL_DSN", "MYSQL_DSN_FILES": "MYSQL_DSN_FILE",
		"MYSQL_REPLICA_DSN": "MYSQL_REPLICA_DSNS", "MYSQL_MAX_OPEN_CONN": "MYSQL_MAX_OPEN_CONNS",
		"REDIS_URI": "REDIS_URL", "REDIS_MODES": "REDIS_MODE",
		"WECHAT_APP_ID": "WECHAT_APPID", "WECHAT_APPSECRET": "WECHAT_SECRET", "WECHAT_APP_SECRET": "WECHAT_SECRET",
		"WECHAT_APPID_FILE": "WECHAT_APPID", "WECHAT_SECERT_FILE": "WECHAT_SECRET_FILE",
		"SESSION_IDLETTL": "SESSION_IDLE_TTL", "INTERNAL_APIKEY": "INTERNAL_API_KEY", "INTERNAL_ADRR": "INTERNAL_ADDR",
		"LISTEN_ADDRESS": "LISTEN_ADDR", "LISTEN_PORT": "", "LOG_LEVLE": "LOG_LEVEL", "TLS_CERT": "", "AVATARS_DIR": "",
		"AVATAR_DIRS": "AVATAR_DIR", "AVATAR_S3_BUKET": "AVATAR_S3_BUCKET", "MAX_LOGIN_IN_FLIGHT": "MAX_LOGINS_IN_FLIGHT",
		"LOGIN_RATE_LIMITS": "LOGIN_RATE_LIMIT", "UPLOAD_DAILY_LIMITS": "UPLOAD_DAILY_LIMIT", "TRUSTED_PROXY": "TRUSTED_PROXIES",
		"SHUTDOWN_DEALY": "SHUTDOWN_DELAY", "PUBLIC_URI": "PUBLIC_URL", "WECHAT_SOMETHING_ELSE": "",
	} {
		got := config.UnknownVariables(environ(name+"=a-value-to-hide", name+"=twice"))
		want := []config.UnknownVariable{{Name: name, Nearest: nearest}}
		if name == "AVATARS_DIR" { // no variable has this prefix
			want = nil
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestUnknownVariables_Foreign(t *testing.T) {
	kubernetes := func(service, port string) []string {
		return []string{
			service + "_SERVICE_HOST=10.0.0.7", service + "_SERVICE_PORT=" + port, service + "_SERVICE_PORT_CLIENT_TLS=" + port,
			service + "_PORT=tcp://10.0.0.7:" + port, service + "_PORT_" + port + "_TCP=tcp://10.0.0.7:" + port,
			service + "_PORT_" + port + "_TCP_PROTO=tcp", service + "_PORT_" + port + "_TCP_PORT=" + port,
			service + "_PORT_" + port + "_TCP_ADDR=10.0.0.7",
		}
	}
	foreign := slices.Concat(kubernetes("REDIS", "6379"), kubernetes("MYSQL", "3306"), kubernetes("MYSQL_PRIMARY", "3306"),
		kubernetes("SESSION_STORE", "80"), kubernetes("INTERNAL", "9090"), []string{
			"MYSQL_ROOT_PASSWORD=x", "MYSQL_ROOT_PASSWORD_FILE=/run/x", "MYSQL_DATABASE=wxlogin", "MYSQL_USER=x", "MYSQL_PASSWORD=x",
			"MYSQL_HOST=x", "MYSQL_PORT=3306", "MYSQL_VERSION=8.4.7-1.el9", "MYSQL_PWD=x", "REDIS_PORT=6379", "REDIS_VERSION=7.2",
			"REDIS_ENV_GOSU_VERSION=1.17", "ADMIN_RO_PASSWORD=x", "SESSION_MANAGER=local/x:@/tmp/.ICE-unix/1", "PATH=/bin", "HOME=/",
			"OTEL_SERVICE_NAME=x", "OTEL_EXPORTER_OTLP_ENDPOINT=x", "TEST_MYSQL_DSN=x", "GOMEMLIMIT=1", "LOGNAME=root", "=C:=x", "", "MAX=1",
		})
	if got := config.UnknownVariables(environ(foreign...)); len(got) != 0 {
		t.Errorf("reported: %v", got)
	}
}

// Every variable of Config is known, and so are the files of secrets.
func TestUnknownVariables_Config(t *testing.T) {
	var known []string
	var read func(reflect.Type)
	read = func(c reflect.Type) {
		for f := range c.Fields() {
			if name, _, _ := strings.Cut(f.Tag.Get("env"), ","); name != "" {
				known = append(known, name+"=x")
			} else if f.Type.Kind() == reflect.Struct {
				read(f.Type)
			}
		}
	}
	read(reflect.TypeFor[config.Config]())
	for _, secret := range []string{"WECHAT_SECRET", "WECHAT_APPS", "MYSQL_DSN", "MYSQL_REPLICA_DSNS", "REDIS_URL", "INTERNAL_API_KEY"} {
		known = append(known, secret+"_FILE=/x")
	}
	if got := config.UnknownVariables(known); len(known) < 40 || len(got) != 0 {
		t.Errorf("of %d: %v", len(known), got)
	}
}
