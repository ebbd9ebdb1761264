package config_test

import (
	"os"
	"path/filepath"
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
