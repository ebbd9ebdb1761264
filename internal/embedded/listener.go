package embedded

import (
	"fmt"
	"net"
	"sync"
)

// listener hands out connections that can be watched, and knows those that are open so that Close can end them.
type listener struct {
	net.Listener
	handlers sync.WaitGroup // one for each connection from Accept to forget

	mu     sync.Mutex
	open   map[*clientConn]struct{}
	closed bool
}

func listen(addr string) (*listener, error) {
	if err := RequireLoopback(addr); err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("embedded: %w", err)
	}
	return &listener{Listener: l, open: make(map[*clientConn]struct{})}, nil
}

// Accept waits for the next client.
func (l *listener) Accept() (net.Conn, error) {
	raw, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	conn := &clientConn{Conn: raw}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.handlers.Add(1)
	l.open[conn] = struct{}{}
	if l.closed {
		raw.Close() // its handler is still to run: it meets a closed connection and ends
	}
	return conn, nil
}

// forget is told that the handler of a connection has ended.
func (l *listener) forget(conn net.Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if c, ok := conn.(*clientConn); ok {
		delete(l.open, c)
	}
	l.handlers.Done()
}

// hangUp closes every open connection and every later one.
func (l *listener) hangUp() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	for conn := range l.open {
		conn.Close()
	}
}

// wait returns when the handlers of all connections have ended.
func (l *listener) wait() { l.handlers.Wait() }
