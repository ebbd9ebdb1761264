package store_test

import (
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"wxlogin/store"
)

// gate has statements hang, as many as are sent alone, so that later ones wait and go together.
type gate struct {
	hanging atomic.Int64
	closed  chan struct{}
	open    func()
	calls   sync.WaitGroup // end when the gate is open, and before the test does
}

// newGate has the next statements with a verb hang.
func newGate(t *testing.T, w *wire, verb string) *gate {
	t.Helper()
	g := &gate{closed: make(chan struct{})}
	g.open = sync.OnceFunc(func() { close(g.closed) })
	t.Cleanup(g.release)
	w.reset()
	w.sabotage(func(sql string) error {
		if strings.HasPrefix(sql, verb) && g.hanging.Add(1) <= store.FewAlone {
			<-g.closed
		}
		return nil
	}, nil)
	return g
}

// waitFor waits until as many statements hang.
func (g *gate) waitFor(t testing.TB, n int) {
	t.Helper()
	waitFor(t, func() bool { return g.hanging.Load() == int64(n) })
}

// release opens the gate and waits for all calls.
func (g *gate) release() {
	g.open()
	g.calls.Wait()
}

func waitFor(t testing.TB, condition func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !condition(); runtime.Gosched() {
		if time.Now().After(end) {
			t.Fatal("waited for a minute")
		}
	}
}
