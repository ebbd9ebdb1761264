package wechat_test

import (
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"wxlogin/wechat"
	"wxlogin/wechat/wechattest"
)

func TestNewTransport_is_sized_for_load(t *testing.T) {
	transport := wechat.NewTransport()
	if transport.MaxIdleConnsPerHost < 100 || transport.MaxConnsPerHost < transport.MaxIdleConnsPerHost {
		t.Errorf("idle %d, most %d connections", transport.MaxIdleConnsPerHost, transport.MaxConnsPerHost)
	}
	if transport.TLSHandshakeTimeout <= 0 || transport.TLSHandshakeTimeout > 2*time.Second || transport.IdleConnTimeout <= 0 {
		t.Error("a time-out is missing")
	}
}

func TestNewTransport_reuses_the_connections_of_a_burst(t *testing.T) {
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
	// The client has an answer a moment before its connection is idle again, so that a few more may be opened.
	if n := opened.Load(); n > 2*burst {
		t.Errorf("%d connections opened for %d at a time", n, burst)
	}
}

// simulatedWith is a client for sim over a transport of one's own.
func simulatedWith(t *testing.T, sim http.Handler, transport http.RoundTripper) (*httptest.Server, *wechat.Client) {
	t.Helper()
	server := httptest.NewServer(sim)
	t.Cleanup(server.Close)
	return server, newClient(t, wechat.Options{BaseURL: server.URL, Transport: transport})
}
