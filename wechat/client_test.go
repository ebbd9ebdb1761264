package wechat_test

import (
	"strings"
	"testing"
	"time"

	"wxlogin/wechat"
)

func TestNewClient_refuses(t *testing.T) {
	good := wechat.Options{AppID: testAppID, Secret: testSecret}
	tests := map[string]struct {
		change func(*wechat.Options)
		want   []string
	}{
		"an_empty_appid":             {func(o *wechat.Options) { o.AppID = "" }, []string{"appid is empty"}},
		"an_appid_with_a_newline":    {func(o *wechat.Options) { o.AppID += "\n" }, []string{"appid holds"}},
		"an_empty_secret":            {func(o *wechat.Options) { o.Secret = "" }, []string{"appsecret is empty"}},
		"a_secret_with_a_newline":    {func(o *wechat.Options) { o.Secret += "\n" }, []string{"appsecret holds"}},
		"a_relative_base_url":        {func(o *wechat.Options) { o.BaseURL = "api.weixin.qq.com" }, []string{"base URL"}},
		"a_base_url_of_another_kind": {func(o *wechat.Options) { o.BaseURL = "ftp://api.weixin.qq.com" }, []string{"base URL"}},
		"a_base_url_without_host":    {func(o *wechat.Options) { o.BaseURL = "https://:443" }, []string{"base URL"}},
		"a_base_url_with_password":   {func(o *wechat.Options) { o.BaseURL = "https://u:p@host" }, []string{"base URL"}},
		"a_base_url_with_query":      {func(o *wechat.Options) { o.BaseURL = "https://host/?a=b" }, []string{"base URL"}},
		"a_negative_timeout":         {func(o *wechat.Options) { o.Timeout = -time.Second }, []string{"time-out"}},
		"all_faults_at_once": {
			func(o *wechat.Options) { *o = wechat.Options{BaseURL: "::", Timeout: -1} },
			[]string{"appid is empty", "appsecret is empty", "base URL", "time-out"},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			o := good
			test.change(&o)
			_, err := wechat.NewClient(o)
			if err == nil {
				t.Fatal("no error")
			}
			for _, want := range test.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error %q does not say %q", err, want)
				}
			}
			if strings.Contains(err.Error(), testSecret) || strings.Contains(err.Error(), "u:p") {
				t.Error("the error holds a secret")
			}
		})
	}
}

func TestNewClient_accepts_a_base_url_with_a_trailing_slash(t *testing.T) {
	var calls int
	transport := answering(&calls, goodAnswer)
	c := newClient(t, wechat.Options{BaseURL: "https://example.com/wechat/", Transport: transport})
	if _, err := c.Code2Session(t.Context(), testCode); err != nil {
		t.Fatal(err)
	}
	if c.AppID() != testAppID {
		t.Errorf("AppID() = %q", c.AppID())
	}
}
