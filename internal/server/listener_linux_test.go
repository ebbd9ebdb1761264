package server

import (
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func TestDropNewConnections(t *testing.T) {
	l, err := listenTCP("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	pending, err := net.Dial("tcp", l.Addr().String()) // in the backlog, not accepted yet
	if err != nil {
		t.Fatal(err)
	}
	defer pending.Close()
	if err := dropNewConnections(l); err != nil {
		t.Fatal(err)
	}
	if late, err := net.DialTimeout("tcp", l.Addr().String(), shortTime); err == nil {
		late.Close()
		t.Error("a new connection is accepted")
	}
	if err := l.(*net.TCPListener).SetDeadline(time.Now().Add(testTimeout)); err != nil {
		t.Fatal(err)
	}
	conn, err := l.Accept()
	if err != nil {
		t.Fatalf("the pending connection is not accepted: %v", err)
	}
	defer conn.Close()
	if _, err := pending.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if n, err := conn.Read(make([]byte, 1)); n != 1 {
		t.Errorf("no data arrives: %v", err)
	}
}

func TestDrain_DropsNewConnections(t *testing.T) {
	w := newTestServer(t, delay(shortTime))
	w.server.Drain(t.Context())
	if late, err := net.DialTimeout("tcp", w.server.PublicAddr(), shortTime); err == nil {
		late.Close()
		t.Error("a new connection is accepted just before the port is closed")
	}
}

// freshClients send requests, each on a new connection, until none can be made.
type freshClients struct {
	sync.WaitGroup
	served, cutOff atomic.Int64
}

func (v *freshClients) post(url string) {
	client := &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true, DialContext: (&net.Dialer{Timeout: 4 * shortTime}).DialContext,
	}}
	for {
		res, err := client.Post(url, "text/plain", http.NoBody)
		if dial, ok := errors.AsType[*net.OpError](err); ok && dial.Op == "dial" {
			return
		}
		if err != nil {
			v.cutOff.Add(1)
			return
		}
		res.Body.Close()
		v.served.Add(1)
	}
}

// http.Server.Shutdown alone would reset some of these connections: those in the backlog, and those just accepted.
func TestListener_StopUnderLoad(t *testing.T) {
	for range 10 {
		l, err := newListener(listenerOptions{
			addr: "127.0.0.1:0", limits: defaultLimits, logger: slog.New(slog.DiscardHandler), handler: http.NotFoundHandler(),
		})
		if err != nil {
			t.Fatal(err)
		}
		go l.serve()
		var v freshClients
		for range 16 {
			v.Go(func() { v.post("http://" + l.Addr().String()) })
		}
		waitUntil(t, "requests are served", func() bool { return v.served.Load() > 100 })
		if err := dropNewConnections(l.Listener); err != nil {
			t.Fatal(err)
		}
		sleep(t.Context(), shortTime)
		if err := l.stop(t.Context()); err != nil {
			t.Error(err)
		}
		v.Wait()
		if v.cutOff.Load() != 0 {
			t.Errorf("%d requests of %d were cut off", v.cutOff.Load(), v.cutOff.Load()+v.served.Load())
		}
	}
}
