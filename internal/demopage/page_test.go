package demopage

import (
	"compress/gzip"
	"encoding/json"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/redis/go-redis/v9"

	"wxlogin/internal/testenv/redistest"
	"wxlogin/wechat/wechattest"
)

func TestIsLoopback(t *testing.T) {
	for host, want := range map[string]bool{
		"127.0.0.1:8080": true, "127.0.0.1": true, "localhost:1": true, "localhost": true, "[::1]:80": true, "[::1]": true,
		"evil.example": false, "evil.example:80": false, "localhost.evil.example": false, "10.0.0.1:80": false, "": false,
		"127.0.0.1.evil.example:80": false,
	} {
		if got := isLoopback(host); got != want {
			t.Errorf("%q: %v, want %v", host, got, want)
		}
	}
}

// newTestPage returns a Page without databases, for tests that need none.
func newTestPage(t *testing.T, server http.Handler) *Page {
	t.Helper()
	upstream := httptest.NewServer(server)
	t.Cleanup(upstream.Close)
	address, err := http.NewRequest(http.MethodGet, upstream.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	p, err := New(Options{
		Wire: NewWire(), WeChat: wechattest.New(wechattest.Options{Apps: map[string]string{wechattest.DemoAppID: wechattest.DemoSecret}}),
		Server: address.URL, AppIDs: []string{wechattest.DemoAppID}, Scripts: []fs.FS{fstest.MapFS{"a/wx.js": {Data: []byte("exports.a = 1;")}, "a/b.txt": {}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestPage_RejectedRequests(t *testing.T) {
	p := newTestPage(t, http.NotFoundHandler())
	for name, tt := range map[string]struct {
		method, target, origin string
		status                 int
	}{
		"another host":                    {http.MethodGet, "http://evil.example/", "", http.StatusMisdirectedRequest},
		"another origin":                  {http.MethodPost, "http://127.0.0.1/phones/a/faults/busy", "https://evil.example", http.StatusForbidden},
		"invalid phone id":                {http.MethodGet, "http://127.0.0.1/phones/A_B/events", "", http.StatusNotFound},
		"unknown fault":                   {http.MethodPost, "http://127.0.0.1/phones/a/faults/fire", "", http.StatusNotFound},
		"control with secrets":            {http.MethodPost, "http://127.0.0.1/phones/a/wechat/sim/account", "", http.StatusNotFound},
		"control that phones may not use": {http.MethodPost, "http://127.0.0.1/phones/a/wechat/sim/fault", "", http.StatusNotFound},
	} {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequest(tt.method, tt.target, nil)
			if tt.origin != "" {
				r.Header.Set("Origin", tt.origin)
			}
			w := httptest.NewRecorder()
			p.ServeHTTP(w, r)
			if w.Code != tt.status {
				t.Errorf("status %d, want %d", w.Code, tt.status)
			}
		})
	}
}

// Even if a request names another user, it acts for the phone's owner.
func TestPage_CallWeChat(t *testing.T) {
	p := newTestPage(t, http.NotFoundHandler())
	r := httptest.NewRequest(http.MethodPost, "http://127.0.0.1/phones/ann/wechat/sim/chooseavatar?user=bob&appid="+wechattest.DemoAppID, nil)
	w := httptest.NewRecorder()
	p.ServeHTTP(w, r)
	bob := p.WeChat.Device(wechattest.DemoAppID, wechattest.User{Name: "bob"}).ChooseAvatar().Data
	ann := p.WeChat.Device(wechattest.DemoAppID, wechattest.User{Name: "ann"}).ChooseAvatar().Data
	if got := readPicture(t, w); string(got) == string(bob) || string(got) != string(ann) {
		t.Error("the picture is not Ann's")
	}
}

func TestPage_ServerUnreachable(t *testing.T) {
	p := newTestPage(t, http.NotFoundHandler())
	p.Server.Host = "127.0.0.1:1"
	w := httptest.NewRecorder()
	p.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "http://127.0.0.1/phones/ann/server/userInfo", nil))
	if w.Code != http.StatusBadGateway {
		t.Errorf("status %d", w.Code)
	}
	events, _ := p.Wire.phone("ann").since(0)
	if len(events) != 2 || events[1].Status != http.StatusBadGateway {
		t.Errorf("events %+v", events)
	}
}

func readPicture(t *testing.T, w *httptest.ResponseRecorder) []byte {
	t.Helper()
	var file wechattest.TempFile
	if err := json.Unmarshal(w.Body.Bytes(), &file); err != nil {
		t.Fatal(err)
	}
	return file.Data
}

func TestPage_Files(t *testing.T) {
	p := newTestPage(t, http.NotFoundHandler())
	for path, contentType := range map[string]string{
		"/": "text/html; charset=utf-8", "/assets/page.js": "text/javascript; charset=utf-8", "/assets/page.css": "text/css; charset=utf-8", "/assets/words.json": "application/json",
		"/bundle.js": "text/javascript; charset=utf-8",
	} {
		plain, zipped := get(p, path, ""), get(p, path, "gzip, br")
		if plain.Code != http.StatusOK || plain.Header().Get("Content-Type") != contentType {
			t.Errorf("%s: %d, %s", path, plain.Code, plain.Header().Get("Content-Type"))
		}
		unzipped, err := gzip.NewReader(zipped.Body)
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		content, err := io.ReadAll(unzipped)
		if err != nil || string(content) != plain.Body.String() {
			t.Errorf("%s: the compressed content differs (%v)", path, err)
		}
		if policy := plain.Header().Get("Content-Security-Policy"); !strings.HasPrefix(policy, "default-src 'none'") {
			t.Errorf("%s: the policy is %q", path, policy)
		}
	}
	const module = "\"wx.js\"(require, module, exports, wx) {\nexports.a = 1;\n},\n"
	if bundle := get(p, "/bundle.js", "").Body.String(); !strings.Contains(bundle, module) || strings.Contains(bundle, "b.txt") {
		t.Errorf("the bundle is %s", bundle)
	}
	if got := get(p, "/assets/index.html", "").Code; got != http.StatusNotFound {
		t.Errorf("index.html is served at a second path: %d", got)
	}
}

func get(p *Page, path, encoding string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, "http://localhost"+path, nil)
	r.Header.Set("Accept-Encoding", encoding)
	w := httptest.NewRecorder()
	p.ServeHTTP(w, r)
	return w
}

func TestEventLog(t *testing.T) {
	t.Run("keeps the latest events", func(t *testing.T) {
		l := newEventLog()
		for range maxEvents + 50 {
			l.add(event{Type: "note"})
		}
		events, _ := l.since(0)
		if len(events) != maxEvents || events[0].ID != 51 || events[len(events)-1].ID != maxEvents+50 {
			t.Fatalf("%d events, from %d", len(events), events[0].ID)
		}
		if events, _ := l.since(maxEvents + 48); len(events) != 2 {
			t.Errorf("%d events after the last but two", len(events))
		}
		if events, _ := l.since(1 << 30); len(events) != 0 {
			t.Errorf("%d events after a future one", len(events))
		}
	})

	// A reader that waits if there is nothing new sees every event once and in order, even if several writers add them.
	t.Run("delivers every event to a waiting reader", func(t *testing.T) {
		const writers, each = 4, 50 // together no more than maxEvents
		l := newEventLog()
		var wg sync.WaitGroup
		for range writers {
			wg.Go(func() {
				for range each {
					l.add(event{Type: "note"})
				}
			})
		}
		for last := 0; last < writers*each; {
			events, changed := l.since(last)
			for _, e := range events {
				if e.ID != last+1 {
					t.Fatalf("event %d follows %d", e.ID, last)
				}
				last = e.ID
			}
			if len(events) == 0 {
				<-changed
			}
		}
		wg.Wait()
	})
}

func newStorage(t *testing.T) Storage {
	t.Helper()
	options, err := redis.ParseURL(redistest.NewServer(t).URL)
	if err != nil {
		t.Fatal(err)
	}
	client := redis.NewClient(options)
	t.Cleanup(func() { client.Close() })
	return Storage{Redis: client}
}

func TestStorage_Keys(t *testing.T) {
	// A key may be read between the commands that set its value and its TTL.
	t.Run("waits for the TTL of a new key", func(t *testing.T) {
		name := indexPrefix + "wx0:o0"
		storage := newStorage(t)
		if err := storage.Redis.ZAdd(t.Context(), name, redis.Z{Member: "hash"}).Err(); err != nil {
			t.Fatal(err)
		}
		expireErr := make(chan error, 1)
		go func() { expireErr <- storage.Redis.PExpire(t.Context(), name, time.Hour).Err() }()
		keys, err := storage.Keys(t.Context(), "*")
		if err != nil || len(keys) != 1 || keys[0].Name != name || keys[0].ExpiresIn <= 0 || keys[0].ExpiresIn > 3600 {
			t.Errorf("%v, %v", keys, err)
		}
		if err := <-expireErr; err != nil {
			t.Error(err)
		}
	})

	t.Run("fails for a key that never expires", func(t *testing.T) {
		storage := newStorage(t)
		if err := storage.Redis.Set(t.Context(), sessionPrefix+"hash", "sealed", 0).Err(); err != nil {
			t.Fatal(err)
		}
		if keys, err := storage.Keys(t.Context(), "*"); err == nil {
			t.Errorf("no error, but %v", keys)
		}
	})
}
