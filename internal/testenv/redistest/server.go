package redistest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"wxlogin/internal/testenv"
)

// User is the name and password of an account that has exactly Rights.
const User = "wxlogin:only-what-is-needed"

// Rights are the permissions that wxlogin needs in Redis, as rules of ACL SETUSER. docs/operations.md documents them.
// select is only needed for a database other than 0; cluster|slots and asking only for a Cluster.
const Rights = "resetkeys ~wxlogin:* resetchannels -@all +ping +select +dbsize +get +set +getex +getdel +del +type +pttl " +
	"+pexpire +incrby +zadd +zrem +zrange +zrevrange +zremrangebyscore +eval +evalsha +cluster|slots +asking"

// SentinelUser is the name and password of an account on Sentinels that has exactly SentinelRights.
const SentinelUser = "watcher:watch-only"

// SentinelRights are the permissions that wxlogin needs on Sentinels.
const SentinelRights = "resetkeys resetchannels &+switch-master &+replica-reconf-done -@all +ping +subscribe " +
	"+sentinel|get-master-addr-by-name +sentinel|sentinels"

// Server is a redis-server process.
type Server struct {
	Addr string // host:port
	dir  string
}

const (
	startTimeout = 10 * time.Second
	maxAttempts  = 5 // another process may take the free port first

	noSnapshots = `save ""` // a setting
)

// start starts a server with its files in dir, which it creates, and waits until it accepts connections. In settings, which
// are lines of its configuration, $PORT is its port.
func start(ctx context.Context, dir string, settings []string, args ...string) (*Server, error) {
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

func startOnce(ctx context.Context, dir string, settings, args []string) (*Server, error) {
	port, err := testenv.FreePort()
	if err != nil {
		return nil, err
	}
	s := &Server{Addr: fmt.Sprintf("127.0.0.1:%d", port), dir: dir}
	lines := append([]string{
		"bind 127.0.0.1", "port $PORT", "daemonize yes",
		"dir " + strconv.Quote(dir), "pidfile " + strconv.Quote(s.file("pid")), "logfile " + strconv.Quote(s.file("log")),
	}, settings...)
	conf := strings.ReplaceAll(strings.Join(lines, "\n")+"\n", "$PORT", strconv.Itoa(port))
	err = errors.Join(os.MkdirAll(dir, 0o755), os.WriteFile(s.file("conf"), []byte(conf), 0o600),
		os.WriteFile(s.file("addr"), []byte(s.Addr), 0o600))
	if err != nil {
		return nil, err
	}
	out, err := exec.CommandContext(ctx, "redis-server", append([]string{s.file("conf")}, args...)...).CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("redis-server: %w\n%s", err, out)
	}
	err = testenv.Poll(ctx, startTimeout, func(context.Context) error {
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
	s := &Server{dir: dir}
	addr, err := os.ReadFile(s.file("addr"))
	s.Addr = string(addr)
	return s, err
}

func (s *Server) file(ending string) string { return filepath.Join(s.dir, "redis."+ending) }

func (s *Server) pid() (pid int, err error) {
	text, err := os.ReadFile(s.file("pid"))
	if err == nil {
		pid, err = strconv.Atoi(strings.TrimSpace(string(text)))
	}
	return pid, err
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
	return testenv.Poll(context.WithoutCancel(ctx), startTimeout, func(context.Context) error {
		if s.dial() == nil {
			return fmt.Errorf("%s still accepts connections", s.Addr)
		}
		return nil
	})
}

// Hang suspends the process, like an overloaded or disconnected machine. Its port stays open. Kill ends it.
func (s *Server) Hang(ctx context.Context) error {
	pid, err := s.pid()
	if err != nil {
		return err
	}
	return testenv.Suspend(ctx, pid)
}

// client returns a client with all rights. The caller closes it.
func (s *Server) client() *redis.Client { return redis.NewClient(&redis.Options{Addr: s.Addr}) }

// onEach calls do for every server, one after the other.
func onEach(ctx context.Context, servers []*Server, do func(context.Context, *redis.Client) error) error {
	for _, s := range servers {
		node := s.client()
		if err := errors.Join(do(ctx, node), node.Close()); err != nil {
			return fmt.Errorf("%s: %w", s.Addr, err)
		}
	}
	return nil
}

func addrs(servers []*Server) (addrs []string) {
	for _, s := range servers {
		addrs = append(addrs, s.Addr)
	}
	return addrs
}

// killAll kills servers. One that is nil was never started.
func killAll(ctx context.Context, servers []*Server) error {
	var errs []error
	for _, s := range servers {
		if s != nil {
			errs = append(errs, s.Kill(ctx))
		}
	}
	return errors.Join(errs...)
}

// addUser returns a function that creates an account (user:password) on a server.
func addUser(account, rights string) func(context.Context, *redis.Client) error {
	return func(ctx context.Context, server *redis.Client) error {
		name, password, _ := strings.Cut(account, ":")
		rules := append([]string{"reset", "on", ">" + password}, strings.Fields(rights)...)
		return server.ACLSetUser(ctx, name, rules...).Err()
	}
}

// RunServer starts a server for the duration of a test. settings are lines of its configuration, in which $PORT is its
// port.
func RunServer(t testing.TB, settings ...string) *Server {
	t.Helper()
	settings = append([]string{noSnapshots}, settings...)
	return runForTest(t, func(dir string) (*Server, error) { return start(t.Context(), dir+"/redis", settings) })
}

// runForTest starts servers, each in a folder within dir, and kills them at the end of the test, before their files are
// removed. It skips the test if Redis is not installed.
func runForTest[S interface{ Kill(context.Context) error }](t testing.TB, start func(dir string) (S, error)) S {
	t.Helper()
	for _, command := range []string{"redis-server", "redis-cli"} {
		if _, err := exec.LookPath(command); err != nil {
			t.Skipf("%s is not installed here; the test needs real servers", command)
		}
	}
	dir := t.TempDir()
	killIfKilled(t, dir)
	s, err := start(dir)
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

// killIfKilled kills the servers in dir if this process is killed before the test ends: the shell reads until then.
func killIfKilled(t testing.TB, dir string) {
	t.Helper()
	guard := exec.Command("sh", "-c", `trap "" INT; read -r line; kill -9 $(cat "$0"/*/redis.pid)`, dir)
	stdin, err := guard.StdinPipe()
	if err == nil {
		err = guard.Start()
	}
	if err != nil {
		t.Fatalf("redistest: %v", err)
	}
	t.Cleanup(func() {
		guard.Process.Kill()
		stdin.Close()
		guard.Wait()
	})
}
