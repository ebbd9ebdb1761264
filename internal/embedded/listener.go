package embedded

import (
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"time"
)

// listener accepts connections whose client can be watched, and tracks the open ones so that Close can end them.
type listener struct {
	net.Listener
	handlers sync.WaitGroup // one for each connection from Accept to handlerDone

	mu     sync.Mutex
	conns  map[*clientConn]struct{}
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
		raw.Close() // its handler still runs, and ends at the first read
	}
	return conn, nil
}

// handlerDone must be called when the handler of a connection has ended.
func (l *listener) handlerDone(conn net.Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if c, ok := conn.(*clientConn); ok {
		delete(l.conns, c)
	}
	l.handlers.Done()
}

// closeConns closes every open connection and every one accepted later.
func (l *listener) closeConns() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	for conn := range l.conns {
		conn.Close()
	}
}

// maxBuffered bounds what is buffered, in bytes, if a client sends data while its statement is still running.
const maxBuffered = 64 << 10

// clientConn is a client's connection that can be watched while a statement waits or runs. The handler does not read
// during that time, so it would not notice that the client has hung up.
type clientConn struct {
	net.Conn

	mu        sync.Mutex
	buffered  []byte        // read by the watch, for the next Read
	watchDone chan struct{} // not nil while a watch is running; closed when its goroutine has ended
}

// Read stops a running watch and returns what the watch has read first.
func (c *clientConn) Read(p []byte) (int, error) {
	c.stopWatch()
	c.mu.Lock()
	n := copy(p, c.buffered)
	c.buffered = c.buffered[n:]
	c.mu.Unlock()
	if n > 0 {
		return n, nil
	}
	return c.Conn.Read(p)
}

// watch calls onClose once if the client hangs up before the next Read or stopWatch.
func (c *clientConn) watch(onClose func()) {
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
				onClose()
				return
			}
		}
	}()
}

// stopWatch stops a running watch. While it runs, buffered belongs to its goroutine; afterwards to the caller.
func (c *clientConn) stopWatch() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.watchDone == nil {
		return
	}
	c.Conn.SetReadDeadline(time.Unix(1, 0)) // wakes the watch; if the connection is closed, it has ended already
	<-c.watchDone
	c.Conn.SetReadDeadline(time.Time{})
	c.watchDone = nil
}
