// Package testenv provides what many tests need: a clock that the test moves, a log that it can read, a CA, free addresses
// and waiting. Redis is in package redistest, MySQL in mysqltest: its embedded engine makes test binaries so large that
// fuzzing becomes slow. Package servertest starts the whole server.
package testenv

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// Clock is a clock that moves only by Advance. It starts at the present time, so that it agrees with a server's own
// clock.
type Clock struct {
	mu  sync.Mutex
	now time.Time
}

// NewClock returns a Clock that shows the present time.
func NewClock() *Clock { return &Clock{now: time.Now()} }

// Now returns the clock's time.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Advance moves the clock forward by d. To expire keys in Redis, use Redis.FastForward.
func (c *Clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// Log is a log that can be read while it is being written, for slog handlers. The zero value is empty.
type Log struct {
	mu   sync.Mutex
	text strings.Builder
}

// Write implements io.Writer.
func (l *Log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

// String returns everything written so far.
func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// FreeAddr returns a loopback host:port that is free at the moment, as [FreePort] does.
func FreeAddr(t testing.TB) string {
	t.Helper()
	port, err := FreePort()
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("127.0.0.1:%d", port)
}

// FreePort returns a port of 127.0.0.1 that is free at the moment, together with the one 10000 above it, by which the
// nodes of a Redis Cluster speak to each other. Both are below the usual range of ephemeral ports, so that no outgoing
// connection takes them before the caller listens.
func FreePort() (int, error) {
	for range 100 {
		port := 10000 + rand.IntN(10000)
		if isFree(port) && isFree(port+10000) {
			return port, nil
		}
	}
	return 0, errors.New("testenv: no free port")
}

func isFree(port int) bool {
	l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		return false
	}
	return l.Close() == nil
}

// Poll calls try until it succeeds. If that takes longer than the limit, it returns the last error.
func Poll(ctx context.Context, limit time.Duration, try func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := try(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("not within %v: %w", limit, err)
		}
	}
}

// Signal sends a signal, such as "CONT", to a process.
func Signal(name string, pid int) error {
	return exec.Command("kill", "-"+name, strconv.Itoa(pid)).Run()
}

// Suspend stops a process (SIGSTOP), and waits until every thread is stopped: one that still runs can answer a query.
func Suspend(ctx context.Context, pid int) error {
	if err := Signal("STOP", pid); err != nil {
		return err
	}
	return Poll(ctx, time.Minute, func(context.Context) error {
		threads, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid)) // none on systems without /proc
		for _, file := range threads {
			stat, err := os.ReadFile(file) // "123 (name) S …"; it fails if the thread has ended
			if _, state, _ := strings.Cut(string(stat), ") "); err == nil && !strings.HasPrefix(state, "T") {
				return fmt.Errorf("process %d still runs", pid)
			}
		}
		return nil
	})
}
