package wechat_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"wxlogin/wechat"
	"wxlogin/wechat/wechattest"
)

func TestNewClient(t *testing.T) {
	t.Run("invalid options", func(t *testing.T) {
		good := wechat.Options{AppID: testAppID, Secret: testSecret}
		tests := map[string]struct {
			change func(*wechat.Options)
			want   []string
		}{
			"an empty appid":             {func(o *wechat.Options) { o.AppID = "" }, []string{"appid is empty"}},
			"an appid with a newline":    {func(o *wechat.Options) { o.AppID += "\n" }, []string{"appid has"}},
			"an empty secret":            {func(o *wechat.Options) { o.Secret = "" }, []string{"appsecret is empty"}},
			"a secret with a newline":    {func(o *wechat.Options) { o.Secret += "\n" }, []string{"appsecret has"}},
			"a relative base url":        {func(o *wechat.Options) { o.BaseURL = "api.weixin.qq.com" }, []string{"base URL"}},
			"a base url of another kind": {func(o *wechat.Options) { o.BaseURL = "ftp://api.weixin.qq.com" }, []string{"base URL"}},
			"a base url without host":    {func(o *wechat.Options) { o.BaseURL = "https://:443" }, []string{"base URL"}},
			"a base url with password":   {func(o *wechat.Options) { o.BaseURL = "https://u:p@host" }, []string{"base URL"}},
			"a base url with query":      {func(o *wechat.Options) { o.BaseURL = "https://host/?a=b" }, []string{"base URL"}},
			"a negative timeout":         {func(o *wechat.Options) { o.Timeout = -time.Second }, []string{"time-out"}},
			"all faults at once": {
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
						t.Errorf("error %q does not contain %q", err, want)
					}
				}
				if strings.Contains(err.Error(), testSecret) || strings.Contains(err.Error(), "u:p") {
					t.Error("the error holds a secret")
				}
			})
		}
	})

	t.Run("base URL with a trailing slash", func(t *testing.T) {
		var calls int
		transport := cannedResponses(&calls, goodResponse)
		c := newClient(t, wechat.Options{BaseURL: "https://example.com/wechat/", Transport: transport})
		if _, err := c.Code2Session(t.Context(), testCode); err != nil {
			t.Fatal(err)
		}
		if c.AppID() != testAppID {
			t.Errorf("AppID() = %q", c.AppID())
		}
	})
}

func TestNewTransport(t *testing.T) {
	t.Run("is sized for load", func(t *testing.T) {
		transport := wechat.NewTransport()
		if transport.MaxIdleConnsPerHost < 100 || transport.MaxConnsPerHost < transport.MaxIdleConnsPerHost {
			t.Errorf("idle %d, most %d connections", transport.MaxIdleConnsPerHost, transport.MaxConnsPerHost)
		}
		if transport.TLSHandshakeTimeout <= 0 || transport.TLSHandshakeTimeout > 2*time.Second || transport.IdleConnTimeout <= 0 {
			t.Error("a time-out is missing")
		}
	})

	t.Run("reuses the connections of a burst", func(t *testing.T) {
		const burst = 32
		sim := wechattest.New(wechattest.Options{Apps: map[string]string{testAppID: testSecret}})
		var opened atomic.Int32
		var together sync.WaitGroup // holds each burst until all of it is there, so that it needs as many connections
		server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			together.Done()
			together.Wait()
			sim.ServeHTTP(w, r)
		}))
		server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
			if state == http.StateNew {
				opened.Add(1)
			}
		}
		server.Start()
		defer server.Close()
		client := newClient(t, wechat.Options{BaseURL: server.URL})
		phone := sim.Device(testAppID, wechattest.User{Name: "alice"})
		for range 5 {
			together.Add(burst)
			var group sync.WaitGroup
			for range burst {
				group.Go(func() {
					if _, err := client.Code2Session(t.Context(), phone.Login()); err != nil {
						t.Error(err)
					}
				})
			}
			group.Wait()
		}
		// The client has the response shortly before its connection is idle again, so a few more may be opened.
		if n := opened.Load(); n > 2*burst {
			t.Errorf("%d connections opened for %d at a time", n, burst)
		}
	})
}

// newClientWith returns a client for sim with a transport.
func newClientWith(t *testing.T, sim http.Handler, transport http.RoundTripper) (*httptest.Server, *wechat.Client) {
	t.Helper()
	server := httptest.NewServer(sim)
	t.Cleanup(server.Close)
	return server, newClient(t, wechat.Options{BaseURL: server.URL, Transport: transport})
}

func TestSecret(t *testing.T) {
	t.Run("is not printed, logged or marshalled", func(t *testing.T) {
		session := wechat.Session{OpenID: "o1", UnionID: "o2", SessionKey: testKey}
		options := wechat.Options{AppID: testAppID, Secret: testSecret}
		client := newClient(t, options)
		number := wechat.PhoneNumber{CountryCode: "86", Number: testNumber}
		for name, v := range map[string]any{
			"session": session, "session pointer": &session, "session within": struct{ S wechat.Session }{session},
			"phone": number, "phone pointer": &number, "phone within": struct{ P wechat.PhoneNumber }{number},
			"options": options, "options pointer": &options, "client": client,
			"secret": wechat.Secret(testSecret), "secret within": struct{ S wechat.Secret }{testSecret},
			"secrets": []wechat.Secret{testSecret},
		} {
			t.Run(name, func(t *testing.T) {
				var out strings.Builder
				for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
					fmt.Fprintf(&out, verb+"\n", v)
				}
				slog.New(slog.NewTextHandler(&out, nil)).Info("x", "v", v)
				if !strings.HasPrefix(name, "options") { // options hold functions, which JSON refuses
					slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "v", v)
					text, err := json.Marshal(v)
					if err != nil {
						t.Fatal(err)
					}
					out.Write(text)
				}
				for _, secret := range []string{testSecret, testKey, testNumber, fmt.Sprintf("%x", testKey), fmt.Sprintf("%X", testSecret), fmt.Sprintf("%x", testSecret)} {
					if strings.Contains(out.String(), secret) {
						t.Error("a secret was printed")
					}
				}
			})
		}
	})

	t.Run("keeps its value", func(t *testing.T) {
		s := wechat.Session{OpenID: "o1", UnionID: "o2", SessionKey: testKey}
		if got, want := fmt.Sprintf("%+v", s), `{OpenID:o1 UnionID:o2 SessionKey:[redacted]}`; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		if string(s.SessionKey) != testKey {
			t.Error("the value is lost")
		}
		var config struct{ Secret wechat.Secret }
		if err := json.Unmarshal([]byte(`{"Secret":"`+testSecret+`"}`), &config); err != nil || config.Secret != testSecret {
			t.Errorf("read from JSON: %v", err)
		}
		if text, err := json.Marshal(config); err != nil || string(text) != `{"Secret":"[redacted]"}` {
			t.Errorf("got %s, %v", text, err)
		}
	})
}
