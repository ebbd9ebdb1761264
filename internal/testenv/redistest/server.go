package redistest

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
	"testing"
	"time"
)

// Server is a redis-server process.
type Server struct {
	Addr string // host:port
	dir  string
}

const (
	startTimeout = 10 * time.Second
	pollInterval = 20 * time.Millisecond
	maxAttempts  = 5 // another process may take the free port first
)

// Installed reports whether redis-server and redis-cli are installed.
func Installed() bool {
	for _, command := range []string{"redis-server", "redis-cli"} {
		if _, err := exec.LookPath(command); err != nil {
			return false
		}
	}
	return true
}

// StartServer starts a server with its files in dir, which it creates. The lines that settings returns for the port are
// added to the configuration.
func StartServer(ctx context.Context, dir string, settings func(port int) []string) (*Server, error) {
	return start(ctx, dir, func(port int) []string {
		return append([]string{`save ""`, "appendonly no"}, settings(port)...)
	})
}

func start(ctx context.Context, dir string, settings func(port int) []string, args ...string) (*Server, error) {
	var err error
	for range maxAttempts {
		var s *Server
		if s, err = startOnce(ctx, dir, settings, args); err == nil {
			return s, nil
		}
		if err := os.RemoveAll(dir); err != nil {
			return nil, err
		}
	}
	return nil, err
}

func startOnce(ctx context.Context, dir string, settings func(port int) []string, args []string) (*Server, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	port := freePort()
	s := &Server{Addr: fmt.Sprintf("127.0.0.1:%d", port), dir: dir}
	lines := append([]string{
		"bind 127.0.0.1", fmt.Sprintf("port %d", port), "daemonize yes",
		"dir " + strconv.Quote(dir), "pidfile " + strconv.Quote(s.file("pid")), "logfile " + strconv.Quote(s.file("log")),
	}, settings(port)...)
	if err := os.WriteFile(s.file("conf"), []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		return nil, err
	}
	if err := os.WriteFile(s.file("addr"), []byte(s.Addr), 0o600); err != nil {
		return nil, err
	}
	out, err := exec.CommandContext(ctx, "redis-server", append([]string{s.file("conf")}, args...)...).CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("redis-server: %w\n%s", err, out)
	}
	err = poll(ctx, startTimeout, func(context.Context) error {
		if _, err := s.pid(); err != nil {
			return err
		}
		return s.dial()
	})
	if err != nil {
		log, _ := os.ReadFile(s.file("log"))
		return nil, errors.Join(err, s.Kill(ctx), fmt.Errorf("log of redis-server: %s", log))
	}
	return s, nil
}

// findServer returns the server that was started with this dir.
func findServer(dir string) (*Server, error) {
	addr, err := os.ReadFile(filepath.Join(dir, "redis.addr"))
	return &Server{Addr: string(addr), dir: dir}, err
}

func (s *Server) file(ending string) string { return filepath.Join(s.dir, "redis."+ending) }

func (s *Server) pid() (int, error) {
	text, err := os.ReadFile(s.file("pid"))
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(strings.TrimSpace(string(text)))
}

func (s *Server) dial() error {
	c, err := net.DialTimeout("tcp", s.Addr, time.Second)
	if err != nil {
		return err
	}
	return c.Close()
}

// Kill kills the process (SIGKILL), like a crash, and waits until its port is closed. It is a no-op if the process has
// ended.
func (s *Server) Kill(ctx context.Context) error {
	pid, err := s.pid()
	if err != nil {
		return nil // never started, or killed already
	}
	process, err := os.FindProcess(pid)
	if err != nil {
		return err
	}
	if err := process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	if err := os.Remove(s.file("pid")); err != nil {
		return err
	}
	return poll(context.WithoutCancel(ctx), startTimeout, func(context.Context) error {
		if s.dial() == nil {
			return fmt.Errorf("%s still accepts connections", s.Addr)
		}
		return nil
	})
}

// Hang suspends the process (SIGSTOP), like an overloaded or disconnected machine. Its port stays open. Kill ends it.
func (s *Server) Hang(ctx context.Context) error {
	pid, err := s.pid()
	if err != nil {
		return err
	}
	return exec.CommandContext(ctx, "kill", "-STOP", strconv.Itoa(pid)).Run()
}

// freePort returns a port that is free together with the one 10000 above it, which the nodes of a Cluster use among
// themselves. Both are below the usual range of ephemeral ports.
func freePort() int {
	for {
		port := 10000 + rand.IntN(10000)
		if isFree(port) && isFree(port+10000) {
			return port
		}
	}
}

func isFree(port int) bool {
	l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		return false
	}
	return l.Close() == nil
}

// poll calls try until it succeeds. If that takes longer than the limit, it returns the last error.
func poll(ctx context.Context, limit time.Duration, try func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	tick := time.NewTicker(pollInterval)
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

// RunServer is StartServer for the duration of a test.
func RunServer(t testing.TB, settings func(port int) []string) *Server {
	t.Helper()
	skipUnlessInstalled(t)
	return startForTest(t, func(dir string) (*Server, error) { return StartServer(t.Context(), dir+"/redis", settings) })
}

func skipUnlessInstalled(t testing.TB) {
	t.Helper()
	if !Installed() {
		t.Skip("redis-server and redis-cli are not installed; the test needs real servers")
	}
}

// startForTest starts servers and kills them at the end of the test, before their files are removed.
func startForTest[S interface{ Kill(context.Context) error }](t testing.TB, start func(dir string) (S, error)) S {
	t.Helper()
	s, err := start(t.TempDir())
	if err != nil {
		t.Fatalf("redistest: %v", err)
	}
	t.Cleanup(func() {
		if err := s.Kill(context.Background()); err != nil {
			t.Errorf("redistest: %v", err)
		}
	})
	return s
}
