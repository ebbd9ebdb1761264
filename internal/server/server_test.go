package server_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"wxlogin/internal/server"
	"wxlogin/internal/testenv"
	"wxlogin/internal/testenv/mysqltest"
	"wxlogin/internal/testenv/redistest"
)

func config(t *testing.T) server.Config {
	return server.Config{
		App:      server.SingleApp{AppID: "wx0123456789abcdef", Secret: goodSecret},
		MySQLDSN: mysqltest.New(t), RedisURL: testenv.NewRedis(t).URL,
		ListenAddr: "127.0.0.1:0", InternalAddr: "127.0.0.1:0", WeChatAPIBase: "http://127.0.0.1:1",
		SessionIdleTTL: time.Hour, SessionMaxTTL: 2 * time.Hour,
	}
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	res, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(b)
}

func TestStart_and_Shutdown(t *testing.T) {
	c := config(t)
	s, err := server.Start(t.Context(), c, server.NewLogger(server.LogConfig{}, io.Discard))
	if err != nil {
		t.Fatal(err)
	}
	if status, body := get(t, "http://"+s.InternalAddr()+"/readyz"); status != http.StatusServiceUnavailable {
		t.Errorf("readyz without tables: %d %s", status, body)
	}
	if _, err := server.Migrate(t.Context(), server.MigrateConfig{MySQLDSN: c.MySQLDSN}, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	if status, body := get(t, "http://"+s.InternalAddr()+"/readyz"); status != http.StatusOK {
		t.Errorf("readyz: %d %s", status, body)
	}
	if err := s.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	for _, addr := range []string{s.PublicAddr(), s.InternalAddr()} {
		if c, err := net.Dial("tcp", addr); err == nil {
			c.Close()
			t.Errorf("%s is still open", addr)
		}
	}
}

func TestStart_says_which_port_is_taken_and_leaves_nothing_open(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	c := config(t)
	c.InternalAddr = taken.Addr().String()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c.ListenAddr = free.Addr().String()
	free.Close()
	if _, err := server.Start(t.Context(), c, server.NewLogger(server.LogConfig{}, io.Discard)); err == nil || !strings.Contains(err.Error(), "INTERNAL_ADDR") {
		t.Fatalf("Start: %v", err)
	}
	again, err := net.Listen("tcp", c.ListenAddr)
	if err != nil {
		t.Fatalf("the other port is still open: %v", err)
	}
	again.Close()
}

func TestStart_says_that_the_database_must_be_migrated(t *testing.T) {
	c := config(t)
	for _, wanted := range []bool{true, false} {
		var log testenv.Log
		s, err := server.Start(t.Context(), c, server.NewLogger(server.LogConfig{Format: "json"}, &log))
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		if told := strings.Contains(log.String(), "wxlogin migrate"); told != wanted {
			t.Errorf("told %v, want %v:\n%s", told, wanted, log.String())
		}
		if _, err := server.Migrate(t.Context(), server.MigrateConfig{MySQLDSN: c.MySQLDSN}, slog.New(slog.DiscardHandler)); err != nil {
			t.Fatal(err)
		}
	}
}

// A database that is down is no reason not to start: order does not matter, readiness tells.
func TestStart_without_databases_is_not_ready(t *testing.T) {
	c := config(t)
	c.MySQLDSN, c.RedisURL = "root@tcp(127.0.0.1:1)/wxlogin", "redis://127.0.0.1:1"
	var log testenv.Log
	logger := server.NewLogger(server.LogConfig{Format: "json"}, &log)
	server.RouteRedisLog(logger)
	const oldGo = 1 // the warning of a Go release, if this one is old
	s, err := server.Start(t.Context(), c, logger)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Shutdown(t.Context())
	status, body := get(t, "http://"+s.InternalAddr()+"/readyz")
	if status != http.StatusServiceUnavailable || !strings.Contains(body, `"mysql":"failed"`) || !strings.Contains(body, `"redis":"failed"`) {
		t.Errorf("readyz: %d %s", status, body)
	}
	if status, _ := get(t, "http://"+s.InternalAddr()+"/healthz"); status != http.StatusOK {
		t.Errorf("healthz: %d", status)
	}
	for range 3 { // what fails meanwhile adds no line about it
		get(t, "http://"+s.InternalAddr()+"/readyz")
	}
	for _, part := range []string{"mysql", "redis"} {
		if n := strings.Count(log.String(), part+" is not ready; waiting for it"); n != 1 {
			t.Errorf("the log says %d times that %s is away:\n%s", n, part, log.String())
		}
	}
	if n := strings.Count(log.String(), `"level":"WARN"`) + strings.Count(log.String(), `"level":"ERROR"`); n > 2+oldGo {
		t.Errorf("the log has %d warnings:\n%s", n, log.String())
	}
}

// A Redis that no waiting mends ends the start, and leaves nothing open; one that may become well is waited for.
func TestStart_looks_at_Redis(t *testing.T) {
	for name, test := range map[string]struct {
		setting, path string
		starts        bool
	}{
		"another_database": {"databases 2", "/2", false},
		"without_GETEX":    {`rename-command GETEX ""`, "", false},
		"replica":          {"replicaof 127.0.0.1 1", "", true},
	} {
		t.Run(name, func(t *testing.T) {
			c := config(t)
			redis := redistest.RunServer(t, func(int) []string { return []string{test.setting} })
			c.RedisURL = "redis://" + redis.Addr + test.path
			if _, err := server.Migrate(t.Context(), server.MigrateConfig{MySQLDSN: c.MySQLDSN}, slog.New(slog.DiscardHandler)); err != nil {
				t.Fatal(err)
			}
			s, err := server.Start(t.Context(), c, server.NewLogger(server.LogConfig{}, io.Discard))
			if !test.starts {
				if !errors.Is(err, server.ErrMisconfigured) || !strings.HasPrefix(err.Error(), "REDIS_URL: ") {
					t.Fatalf("Start: %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			defer s.Shutdown(t.Context())
			status, body := get(t, "http://"+s.InternalAddr()+"/readyz")
			if status != http.StatusServiceUnavailable || !strings.Contains(body, `"redis":"failed"`) {
				t.Errorf("readyz: %d %s", status, body)
			}
		})
	}
}

// What cannot be configured right ends the start.
func TestStart_refuses_unusable_parts(t *testing.T) {
	for name, change := range map[string]func(*server.Config){
		"redis_url": func(c *server.Config) { c.RedisURL = "http://x" },
		"dsn":       func(c *server.Config) { c.MySQLDSN = "x" },
		"apps":      func(c *server.Config) { c.App = server.SingleApp{} },
		"secret":    func(c *server.Config) { c.App.Secret = "" },
		"ttl":       func(c *server.Config) { c.SessionIdleTTL = time.Millisecond },
	} {
		t.Run(name, func(t *testing.T) {
			c := config(t)
			change(&c)
			if s, err := server.Start(t.Context(), c, server.NewLogger(server.LogConfig{}, io.Discard)); err == nil {
				s.Shutdown(t.Context())
				t.Error("it started")
			}
		})
	}
}
