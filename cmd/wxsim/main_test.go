package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"testing"

	"wxlogin/wechat"
	"wxlogin/wechat/wechattest"
)

// output is a buffer whose channel written is closed by the first write.
type output struct {
	mu      sync.Mutex
	text    bytes.Buffer
	written chan struct{}
	once    sync.Once
}

func newOutput() *output { return &output{written: make(chan struct{})} }

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	defer o.once.Do(func() { close(o.written) })
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// start runs wxsim on a free port until the test ends, and returns its URL and first output.
func start(t *testing.T, args ...string) (baseURL, greeting string) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	out, ended := newOutput(), make(chan error, 1)
	go func() { ended <- run(ctx, append([]string{"-addr", "127.0.0.1:0"}, args...), out, io.Discard) }()
	select {
	case <-out.written:
	case err := <-ended:
		t.Fatalf("run: %v", err)
	}
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("stopped with %v", err)
		}
	})
	baseURL = regexp.MustCompile(`http://\S+`).FindString(out.String())
	return baseURL, out.String()
}

func login(t *testing.T, baseURL, user string) (code string) {
	t.Helper()
	resp, err := http.Post(baseURL+"/sim/login?user="+user, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var body struct{ Code string }
	if err := json.NewDecoder(resp.Body).Decode(&body); err != nil {
		t.Fatal(err)
	}
	return body.Code
}

func TestRun(t *testing.T) {
	t.Run("serves one app", func(t *testing.T) {
		tests := map[string]struct {
			env           map[string]string
			args          []string
			appID, secret string
		}{
			"demo app":       {nil, nil, wechattest.DemoAppID, wechattest.DemoSecret},
			"flags":          {nil, []string{"-appid", "wx1", "-secret", "s1", "-latency", "1ms"}, "wx1", "s1"},
			"environment":    {map[string]string{"WECHAT_APPID": "wx2", "WECHAT_SECRET": "s2"}, nil, "wx2", "s2"},
			"flags override": {map[string]string{"WECHAT_APPID": "wx2", "WECHAT_SECRET": "s2"}, []string{"-appid", "wx3"}, "wx3", "s2"},
		}
		for name, test := range tests {
			t.Run(name, func(t *testing.T) {
				t.Setenv("WECHAT_APPID", "")
				t.Setenv("WECHAT_SECRET", "")
				t.Setenv("WECHAT_APPS", "")
				for k, v := range test.env {
					t.Setenv(k, v)
				}
				baseURL, greeting := start(t, test.args...)
				if !strings.Contains(greeting, test.appID) || strings.Contains(greeting, test.secret) {
					t.Error("the first output must name the appid and not the secret")
				}
				client, err := wechat.NewClient(wechat.Options{AppID: test.appID, Secret: wechat.Secret(test.secret), BaseURL: baseURL})
				if err != nil {
					t.Fatal(err)
				}
				if _, err := client.Code2Session(t.Context(), login(t, baseURL, "alice")); err != nil {
					t.Error(err)
				}
			})
		}
	})

	t.Run("serves several apps", func(t *testing.T) {
		t.Setenv("WECHAT_APPID", "wx1")
		t.Setenv("WECHAT_SECRET", "s1")
		t.Setenv("WECHAT_APPS", "wx2:s2,\n wx3:s3:old3")
		baseURL, _ := start(t)
		for appID, secret := range map[string]string{"wx1": "s1", "wx2": "s2", "wx3": "s3"} {
			client, err := wechat.NewClient(wechat.Options{AppID: appID, Secret: wechat.Secret(secret), BaseURL: baseURL})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := client.Code2Session(t.Context(), login(t, baseURL, "alice&appid="+appID)); err != nil {
				t.Errorf("%s: %v", appID, err)
			}
		}
		t.Setenv("WECHAT_APPS", "wx2")
		var stderr bytes.Buffer
		if err := run(t.Context(), nil, io.Discard, &stderr); !errors.Is(err, errUsage) || !strings.Contains(stderr.String(), "WECHAT_APPS") {
			t.Errorf("an entry without a secret: %v, %s", err, stderr.String())
		}
	})

	t.Run("pushes events to the server", func(t *testing.T) {
		t.Setenv("WECHAT_APPID", "wx1")
		t.Setenv("WECHAT_APPS", "wx2:s2")
		t.Setenv("WECHAT_PUSH", "wx1:token1, wx2:token2:"+strings.Repeat("k", 42)+"A")
		paths := make(chan string, 1)
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			paths <- r.URL.Path
			io.WriteString(w, "success")
		}))
		defer server.Close()
		event := func(baseURL, appID string) string {
			resp, err := http.Post(baseURL+"/sim/event?user=alice&event=user_info_modified&appid="+appID, "", nil)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			body, _ := io.ReadAll(resp.Body)
			return strings.TrimSpace(string(body))
		}
		baseURL, greeting := start(t, "-push-url", server.URL+"/")
		for _, appID := range []string{"wx1", "wx2"} {
			if got := event(baseURL, appID); got != `{"status":200,"body":"success"}` {
				t.Errorf("%s: %s", appID, got)
			}
			if path := <-paths; path != "/wechatPush/"+appID {
				t.Errorf("%s gets %s", appID, path)
			}
		}
		if strings.Contains(greeting, "token") {
			t.Error("the first output has a Token")
		}
		baseURL, _ = start(t, "-push", "wx2:token2", "-push-url", server.URL) // overrides the environment
		if got := event(baseURL, "wx1"); !strings.Contains(got, "no URL for pushes") {
			t.Errorf("wx1: %s", got)
		}
	})

	t.Run("checks the health of another simulator", func(t *testing.T) {
		baseURL, _ := start(t)
		addr := strings.TrimPrefix(baseURL, "http://")
		_, port, err := net.SplitHostPort(addr)
		if err != nil {
			t.Fatal(err)
		}
		for _, addr := range []string{addr, ":" + port, "0.0.0.0:" + port, "[::]:" + port} {
			if err := run(t.Context(), []string{"-healthcheck", "-addr", addr}, io.Discard, io.Discard); err != nil {
				t.Errorf("%s: %v", addr, err)
			}
		}
		for _, addr := range []string{"127.0.0.1:1", "nowhere", ""} {
			if err := run(t.Context(), []string{"-healthcheck", "-addr", addr}, io.Discard, io.Discard); err == nil {
				t.Errorf("%q: no error", addr)
			}
		}
	})

	t.Run("prints its help", func(t *testing.T) {
		var out, errs bytes.Buffer
		if err := run(t.Context(), []string{"-help"}, &out, &errs); err != nil || errs.Len() != 0 {
			t.Fatalf("%v, %q", err, errs.String())
		}
		for _, want := range []string{"-addr", "-appid", "-secret", "-latency", "-push", "-push-url", "-healthcheck", "127.0.0.1:8089", wechattest.DemoAppID, "WECHAT_SECRET"} {
			if !strings.Contains(out.String(), want) {
				t.Errorf("the help lacks %s", want)
			}
		}
	})

	t.Run("reports an address in use", func(t *testing.T) {
		baseURL, _ := start(t)
		err := run(t.Context(), []string{"-addr", strings.TrimPrefix(baseURL, "http://")}, io.Discard, io.Discard)
		if err == nil || errors.Is(err, errUsage) {
			t.Errorf("got %v", err)
		}
	})
}

func TestRun_InvalidCommandLine(t *testing.T) {
	for name, args := range map[string][]string{
		"unknown flag":     {"-nosuch"},
		"argument":         {"serve"},
		"latency in words": {"-latency", "slow"},
		"negative latency": {"-latency", "-1s"},
		"push of another":  {"-push", "wxother:token"},
		"push without":     {"-push", wechattest.DemoAppID},
		"push of 4 parts":  {"-push", wechattest.DemoAppID + ":t:k:x"},
		"bad push key":     {"-push", wechattest.DemoAppID + ":t:k"},
		"bad push URL":     {"-push", wechattest.DemoAppID + ":t", "-push-url", "127.0.0.1:8080"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("WECHAT_APPID", "")
			var out, errs bytes.Buffer
			err := run(t.Context(), args, &out, &errs)
			if !errors.Is(err, errUsage) || exitCode(err) != 2 || out.Len() != 0 || !strings.HasPrefix(errs.String(), "wxsim: ") {
				t.Errorf("%v, %q, %q", err, out.String(), errs.String())
			}
		})
	}
}

// A stop waits for requests in flight.
func TestServe(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	arrived, goOn := make(chan struct{}), make(chan struct{})
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(arrived)
		<-goOn
		io.WriteString(w, "response")
	})
	response, ended := make(chan string, 1), make(chan error, 1)
	go func() { ended <- serve(ctx, listener, handler) }()
	go func() {
		resp, err := http.Get("http://" + listener.Addr().String())
		if err != nil {
			response <- err.Error()
			return
		}
		defer resp.Body.Close()
		body, _ := io.ReadAll(resp.Body)
		response <- string(body)
	}()
	<-arrived
	stop()
	close(goOn)
	if got := <-response; got != "response" {
		t.Error(got)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
