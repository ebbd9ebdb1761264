package main

import (
	"io"
	"net"
	"strings"
	"sync"
)

// line is a TCP proxy between the server and one of its databases, which can be cut.
type line struct {
	net.Listener
	target string

	mu    sync.Mutex
	cuts  int // outages that have not ended
	conns map[net.Conn]struct{}
}

// newLine returns a line to an address. It must be closed.
func newLine(target string) (*line, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	l := &line{Listener: listener, target: target, conns: map[net.Conn]struct{}{}}
	go l.serve()
	return l, nil
}

// via returns a DSN or URL of the target with the line's address in it.
func (l *line) via(url string) string { return strings.Replace(url, l.target, l.Addr().String(), 1) }

// cut closes all connections, and new ones as well until restore is called.
func (l *line) cut() (restore func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cuts++
	for conn := range l.conns {
		conn.Close()
	}
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.cuts--
	}
}

// serve accepts connections until the line is closed, which cuts it too.
func (l *line) serve() {
	for {
		near, err := l.Accept()
		if err != nil {
			l.cut()
			return
		}
		far, err := net.Dial("tcp", l.target)
		if err != nil {
			near.Close()
			continue
		}
		go l.copy(near, far)
		go l.copy(far, near)
	}
}

// copy copies from one connection to the other until one of them ends, and closes both.
func (l *line) copy(from, to net.Conn) {
	l.mu.Lock()
	l.conns[from] = struct{}{}
	if l.cuts > 0 {
		from.Close()
	}
	l.mu.Unlock()
	io.Copy(to, from)
	from.Close()
	to.Close()
	l.mu.Lock()
	delete(l.conns, from)
	l.mu.Unlock()
}
