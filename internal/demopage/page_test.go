package demopage

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/fstest"

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
		Server: address.URL, AppIDs: []string{wechattest.DemoAppID}, MiniProgram: fstest.MapFS{}, Phone: fstest.MapFS{},
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
