package embedded

import (
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"time"
)

// listener hands out connections that can be watched, and knows those that are open so that Close can end them.
type listener struct {
	net.Listener
	handlers sync.WaitGroup // one for each connection from Accept to forget

	mu     sync.Mutex
	conns   map[*clientConn]struct{}
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
	return &listener{Listener: l, conns: make(map[*clientConn]struct{})}, nil
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
	l.conns[conn] = struct{}{}
	if l.closed {
		raw.Close() // its handler is still to run: it meets a closed connection and ends
	}
	return conn, nil
}

// forget is told that the handler of a connection has ended.
func (l *listener) handlerDone(conn net.Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if c, ok := conn.(*clientConn); ok {
		delete(l.conns, c)
	}
	l.handlers.Done()
}

// closeConns closes every open connection and every later one.
func (l *listener) closeConns() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	for conn := range l.conns {
		conn.Close()
	}
}

// wait returns when the handlers of all connections have ended.
func (l *listener) wait() { l.handlers.Wait() }

// maxBuffered bounds what is kept of a client that sends while its statement is still running.
const maxBuffered = 64 << 10

// clientConn is a client's connection that can be watched while a statement waits or runs. Nothing reads from it in
// that time, so nobody would notice that the client has gone.
type clientConn struct {
	net.Conn

	mu    sync.Mutex
	buffered []byte        // what the watch has read, for the next Read
	watchDone chan struct{} // not nil while a watch runs; closed when its goroutine has ended
}

// Read ends a running watch, then reads what came first.
func (c *clientConn) Read(p []byte) (int, error) {
	c.stopWatch()
	c.mu.Lock()
	if len(c.buffered) > 0 {
		defer c.mu.Unlock()
		n := copy(p, c.buffered)
		c.buffered = c.buffered[n:]
		return n, nil
	}
	c.mu.Unlock()
	return c.Conn.Read(p)
}

// watch calls gone once when the client hangs up before the next Read or unwatch.
func (c *clientConn) watch(gone func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	ended := make(chan struct{})
	c.watchDone = ended
	go func() {
		defer close(ended)
		buf := make([]byte, 512)
		for len(c.buffered) < maxBuffered {
			n, err := c.Conn.Read(buf)
			c.buffered = append(c.buffered, buf[:n]...)
			if errors.Is(err, os.ErrDeadlineExceeded) {
				return
			}
			if err != nil {
				gone()
				return
			}
		}
	}()
}

// unwatch ends a running watch. While one runs, early belongs to its goroutine; afterwards to the caller.
func (c *clientConn) stopWatch() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.watchDone == nil {
		return
	}
	c.Conn.SetReadDeadline(time.Unix(1, 0)) // wakes the watch; a closed connection has woken it already
	<-c.watchDone
	c.Conn.SetReadDeadline(time.Time{})
	c.watchDone = nil
}
