package server

import (
	"bufio"
	"bytes"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"
)

// short are limits that a test can wait for, one at a time: change one field.
func short(change func(*limits)) limits {
	l := listenerLimits
	change(&l)
	return l
}

const soon = 50 * time.Millisecond

// drip sends a byte now and then, as a client does that wants to hold a connection for ever, until the server ends it.
func drip(conn net.Conn) {
	ticker := time.NewTicker(soon / 10)
	defer ticker.Stop()
	for range ticker.C {
		if _, err := io.WriteString(conn, "a"); err != nil {
			return
		}
	}
}

func TestListener_ends_slow_headers(t *testing.T) {
	w := newWire(t, short(func(l *limits) { l.header = soon }))
	for name, begin := range map[string]string{
		"silent": "", "in_the_line": "POST /onLo", "in_a_field": head(loginLine, "Host: x", "X-Slow: "),
	} {
		t.Run(name, func(t *testing.T) {
			conn := w.dial()
			if _, err := io.WriteString(conn, begin); err != nil {
				t.Fatal(err)
			}
			if begin != "" {
				go drip(conn)
			}
			for _, answer := range w.answers(conn) {
				if answer != refused { // of what had come by then
					t.Errorf("it is answered %s", answer)
				}
			}
		})
	}
	if w.reached() != 0 {
		t.Errorf("%d requests came to the handler", w.reached())
	}
}

func TestListener_ends_slow_bodies(t *testing.T) {
	w := newWire(t, short(func(l *limits) { l.request = soon }))
	conn := w.dial()
	if _, err := io.WriteString(conn, form(loginLine, 60000)+end+"code="); err != nil {
		t.Fatal(err)
	}
	go drip(conn)
	if got := w.answers(conn); len(got) != 1 || got[0] != invalid {
		t.Errorf("the answers are %q", got)
	}
	if w.exchanges.Load() != 0 {
		t.Error("half a code went to WeChat")
	}
}

func TestListener_ends_idle_connections(t *testing.T) {
	w := newWire(t, short(func(l *limits) { l.idle = soon }))
	conn := w.dial()
	if _, err := io.WriteString(conn, w.login()); err != nil {
		t.Fatal(err)
	}
	if got := w.answers(conn); len(got) != 1 || got[0] != ok {
		t.Errorf("the answers are %q", got)
	}
}

func TestListener_ends_answers_that_are_not_read(t *testing.T) {
	written := make(chan error, 1)
	l, err := newListener(listenerOptions{
		addr: "127.0.0.1:0", limits: short(func(l *limits) { l.answer = soon }), logger: slog.New(slog.DiscardHandler),
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
	case <-time.After(patience):
		t.Error("the handler writes for ever")
	}
}

func TestListener_answers_a_body_that_ends_early(t *testing.T) {
	w := newWire(t, listenerLimits)
	conn := w.dial()
	if _, err := io.WriteString(conn, form(loginLine, 100)+end+"code="+w.code()); err != nil {
		t.Fatal(err)
	}
	if err := conn.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if got := w.answers(conn); len(got) != 1 || got[0] != invalid {
		t.Errorf("the answers are %q", got)
	}
	if w.exchanges.Load() != 0 {
		t.Error("half a body was taken for a whole one")
	}
}

func TestListener_answers_HEAD_without_a_body(t *testing.T) {
	w := newWire(t, listenerLimits)
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
		t.Errorf("HEAD is answered %q", all)
	}
}

func TestListener_internal_answers_have_the_header_too(t *testing.T) {
	w := newWire(t, listenerLimits)
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
}

// exhausted is a port that fails once as it does where the process may open no more files, and then is closed.
type exhausted struct {
	net.Listener
	failed bool
}

func (e *exhausted) Accept() (net.Conn, error) {
	if e.failed {
		return nil, net.ErrClosed
	}
	e.failed = true
	return nil, &net.OpError{Op: "accept", Net: "tcp", Err: syscall.EMFILE}
}

func TestListener_warns_when_no_more_files_can_be_opened(t *testing.T) {
	var log bytes.Buffer
	l, err := newListener(listenerOptions{
		addr: "127.0.0.1:0", handler: http.NotFoundHandler(), limits: listenerLimits,
		logger: slog.New(slog.NewTextHandler(&log, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	l.Listener = &exhausted{Listener: l.Listener}
	if err := l.serve(); err != nil { // goes on after the first fault
		t.Errorf("it ends with %v", err)
	}
	if !strings.Contains(log.String(), "level=WARN") || !strings.Contains(log.String(), "too many open files") {
		t.Errorf("the log says %q", log.String())
	}
}
