package config_test

import (
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"wxlogin/internal/config"
)

// Invisible characters and quotes around a value are reported once per variable, together with all other errors.
func TestLoad_UncleanValues(t *testing.T) {
	values := map[string]string{
		"WECHAT_APPID": "wx0123456789abcdef", "WECHAT_SECRET": goodSecret, "WECHAT_SECRET_PREVIOUS": goodSecret,
		"MYSQL_DSN": goodDSN, "REDIS_URL": goodRedis, "INTERNAL_API_KEY": "0123456789abcdef",
		"LISTEN_ADDR": "127.0.0.1:8080", "WECHAT_API_BASE": "https://api.weixin.qq.com", "SESSION_IDLE_TTL": "168h",
		"LOGIN_RATE_LIMIT": "7", "LOG_LEVEL": "warn", "LOG_FORMAT": "text", "REDIS_MODE": "single",
	}
	for kind, tt := range map[string]struct {
		around func(string) string
		want   string
	}{
		"crlf":          {func(v string) string { return v + "\r\n" }, "carriage return"},
		"cr":            {func(v string) string { return v + "\r" }, "carriage return"},
		"lf":            {func(v string) string { return v + "\n" }, "around its value"},
		"space after":   {func(v string) string { return v + " " }, "around its value"},
		"tab before":    {func(v string) string { return "\t" + v }, "around its value"},
		"wide space":    {func(v string) string { return v + "\u3000" }, "around its value"},
		"no width":      {func(v string) string { return "\u200b" + v }, "around its value"},
		"bom":           {func(v string) string { return "\ufeff" + v }, "around its value"},
		"quotes":        {func(v string) string { return `"` + v + `"` }, "quotes around its value"},
		"apostrophes":   {func(v string) string { return "'" + v + "'" }, "quotes around its value"},
		"quotes and cr": {func(v string) string { return `"` + v + "\"\r" }, "quotes around its value"},
		"inside":        {func(v string) string { return v[:4] + "\r\n" + v[4:] }, "inside its value"},
	} {
		for name, value := range values {
			if len(value) < 5 && kind == "inside" {
				continue
			}
			t.Run(kind+"/"+name, func(t *testing.T) {
				_, err := config.Load(environ(name+"="+tt.around(value), "INTERNAL_ADDR=x"))
				if err == nil || !strings.Contains(err.Error(), name+" has ") || !strings.Contains(err.Error(), tt.want) {
					t.Fatalf("the error lacks %s or %q:\n%v", name, tt.want, err)
				}
				if !strings.Contains(err.Error(), "INTERNAL_ADDR") {
					t.Errorf("the other error is missing:\n%v", err)
				}
				if n := strings.Count(err.Error(), name); kind != "inside" && n != 1 {
					t.Errorf("the variable is named %d times:\n%v", n, err)
				}
				for _, secret := range []string{goodSecret, "pa55word", "0123456789abcdef"} {
					if kind != "inside" && strings.Contains(err.Error(), secret) {
						t.Error("the error shows the value")
					}
				}
			})
		}
	}
}

func TestLoad_Lists(t *testing.T) {
	c, err := config.Load(environ("WECHAT_APPS=\r\n wx2:s2\r\nwx3:s3\r\n", "MYSQL_REPLICA_DSNS="+goodDSN+"\r\n"+goodDSN+"\r\n",
		"TRUSTED_PROXIES=10.0.0.0/8,\n192.0.2.7\n"))
	if err != nil || len(c.Apps) != 2 || len(c.MySQL.ReplicaDSNs) != 2 || len(c.TrustedProxies) != 2 {
		t.Errorf("%d apps, %d replicas, %d proxies, %v", len(c.Apps), len(c.MySQL.ReplicaDSNs), len(c.TrustedProxies), err)
	}
}

func TestLoad_SecretFiles(t *testing.T) {
	for name, tt := range map[string]struct{ content, want, err string }{
		"unix":       {goodSecret + "\n", goodSecret, ""},
		"windows":    {"\ufeff" + goodSecret + "\r\n", goodSecret, ""},
		"spaces":     {"  " + goodSecret + " \n\n", goodSecret, ""},
		"quotes":     {`"` + goodSecret + "\"\n", "", "WECHAT_SECRET has quotes"},
		"two lines":  {goodSecret + "\n" + goodSecret + "\n", "", "WECHAT_SECRET has a line break"},
		"utf16":      {"s\x00e\x00c\x00r\x00e\x00t\x00", "", "WECHAT_SECRET has "},
		"empty":      {"\n", "", "WECHAT_SECRET_FILE: the file is empty"},
		"only space": {" ", "", "WECHAT_SECRET_FILE: the file is empty"},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "secret")
			if err := os.WriteFile(file, []byte(tt.content), 0o600); err != nil {
				t.Fatal(err)
			}
			c, err := config.Load(environ("WECHAT_SECRET=", "WECHAT_SECRET_FILE="+file))
			if tt.err == "" && (err != nil || c.App.Secret != tt.want) {
				t.Errorf("the secret is not read: %v", err)
			}
			if tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)) {
				t.Errorf("the error lacks %q: %v", tt.err, err)
			}
			if err != nil && strings.Contains(err.Error(), goodSecret) {
				t.Error("the error shows the secret")
			}
		})
	}
	t.Run("file name that ends with CR", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "secret")
		if err := os.WriteFile(file, []byte(goodSecret), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := config.Load(environ("WECHAT_SECRET=", "WECHAT_SECRET_FILE="+file+"\r"))
		if err == nil || !strings.HasPrefix(err.Error(), "WECHAT_SECRET_FILE has a carriage return") || strings.Contains(err.Error(), "\n") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("files of other commands are not read", func(t *testing.T) {
		if _, err := config.LoadMigrate(environ("WECHAT_SECRET=", "WECHAT_SECRET_FILE=/nowhere")); err != nil {
			t.Error(err)
		}
	})
}

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
