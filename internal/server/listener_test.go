package server

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
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

// The framing of a request is unambiguous, or the request is rejected and the connection closed.
func TestFraming(t *testing.T) {
	w := newTestServer(t)
	body := func() string { return "code=" + w.code() }
	for name, tt := range map[string]rawTest{
		"whole":                       {w.login(last), []string{ok}, 1, 1},
		"pipelined":                   {w.login() + w.login(last), []string{ok, ok}, 2, 2},
		"expect continue":             {w.login("Expect: 100-continue", last), []string{"100", ok}, 1, 1},
		"expect other":                {w.login("Expect: 200-ok", last), []string{"417"}, 0, 0},
		"body larger than its length": {form(loginLine, 3) + end + body() + "\r\n\r\n", []string{invalid, refused}, 1, 0},
		"body of a get":               {form("GET /onLogin HTTP/1.1", 5, last) + end + "code=", []string{notAllowed}, 1, 0},
		"field twice":                 {form(loginLine, 11, last) + end + "code=a&code", []string{invalid}, 1, 0},
		"method override":             {form(loginLine, 0, "X-HTTP-Method-Override: GET", last) + end, []string{invalid}, 1, 0},
		"one length twice":            {form(loginLine, 5, "Content-Length: 5", last) + end + "code=", []string{invalid}, 1, 0},
		"two lengths":                 {form(loginLine, 5, "Content-Length: 6") + end + "code=x", []string{refused}, 0, 0},
		"negative length":             {form(loginLine, -1) + end, []string{refused}, 0, 0},
		"length with plus":            {length("+5") + "code=", []string{refused}, 0, 0},
		"length in hex":               {length("0x5") + "code=", []string{refused}, 0, 0},
		"length too large":            {length("99999999999999999999"), []string{refused}, 0, 0},
		"list of lengths":             {length("5, 5") + "code=", []string{refused}, 0, 0},
	} {
		t.Run(name, func(t *testing.T) { w.run(t, tt) })
	}
}

// A chunked body is read and ends its connection: data after it is not read as a request.
func TestFraming_Chunked(t *testing.T) {
	w := newTestServer(t)
	notImplemented := []string{"501 text/plain"}
	good := func() string {
		body := "code=" + w.code()
		return fmt.Sprintf("%x\r\n%s\r\n", len(body), body) + emptyChunk
	}
	for name, tt := range map[string]rawTest{
		"whole":            {coded("chunked") + good(), []string{ok}, 1, 1},
		"followed":         {coded("chunked") + good() + nextLogin, []string{ok}, 1, 1},
		"with a length":    {form(loginLine, 3, "Transfer-Encoding: chunked") + end + good() + nextLogin, []string{ok}, 1, 1},
		"twice":            {coded("chunked", "Transfer-Encoding: chunked") + emptyChunk, notImplemented, 0, 0},
		"other coding":     {coded("xchunked") + emptyChunk, notImplemented, 0, 0},
		"identity":         {coded("identity"), notImplemented, 0, 0},
		"gzip too":         {coded("gzip, chunked") + emptyChunk, notImplemented, 0, 0},
		"behind a control": {coded("\vchunked") + emptyChunk, []string{refused}, 0, 0},
		"size no number":   {coded("chunked") + "zz\r\ncode=\r\n" + emptyChunk, []string{invalid}, 1, 0},
		"size negative":    {coded("chunked") + "-5\r\ncode=\r\n" + emptyChunk, []string{invalid}, 1, 0},
		"size too large":   {coded("chunked") + "fffffffffffffffff\r\ncode=\r\n" + emptyChunk, []string{invalid}, 1, 0},
		"longer than size": {coded("chunked") + "3\r\ncode=abc\r\n" + emptyChunk, []string{invalid}, 1, 0},
		"over 64 KiB": {coded("chunked") + "20000\r\n" + strings.Repeat("a", 0x20000) + end + emptyChunk,
			[]string{tooLarge}, 1, 0},
		"not in http 1 0": {form("POST /onLogin HTTP/1.0", 3, "Transfer-Encoding: chunked") + end + "cod",
			[]string{invalid}, 1, 0},
	} {
		t.Run(name, func(t *testing.T) { w.run(t, tt) })
	}
}

// A header that two parsers could read differently is rejected.
func TestFraming_Header(t *testing.T) {
	w := newTestServer(t)
	for name, tt := range map[string]rawTest{
		"space before colon":  {form(loginLine, 0, "X : y") + end, []string{refused}, 0, 0},
		"space before name":   {head(loginLine, " X: y", "Host: x") + end, []string{refused}, 0, 0},
		"no colon":            {form(loginLine, 0, "X") + end, []string{refused}, 0, 0},
		"empty name":          {form(loginLine, 0, ": y") + end, []string{refused}, 0, 0},
		"bad name":            {form(loginLine, 0, "X(: y") + end, []string{refused}, 0, 0},
		"nul":                 {form(loginLine, 0, "X: a\x00b") + end, []string{refused}, 0, 0},
		"bare cr":             {form(loginLine, 0, "X: a\rb") + end, []string{refused}, 0, 0},
		"bare lf is an end":   {form(loginLine, 0, "X: a\nContent-Length: 1") + end, []string{refused}, 0, 0},
		"folded is one value": {form(loginLine, 0, "X: a", " Content-Length: 7", last) + end, []string{invalid}, 1, 0},
		"no host":             {head(loginLine, "Content-Length: 0") + end, []string{refused}, 0, 0},
		"two hosts":           {form(loginLine, 0, "Host: y") + end, []string{refused}, 0, 0},
		"bad host":            {head(loginLine, "Host: a/b c", "Content-Length: 0") + end, []string{refused}, 0, 0},
		"http 0 9":            {"GET /onLogin\r\n", []string{refused}, 0, 0},
		"http 1 0":            {form("POST /onLogin HTTP/1.0", 0) + end, []string{invalid}, 1, 0},
		"http 1 0 no host":    {head("POST /onLogin HTTP/1.0", formType, "Content-Length: 0") + end, []string{invalid}, 1, 0},
		"http 2 0":            {head("GET / HTTP/2.0", "Host: x") + end, []string{"505 text/plain"}, 0, 0},
		"http 2 preface":      {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", []string{notAllowed}, 1, 0},
		"lower case protocol": {head("GET / http/1.1", "Host: x") + end, []string{refused}, 0, 0},
		"no http":             {"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", []string{refused}, 0, 0},
		"too large":           {form(loginLine, 0, "X: "+strings.Repeat("a", 20<<10)) + end, []string{"431 text/plain"}, 0, 0},
		"too many":            {form(loginLine, 0, strings.Repeat("X: y\r\n", 4<<10)) + end, []string{"431 text/plain"}, 0, 0},
		"path too long":       {form("POST /"+strings.Repeat("a", 20<<10)+" HTTP/1.1", 0) + end, []string{"431 text/plain"}, 0, 0},
		"just small enough":   {form(loginLine, 0, "X: "+strings.Repeat("a", 15<<10), last) + end, []string{invalid}, 1, 0},
		"bad method":          {form("PO(ST /onLogin HTTP/1.1", 0) + end, []string{refused}, 0, 0},
		"lower case method":   {form("post /onLogin HTTP/1.1", 0, last) + end, []string{notAllowed}, 1, 0},
	} {
		t.Run(name, func(t *testing.T) { w.run(t, tt) })
	}
}

// A path must match a route byte by byte. There are no redirects.
func TestFraming_Targets(t *testing.T) {
	w := newTestServer(t)
	for target, want := range map[string]string{
		"/onLogin": invalid, "http://elsewhere.example/onLogin": invalid, "/onLogin?code=x&next=//evil": invalid,
		"/": notFound, "/onlogin": notFound, "/onLogin/": notFound, "//onLogin": notFound, "/./onLogin": notFound,
		"/x/../onLogin": notFound, "/onLogin%2f": notFound, "/%6fnLogin": notFound, "/onLogin%00": notFound,
		"/onLogin;x": notFound, "/onLogin%3f": notFound, `/\onLogin`: notFound, "/.%2e/onLogin": notFound,
		"/healthz": notFound, "/readyz": notFound, "/metrics": notFound, "*": notFound,
		"/%zz": refused, "onLogin": refused, "": refused, "/on Login": refused,
	} {
		t.Run(strings.ReplaceAll(target, "/", "|"), func(t *testing.T) {
			tt := rawTest{send: form("POST "+target+" HTTP/1.1", 0, last) + end, responses: []string{want}, handled: 1}
			if want == refused {
				tt.handled = 0
			}
			w.run(t, tt)
		})
	}
	for line, want := range map[string]string{
		"GET /onLogin": notAllowed, "PUT /onLogin": notAllowed, "TRACE /onLogin": notAllowed, "OPTIONS /onLogin": notAllowed,
		"OPTIONS *": notFound, "CONNECT elsewhere.example:443": notFound, "CONNECT /onLogin": notAllowed,
		"MADEUP /onLogin": notAllowed,
	} {
		t.Run(strings.ReplaceAll(line, "/", "|"), func(t *testing.T) {
			w.run(t, rawTest{send: form(line+" HTTP/1.1", 0, last) + end, responses: []string{want}, handled: 1})
		})
	}
}
