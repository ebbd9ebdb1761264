package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

// limits bound what one connection may use. A client that is slower is cut off; a larger header gets 431.
type limits struct {
	header      time.Duration // for the TLS handshake, and again for a request's header
	request     time.Duration // for a whole request, header and body: enough for 64 KiB over a bad mobile network
	response    time.Duration // from a request's header to the end of its response: WeChat's 5 s and the body fit in
	idle        time.Duration // between two requests: longer than the 60 s of usual proxies, so that they close first
	headerBytes int           // of a request's header with the request line; net/http allows 4 KiB more
}

// defaultLimits are the limits of both listeners. A login's header is below 1 KiB.
var defaultLimits = limits{
	header: 5 * time.Second, request: 10 * time.Second, response: 20 * time.Second, idle: 2 * time.Minute, headerBytes: 16 << 10,
}

// listener is an open port and its HTTP server.
type listener struct {
	net.Listener
	server *http.Server
	conns  *connTracker
	served chan struct{} // closed when no more connections are accepted
}

type listenerOptions struct {
	addr        string
	handler     http.Handler
	limits      limits
	certificate *certificate // nil: plain HTTP
	logger      *slog.Logger
}

// newListener opens a port. Requests wait until serve is called.
func newListener(o listenerOptions) (*listener, error) {
	port, err := listenTCP(o.addr)
	if err != nil {
		return nil, err
	}
	conns := &connTracker{conns: make(map[net.Conn]struct{}), changed: make(chan struct{}, 1)}
	l := &listener{Listener: port, conns: conns, served: make(chan struct{})}
	l.server = &http.Server{
		Handler:                      securityHeaders(o.handler),
		Protocols:                    new(http.Protocols),
		ReadHeaderTimeout:            o.limits.header,
		ReadTimeout:                  o.limits.request,
		WriteTimeout:                 o.limits.response,
		IdleTimeout:                  o.limits.idle,
		MaxHeaderBytes:               o.limits.headerBytes,
		DisableGeneralOptionsHandler: true, // OPTIONS * goes to the handler, like any other request
		ConnState:                    l.conns.track,
		ErrorLog:                     slog.NewLogLogger(httpLogHandler{o.logger.Handler()}, slog.LevelDebug),
	}
	// HTTP/2 gains nothing for requests this small, and clients without an account could make its state machine in net/http
	// end the process.
	l.server.Protocols.SetHTTP1(true)
	if o.certificate != nil {
		l.server.TLSConfig = &tls.Config{
			MinVersion: tls.VersionTLS12, GetCertificate: o.certificate.get, NextProtos: []string{"http/1.1"},
		}
	}
	return l, nil
}

// listenTCP opens a port for plain TCP. net.Listen would choose MPTCP, with which dropNewConnections does not work.
func listenTCP(addr string) (net.Listener, error) {
	var config net.ListenConfig
	config.SetMultipathTCP(false)
	return config.Listen(context.Background(), "tcp", addr)
}

// listenError adds the variable of the address to an error of newListener. It is ErrMisconfigured if retrying does not
// help, because the port is not allowed or the host does not exist. An address that is in use may become free, and one
// that this machine does not have yet may be added.
func listenError(variable string, err error) error {
	dns, isDNS := errors.AsType[*net.DNSError](err)
	err = fmt.Errorf("%s: %w", variable, err)
	if errors.Is(err, fs.ErrPermission) || isDNS && dns.IsNotFound {
		return misconfiguredError{err}
	}
	return err
}

// securityHeaders sets the headers of every response, and makes a chunked request the last of its connection. If such a
// request had a Content-Length too, which net/http removes, a proxy may have seen the next request inside its body
// (RFC 9112, section 6.1). Mini-programs send no chunked requests.
func securityHeaders(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		if len(r.TransferEncoding) != 0 {
			w.Header().Set("Connection", "close")
		}
		next.ServeHTTP(w, r)
	})
}

// serve handles requests until the listener is closed. It returns an error if serving ends for another reason.
func (l *listener) serve() error {
	defer close(l.served)
	var err error
	if l.server.TLSConfig != nil {
		err = l.server.ServeTLS(l.Listener, "", "")
	} else {
		err = l.server.Serve(l.Listener)
	}
	if errors.Is(err, net.ErrClosed) || errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// stop closes the port, waits until every accepted connection has its response, and closes the idle ones. If ctx ends
// earlier, it cuts off the remaining connections and returns an error. The caller must make responses close their
// connections.
//
// http.Server.Shutdown alone is not enough: once it has begun, it drops requests on connections that were accepted before.
func (l *listener) stop(ctx context.Context) error {
	if err := l.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		return errors.Join(err, l.server.Close())
	}
	<-l.served
	err := l.conns.wait(ctx)
	if err == nil {
		err = l.server.Shutdown(ctx)
	}
	if err != nil {
		return errors.Join(err, l.server.Close())
	}
	return nil
}

// connTracker tracks the connections that wait for a response: new ones, and those with a request in flight.
type connTracker struct {
	mu      sync.Mutex
	conns   map[net.Conn]struct{}
	changed chan struct{} // has one entry if a connection was removed since the last receive
}

// track is an http.Server's ConnState hook.
func (t *connTracker) track(c net.Conn, state http.ConnState) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if state == http.StateNew || state == http.StateActive {
		t.conns[c] = struct{}{}
		return
	}
	delete(t.conns, c)
	select {
	case t.changed <- struct{}{}:
	default:
	}
}

func (t *connTracker) count() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.conns)
}

// wait returns when no connection is tracked, or ctx.Err(). A new connection without a request is closed by the server's
// ReadHeaderTimeout.
func (t *connTracker) wait(ctx context.Context) error {
	for t.count() > 0 {
		select {
		case <-t.changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// httpLogHandler handles net/http's messages. Errors of clients, such as a failed handshake or a malformed header, have
// level Debug. A connection that cannot be accepted, mostly because the process has too many open files, is a warning.
type httpLogHandler struct{ slog.Handler }

// Handle implements slog.Handler.
func (h httpLogHandler) Handle(ctx context.Context, r slog.Record) error {
	if strings.HasPrefix(r.Message, "http: Accept error") {
		r.Level = slog.LevelWarn
	}
	if !h.Handler.Enabled(ctx, r.Level) {
		return nil
	}
	return h.Handler.Handle(ctx, r)
}

// Enabled implements slog.Handler. The level is known only to Handle, which has the message.
func (httpLogHandler) Enabled(context.Context, slog.Level) bool { return true }
