package config_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"wxlogin/internal/config"
)

const (
	pushToken = "pu5hT0ken"
	pushKey   = "pu5hKey0123456789abcdefghijklmnopqrstuvwxyA"
)

func TestLoad_Push(t *testing.T) {
	file := filepath.Join(t.TempDir(), "push")
	if err := os.WriteFile(file, []byte("\ufeffwx0123456789abcdef:"+pushToken+"\nwx2:"+pushToken+":"+pushKey+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	plain := config.Push{AppID: "wx0123456789abcdef", Token: pushToken}
	safe := config.Push{AppID: "wx2", Token: pushToken, EncodingAESKey: pushKey}
	for name, tt := range map[string]struct {
		variable string
		want     []config.Push
	}{
		"none":  {"WECHAT_PUSH=", nil},
		"plain": {"WECHAT_PUSH=wx0123456789abcdef:" + pushToken, []config.Push{plain}},
		"two":   {"WECHAT_PUSH= wx0123456789abcdef:" + pushToken + ", wx2:" + pushToken + ":" + pushKey + ",", []config.Push{plain, safe}},
		"file":  {"WECHAT_PUSH_FILE=" + file, []config.Push{plain, safe}},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := config.Load(environ("WECHAT_APPS=wx2:s2", "WECHAT_PUSH_FORWARD=https://inner.example.com/push?x=1", tt.variable))
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(c.Pushes, tt.want) || c.PushForward != "https://inner.example.com/push?x=1" {
				t.Errorf("%d apps with pushes, want %d", len(c.Pushes), len(tt.want))
			}
		})
	}
}

func TestLoad_PushErrors(t *testing.T) {
	const form = "WECHAT_PUSH: an entry is not of the form appid:Token or appid:Token:EncodingAESKey"
	for name, tt := range map[string]struct{ variable, want string }{
		"no token":      {"WECHAT_PUSH=wx0123456789abcdef", form},
		"empty token":   {"WECHAT_PUSH=wx0123456789abcdef:", form},
		"empty key":     {"WECHAT_PUSH=wx0123456789abcdef:" + pushToken + ":", form},
		"four parts":    {"WECHAT_PUSH=wx0123456789abcdef:" + pushToken + ":" + pushKey + ":x", form},
		"another app":   {"WECHAT_PUSH=wxother:" + pushToken, "WECHAT_PUSH: an entry is not for one of the mini-programs"},
		"twice":         {"WECHAT_PUSH=wx0123456789abcdef:" + pushToken + ",wx0123456789abcdef:x", "WECHAT_PUSH: wx0123456789abcdef is listed twice"},
		"short key":     {"WECHAT_PUSH=wx0123456789abcdef:" + pushToken + ":" + pushKey[1:], "WECHAT_PUSH: push: EncodingAESKey must be 43 characters"},
		"no base64":     {"WECHAT_PUSH=wx0123456789abcdef:" + pushToken + ":" + pushKey[:42] + "_", "WECHAT_PUSH: push: EncodingAESKey must be 43 characters"},
		"bad forward":   {"WECHAT_PUSH_FORWARD=inner:8080", "WECHAT_PUSH_FORWARD is not an http or https URL"},
		"other forward": {"WECHAT_PUSH_FORWARD=ftp://inner", "WECHAT_PUSH_FORWARD is not an http or https URL"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := config.Load(environ(tt.variable))
			if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "\n") {
				t.Fatalf("%v, want %s", err, tt.want)
			}
			if strings.Contains(err.Error(), pushToken) || strings.Contains(err.Error(), pushKey[1:]) {
				t.Error("the error has the token or the key")
			}
		})
	}
}
