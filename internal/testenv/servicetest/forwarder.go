package servicetest

import (
	"io"
	"net"
	"sync"
	"testing"
)

// forwarder passes connections on to an address until it is cut.
type forwarder struct {
	addr string

	mu     sync.Mutex
	conns  []net.Conn
	closed bool
}

func startForwarder(t *testing.T, target string) *forwarder {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &forwarder{addr: listener.Addr().String()}
	t.Cleanup(func() {
		listener.Close()
		f.cut()
	})
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			f.pass(client, target)
		}
	}()
	return f
}

// pass connects a client with the target. It does nothing but close once the forwarder is cut.
func (f *forwarder) pass(client net.Conn, target string) {
	server, err := net.Dial("tcp", target)
	if err != nil || !f.keep(client, server) {
		client.Close()
		return
	}
	for _, way := range [][2]net.Conn{{client, server}, {server, client}} {
		go func() {
			io.Copy(way[0], way[1])
			way[0].Close()
		}()
	}
}

// keep remembers connections for cut. It reports whether the forwarder still passes any.
func (f *forwarder) keep(conns ...net.Conn) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.conns = append(f.conns, conns...)
	return !f.closed
}

// cut closes all connections, and those that come later.
func (f *forwarder) cut() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
	for _, conn := range f.conns {
		conn.Close()
	}
}
