package server

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptrace"
	"strings"
	"syscall"
	"testing"
	"time"
	"wxlogin/internal/config"
)

func TestDrain(t *testing.T) {
	t.Run("serves on and is not ready", func(t *testing.T) {
		w := newTestServer(t, delay(time.Hour))
		if got := w.status("/readyz"); got != http.StatusOK {
			t.Fatalf("readyz before Drain: %d", got)
		}
		kept := w.dial() // a keep-alive connection
		if _, err := io.WriteString(kept, w.login()); err != nil {
			t.Fatal(err)
		}
		reader := bufio.NewReader(kept)
		if res, err := http.ReadResponse(reader, nil); err != nil || res.StatusCode != http.StatusOK || res.Close {
			t.Fatalf("a login before Drain: %v", err)
		} else if _, err := io.Copy(io.Discard, res.Body); err != nil {
			t.Fatal(err)
		}

		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		drained := inBackground(func() { w.server.Drain(ctx) })
		waitUntil(t, "readyz is 503", func() bool { return w.status("/readyz") == http.StatusServiceUnavailable })
		if got := w.status("/healthz"); got != http.StatusOK {
			t.Errorf("healthz is %d", got)
		}
		for name, conn := range map[string]net.Conn{"kept": kept, "fresh": w.dial()} {
			if _, err := io.WriteString(conn, w.login()); err != nil {
				t.Fatal(err)
			}
			if got := w.responses(conn); len(got) != 1 || got[0] != ok { // and the connection is closed
				t.Errorf("the responses on the %s connection are %q", name, got)
			}
		}
		cancel() // a second signal
		<-drained
	})

	t.Run("ends after its delay", func(t *testing.T) {
		w := newTestServer(t, delay(shortTime))
		begin := time.Now()
		w.server.Drain(t.Context())
		if took := time.Since(begin); took < shortTime {
			t.Errorf("it took %v, want %v", took, shortTime)
		}
		if err := w.server.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func TestDrain_ClosesConnections(t *testing.T) {
	t.Run("sends TLS clients to another connection", func(t *testing.T) {
		w := newTestServer(t, delay(time.Hour), func(c *config.Config, _ *Options) { c.TLS = pairFiles(t, "first") })
		client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
		defer client.CloseIdleConnections()
		var conn string // the client's address
		ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
			GotConn: func(info httptrace.GotConnInfo) { conn = info.Conn.LocalAddr().String() },
		})
		ask := func() string {
			t.Helper()
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+w.server.PublicAddr()+"/onLogin", nil)
			if err != nil {
				t.Fatal(err)
			}
			res, err := client.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			if _, err := io.Copy(io.Discard, res.Body); err != nil || res.StatusCode != http.StatusMethodNotAllowed {
				t.Fatalf("%s: %v", res.Status, err)
			}
			return conn
		}
		first := ask()
		if again := ask(); again != first {
			t.Fatal("before Drain, each request has a new connection")
		}
		drainCtx, cancel := context.WithCancel(t.Context())
		drained := inBackground(func() { w.server.Drain(drainCtx) })
		waitUntil(t, "a request on another connection", func() bool { return ask() != first })
		cancel()
		<-drained
	})
}

func TestShutdown(t *testing.T) {
	// A request on an accepted connection is served even if it arrives after the port is closed.
	t.Run("serves connections that were accepted before", func(t *testing.T) {
		w := newTestServer(t)
		taken := w.dial()
		waitUntil(t, "the connection is accepted", func() bool { return w.server.public.conns.count() == 1 })
		stopped := make(chan error, 1)
		go func() { stopped <- w.server.Shutdown(t.Context()) }()
		waitUntil(t, "the port is closed", func() bool {
			conn, err := net.Dial("tcp", w.server.PublicAddr())
			if err == nil {
				conn.Close()
			}
			return errors.Is(err, syscall.ECONNREFUSED)
		})
		if _, err := io.WriteString(taken, w.login()); err != nil {
			t.Fatal(err)
		}
		if got := w.responses(taken); len(got) != 1 || got[0] != ok {
			t.Errorf("the responses are %q", got)
		}
		if err := <-stopped; err != nil {
			t.Error(err)
		}
	})

	t.Run("does not wait for connections without a request", func(t *testing.T) {
		w := newTestServer(t, withLimits(func(l *limits) { l.header = 10 * shortTime }))
		request := w.login()
		idle, silent := w.dial(), w.dial()
		if _, err := io.WriteString(idle, request); err != nil {
			t.Fatal(err)
		}
		if _, err := http.ReadResponse(bufio.NewReader(idle), nil); err != nil {
			t.Fatal(err)
		}
		if err := w.server.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		if got := w.responses(silent); len(got) != 0 {
			t.Errorf("a connection without a request got %q", got)
		}
	})

	t.Run("returns an error if it cuts off a request", func(t *testing.T) {
		w := newTestServer(t)
		conn := w.dial()
		if _, err := io.WriteString(conn, form(loginLine, 10)+end); err != nil { // the body never arrives
			t.Fatal(err)
		}
		waitUntil(t, "the connection is accepted", func() bool { return w.server.public.conns.count() == 1 })
		ctx, cancel := context.WithTimeout(t.Context(), shortTime)
		defer cancel()
		err := w.server.Shutdown(ctx)
		if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "cut") {
			t.Errorf("Shutdown: %v", err)
		}
		if _, err := io.ReadAll(conn); err != nil && !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("the connection is not closed: %v", err)
		}
	})
}

func TestStart_Cancelled(t *testing.T) {
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := free.Addr().String()
	free.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	c := config.Config{
		App: config.SingleApp{AppID: testAppID, Secret: testSecret}, MySQLDSN: "root@tcp(127.0.0.1:1)/x",
		RedisURL: "redis://127.0.0.1:1", ListenAddr: addr, InternalAddr: "127.0.0.1:0", WeChatAPIBase: "http://127.0.0.1:1",
		SessionIdleTTL: time.Hour, SessionMaxTTL: time.Hour,
	}
	if _, err := Start(ctx, c, Options{Logger: slog.New(slog.DiscardHandler)}); !errors.Is(err, context.Canceled) {
		t.Errorf("Start: %v", err)
	}
	again, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatalf("the port is open: %v", err)
	}
	again.Close()
}
