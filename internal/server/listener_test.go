package server

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
	"wxlogin/internal/config"
)

const shortTime = 50 * time.Millisecond

// drip sends a byte now and then until the server closes the connection, like a slowloris client.
func drip(conn net.Conn) {
	ticker := time.NewTicker(shortTime / 10)
	defer ticker.Stop()
	for range ticker.C {
		if _, err := io.WriteString(conn, "a"); err != nil {
			return
		}
	}
}

func TestListener_TimeOuts(t *testing.T) {
	t.Run("closes connections with slow headers", func(t *testing.T) {
		w := newTestServer(t, withLimits(func(l *limits) { l.header = shortTime }))
		for name, begin := range map[string]string{
			"silent": "", "in the line": "POST /onLo", "in a field": head(loginLine, "Host: x", "X-Slow: "),
		} {
			t.Run(name, func(t *testing.T) {
				conn := w.dial()
				if _, err := io.WriteString(conn, begin); err != nil {
					t.Fatal(err)
				}
				if begin != "" {
					go drip(conn)
				}
				for _, response := range w.responses(conn) {
					if response != refused { // if a part of the header has arrived
						t.Errorf("response %s", response)
					}
				}
			})
		}
		if w.handled() != 0 {
			t.Errorf("%d requests reached the handler", w.handled())
		}
	})

	t.Run("closes connections with slow bodies", func(t *testing.T) {
		w := newTestServer(t, withLimits(func(l *limits) { l.request = shortTime }))
		conn := w.dial()
		if _, err := io.WriteString(conn, form(loginLine, 60000)+end+"code="); err != nil {
			t.Fatal(err)
		}
		go drip(conn)
		if got := w.responses(conn); len(got) != 1 || got[0] != invalid {
			t.Errorf("the responses are %q", got)
		}
		if w.exchanges.Load() != 0 {
			t.Error("a partial code went to WeChat")
		}
	})

	t.Run("closes idle connections", func(t *testing.T) {
		w := newTestServer(t, withLimits(func(l *limits) { l.idle = shortTime }))
		conn := w.dial()
		if _, err := io.WriteString(conn, w.login()); err != nil {
			t.Fatal(err)
		}
		if got := w.responses(conn); len(got) != 1 || got[0] != ok {
			t.Errorf("the responses are %q", got)
		}
	})

	t.Run("closes connections that do not read the response", func(t *testing.T) {
		written := make(chan error, 1)
		l, err := newListener(listenerOptions{
			addr: "127.0.0.1:0", limits: changedLimits(func(l *limits) { l.response = shortTime }), logger: slog.New(slog.DiscardHandler),
			handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				var err error
				for block := make([]byte, 1<<20); err == nil; {
					_, err = w.Write(block)
				}
				written <- err
			}),
		})
		if err != nil {
			t.Fatal(err)
		}
		go l.serve()
		defer l.server.Close()
		conn, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		select {
		case <-written:
		case <-time.After(testTimeout):
			t.Error("the handler goes on writing")
		}
	})
}

func TestListener_Responses(t *testing.T) {
	t.Run("rejects a body that ends early", func(t *testing.T) {
		w := newTestServer(t)
		conn := w.dial()
		if _, err := io.WriteString(conn, form(loginLine, 100)+end+"code="+w.code()); err != nil {
			t.Fatal(err)
		}
		if err := conn.CloseWrite(); err != nil {
			t.Fatal(err)
		}
		if got := w.responses(conn); len(got) != 1 || got[0] != invalid {
			t.Errorf("the responses are %q", got)
		}
		if w.exchanges.Load() != 0 {
			t.Error("a partial body was accepted")
		}
	})

	t.Run("responds to HEAD without a body", func(t *testing.T) {
		w := newTestServer(t)
		conn := w.dial()
		if _, err := io.WriteString(conn, form("HEAD /onLogin HTTP/1.1", 0, last)+end); err != nil {
			t.Fatal(err)
		}
		all, err := io.ReadAll(conn)
		if err != nil {
			t.Fatal(err)
		}
		res, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(all)), &http.Request{Method: http.MethodHead})
		if err != nil {
			t.Fatal(err)
		}
		if res.StatusCode != http.StatusMethodNotAllowed || !bytes.HasSuffix(all, []byte("\r\n\r\n")) {
			t.Errorf("the response to HEAD is %q", all)
		}
	})

	t.Run("sets the headers on the internal listener too", func(t *testing.T) {
		w := newTestServer(t)
		for _, path := range []string{"/healthz", "/readyz", "/metrics", "/nothing", "/onLogin"} {
			res, err := http.Get("http://" + w.server.InternalAddr() + path)
			if err != nil {
				t.Fatal(err)
			}
			res.Body.Close()
			if res.Header.Get("X-Request-Id") == "" {
				t.Errorf("%s has no X-Request-Id", path)
			}
			w.checkHeader(res)
		}
	})
}

// exhaustedListener fails once like a process with too many open files, and is closed then.
type exhaustedListener struct {
	net.Listener
	failed bool
}

func (e *exhaustedListener) Accept() (net.Conn, error) {
	if e.failed {
		return nil, net.ErrClosed
	}
	e.failed = true
	return nil, &net.OpError{Op: "accept", Net: "tcp", Err: syscall.EMFILE}
}

func TestListener_TooManyOpenFiles(t *testing.T) {
	var log bytes.Buffer
	l, err := newListener(listenerOptions{
		addr: "127.0.0.1:0", handler: http.NotFoundHandler(), limits: defaultLimits,
		logger: slog.New(slog.NewTextHandler(&log, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	l.Listener = &exhaustedListener{Listener: l.Listener}
	if err := l.serve(); err != nil { // the first error does not end it
		t.Errorf("serve: %v", err)
	}
	if !strings.Contains(log.String(), "level=WARN") || !strings.Contains(log.String(), "too many open files") {
		t.Errorf("the log says %q", log.String())
	}
}

func TestListenError(t *testing.T) {
	of := func(errno syscall.Errno) error {
		return &net.OpError{Op: "listen", Net: "tcp", Addr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 80}, Err: os.NewSyscallError("bind", errno)}
	}
	for name, tt := range map[string]struct {
		err           error
		misconfigured bool
	}{
		"taken":             {of(syscall.EADDRINUSE), false},
		"not there yet":     {of(syscall.EADDRNOTAVAIL), false},
		"not permitted":     {of(syscall.EACCES), true},
		"unknown host":      {&net.OpError{Op: "listen", Net: "tcp", Err: &net.DNSError{Name: "x", IsNotFound: true}}, true},
		"no name server":    {&net.OpError{Op: "listen", Net: "tcp", Err: &net.DNSError{Name: "x", IsTemporary: true}}, false},
		"too many files":    {of(syscall.EMFILE), false},
		"operation refused": {of(syscall.EPERM), true},
	} {
		err := listenError("LISTEN_ADDR", tt.err)
		if errors.Is(err, ErrMisconfigured) != tt.misconfigured || !strings.HasPrefix(err.Error(), "LISTEN_ADDR: listen tcp") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// The client in each case prefers HTTP/2.
func TestListener_Protocols(t *testing.T) {
	w := newTestServer(t, func(c *config.Config, _ *Options) { c.TLS = pairFiles(t, "first") })
	insecure := func(protocols ...string) *tls.Config {
		return &tls.Config{InsecureSkipVerify: true, NextProtos: protocols}
	}

	t.Run("a TLS client that offers only h2 does not get it", func(t *testing.T) {
		conn, err := tls.Dial("tcp", w.server.PublicAddr(), insecure("h2"))
		if err != nil {
			return // no_application_protocol
		}
		defer conn.Close()
		if got := conn.ConnectionState().NegotiatedProtocol; got == "h2" {
			t.Error("h2 was negotiated")
		}
	})

	t.Run("a TLS client that prefers h2 gets HTTP/1.1", func(t *testing.T) {
		conn, err := tls.Dial("tcp", w.server.PublicAddr(), insecure("h2", "http/1.1"))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if got := conn.ConnectionState().NegotiatedProtocol; got != "http/1.1" {
			t.Errorf("%q was negotiated", got)
		}
	})

	t.Run("HTTP/2 frames after a handshake without ALPN get no HTTP/2 response", func(t *testing.T) {
		conn, err := tls.Dial("tcp", w.server.PublicAddr(), insecure())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		wantNoHTTP2(t, conn)
	})

	t.Run("net/http's client gets HTTP/1.1", func(t *testing.T) {
		client := &http.Client{Transport: &http.Transport{TLSClientConfig: insecure(), ForceAttemptHTTP2: true}}
		defer client.CloseIdleConnections()
		res, err := client.Get("https://" + w.server.PublicAddr() + "/onLogin")
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.Proto != "HTTP/1.1" || res.StatusCode != http.StatusMethodNotAllowed {
			t.Errorf("%s %s", res.Proto, res.Status)
		}
	})
}

func TestListener_ProtocolsWithoutTLS(t *testing.T) {
	w := newTestServer(t)
	internal := &testServer{t: t, server: &Server{public: w.server.internal}}
	for name, on := range map[string]*testServer{"public": w, "internal": internal} {
		t.Run("HTTP/2 with prior knowledge is refused on the "+name+" listener", func(t *testing.T) {
			wantNoHTTP2(t, on.dial())
		})
		t.Run("an upgrade to h2c is not taken on the "+name+" listener", func(t *testing.T) {
			conn := on.dial()
			_, err := io.WriteString(conn, head("GET /onLogin HTTP/1.1", "Host: x", "Connection: close, Upgrade, HTTP2-Settings",
				"Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__")+end)
			if err != nil {
				t.Fatal(err)
			}
			if response, _ := io.ReadAll(conn); !strings.HasPrefix(string(response), "HTTP/1.1 4") {
				t.Errorf("response %.40q", response)
			}
		})
	}
}

// wantNoHTTP2 sends the preface and an empty SETTINGS frame. The response must be an error in HTTP/1 that ends the
// connection.
func wantNoHTTP2(t *testing.T, conn interface {
	io.ReadWriter
	SetDeadline(time.Time) error
}) {
	t.Helper()
	if err := conn.SetDeadline(time.Now().Add(testTimeout)); err != nil {
		t.Fatal(err)
	}
	preface := "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + "\x00\x00\x00\x04\x00\x00\x00\x00\x00"
	if _, err := io.WriteString(conn, preface); err != nil {
		t.Fatal(err)
	}
	response, _ := io.ReadAll(conn) // a reset after the response is fine
	if !strings.HasPrefix(string(response), "HTTP/1.1 ") || strings.HasPrefix(string(response), "HTTP/1.1 2") {
		t.Errorf("response %.40q", response)
	}
}
