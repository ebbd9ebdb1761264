package gateway_test

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"
)

// tap hands requests on, and keeps what they were.
type tap struct {
	addr string // host:port

	mu    sync.Mutex
	seen  []*http.Request // without their bodies
	body  int             // bytes, of all together
	conns int
}

func startTap(t *testing.T, target string) *tap {
	t.Helper()
	proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: target})
	p := &tap{}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		p.note(r, len(body))
		r.Body = io.NopCloser(strings.NewReader(string(body)))
		proxy.ServeHTTP(w, r)
	}))
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.conns++
		}
	}
	server.Start()
	t.Cleanup(server.Close)
	p.addr = server.Listener.Addr().String()
	return p
}

func (p *tap) note(r *http.Request, body int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.seen = append(p.seen, r.Clone(r.Context()))
	p.body += body
}

func (p *tap) requests() []*http.Request {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.seen
}

// last is the newest request.
func (p *tap) last(t *testing.T) *http.Request {
	t.Helper()
	seen := p.requests()
	if len(seen) == 0 {
		t.Fatal("nothing came")
	}
	return seen[len(seen)-1]
}

// wantNothing checks that none came.
func (p *tap) wantNothing(t *testing.T) {
	t.Helper()
	if n := len(p.requests()); n != 0 {
		t.Errorf("%d requests reached the service", n)
	}
}

// connections and bytes of bodies that came.
func (p *tap) sums() (conns, body int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.conns, p.body
}
