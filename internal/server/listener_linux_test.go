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
	waiting, err := net.Dial("tcp", l.Addr().String()) // the kernel has it; nobody has taken it
	if err != nil {
		t.Fatal(err)
	}
	defer waiting.Close()
	if err := dropNewConnections(l); err != nil {
		t.Fatal(err)
	}
	if late, err := net.DialTimeout("tcp", l.Addr().String(), shortTime); err == nil {
		late.Close()
		t.Error("a new connection is let in")
	}
	if err := l.(*net.TCPListener).SetDeadline(time.Now().Add(testTimeout)); err != nil {
		t.Fatal(err)
	}
	conn, err := l.Accept()
	if err != nil {
		t.Fatalf("the one that waits is not let in: %v", err)
	}
	defer conn.Close()
	if _, err := waiting.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if n, err := conn.Read(make([]byte, 1)); n != 1 {
		t.Errorf("nothing comes through: %v", err)
	}
}

func TestDrain_DropsNewConnections(t *testing.T) {
	w := newTestServer(t, delay(shortTime))
	w.server.Drain(t.Context())
	if late, err := net.DialTimeout("tcp", w.server.PublicAddr(), shortTime); err == nil {
		late.Close()
		t.Error("a new connection is let in right before the port is closed")
	}
}

// visitors come all the time, on a fresh connection each, until none can be made.
type freshClients struct {
	sync.WaitGroup
	answered, cutOff atomic.Int64
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
		v.answered.Add(1)
	}
}

// By http.Server.Shutdown alone some of these would be reset: those that the kernel had already, or the server just took.
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
		waitUntil(t, "they come", func() bool { return v.answered.Load() > 100 })
		if err := dropNewConnections(l.Listener); err != nil {
			t.Fatal(err)
		}
		sleep(t.Context(), shortTime)
		if err := l.stop(t.Context()); err != nil {
			t.Error(err)
		}
		v.Wait()
		if v.cutOff.Load() != 0 {
			t.Errorf("%d requests of %d were cut", v.cutOff.Load(), v.cutOff.Load()+v.answered.Load())
		}
	}
}
