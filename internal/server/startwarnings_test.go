package server

import (
	"os"
	"runtime"
	"strings"
	"testing"
)

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

// The image that this repository builds must not warn of itself.
func TestIsPatchedGo_Dockerfile(t *testing.T) {
	dockerfile, err := os.ReadFile("../../Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	_, tag, _ := strings.Cut(string(dockerfile), " golang:")
	tag, _, _ = strings.Cut(tag, " ")
	if !isPatchedGo("go" + tag) {
		t.Errorf("it is built with Go %s", tag)
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
		w := newWire(t, listenerLimits)
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
			w := newWire(t, listenerLimits, func(c *Config) { c.WeChatAPIBase = test.base })
			if got := strings.Count(w.log.String(), plainHTTP); got != test.want {
				t.Errorf("warned %d times, want %d:\n%s", got, test.want, w.log.String())
			}
			if strings.Contains(w.log.String(), testSecret) {
				t.Error("the log shows the AppSecret")
			}
		})
	}
}
