package server

import (
	"context"
	"net"
	"net/http"
	"sync"
)

// busyConns knows the connections that are owed an answer: those that have sent nothing yet, and those at a request.
type busyConns struct {
	mu      sync.Mutex
	conns   map[net.Conn]struct{}
	changed chan struct{} // holds one entry when a connection left since the last look
}

func newBusyConns() *busyConns {
	return &busyConns{conns: make(map[net.Conn]struct{}), changed: make(chan struct{}, 1)}
}

// track is an http.Server's ConnState hook.
func (b *busyConns) track(c net.Conn, state http.ConnState) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if state == http.StateNew || state == http.StateActive {
		b.conns[c] = struct{}{}
		return
	}
	delete(b.conns, c)
	select {
	case b.changed <- struct{}{}:
	default:
	}
}

func (b *busyConns) count() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.conns)
}

// wait returns when no connection is busy, or with ctx's error. Connections that send nothing end by themselves: the
// server's time-out for the header ends them.
func (b *busyConns) wait(ctx context.Context) error {
	for {
		if b.count() == 0 {
			return nil
		}
		select {
		case <-b.changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
