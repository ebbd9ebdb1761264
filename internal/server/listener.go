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
	"time"
)

// limits are what one connection may take of a listener. Whoever is slower or larger is cut off, or answered 431.
type limits struct {
	header      time.Duration // for the handshake of TLS, and again for a request's header
	request     time.Duration // for a whole request, header and body; 64 KiB arrive in it even over a bad mobile network
	answer      time.Duration // from a request's header to the end of its answer: WeChat's 5 s and the body fit in
	idle        time.Duration // between two requests: longer than the 60 s of usual proxies, so that they close first
	headerBytes int           // of a request's header, the line of the path included; net/http allows 4 KiB more
}

// listenerLimits are the limits of both listeners. A login's header is below 1 KiB.
var listenerLimits = limits{
	header: 5 * time.Second, request: 10 * time.Second, answer: 20 * time.Second, idle: 2 * time.Minute, headerBytes: 16 << 10,
}

// listener is an HTTP server with the address it got.
type listener struct {
	net.Listener
	server *http.Server
	busy   *busyConns
	served chan struct{} // closed when no more connections are taken
}

// listenerOptions say what a listener serves and how.
type listenerOptions struct {
	addr        string
	handler     http.Handler
	limits      limits
	certificate *certificate // nil: plain HTTP
	logger      *slog.Logger
}

// newListener opens a port. Nothing is answered before serve.
func newListener(o listenerOptions) (*listener, error) {
	port, err := listenTCP(o.addr)
	if err != nil {
		return nil, err
	}
	l := &listener{Listener: port, busy: newBusyConns(), served: make(chan struct{})}
	l.server = &http.Server{
		Handler:                      hardened(o.handler),
		Protocols:                    http1Only(),
		ReadHeaderTimeout:            o.limits.header,
		ReadTimeout:                  o.limits.request,
		WriteTimeout:                 o.limits.answer,
		IdleTimeout:                  o.limits.idle,
		MaxHeaderBytes:               o.limits.headerBytes,
		DisableGeneralOptionsHandler: true, // OPTIONS * is answered as everything else
		ConnState:                    l.busy.track,
		ErrorLog:                     slog.NewLogLogger(serverLog{o.logger.Handler()}, slog.LevelDebug),
	}
	if o.certificate != nil {
		l.server.TLSConfig = &tls.Config{
			MinVersion: tls.VersionTLS12, GetCertificate: o.certificate.get, NextProtos: []string{"http/1.1"},
		}
	}
	return l, nil
}

// http1Only is HTTP/1 with TLS and without. HTTP/2 gains nothing for requests this small, and its state machine in net/http
// could be made to end the process by a client without an account.
func http1Only() *http.Protocols {
	var p http.Protocols
	p.SetHTTP1(true)
	return &p
}

// listenTCP opens a port for plain TCP: refuseHandshakes does not work with MPTCP, which is net.Listen's choice.
func listenTCP(addr string) (net.Listener, error) {
	var config net.ListenConfig
	config.SetMultipathTCP(false)
	return config.Listen(context.Background(), "tcp", addr)
}

// listenError names the variable of an address that cannot be listened on. It is ErrMisconfigured if waiting does not help: the port
// is not allowed or the host does not exist. An address that is taken may become free, and one that this machine does not have
// yet may come.
func listenError(variable string, err error) error {
	dns, isDNS := errors.AsType[*net.DNSError](err)
	if errors.Is(err, fs.ErrPermission) || isDNS && dns.IsNotFound {
		return configError{variable, err.Error()}
	}
	return fmt.Errorf("%s: %w", variable, err)
}

// hardened sets what every answer has, and keeps a chunked request from being followed by another: where it came with a
// Content-Length too, which net/http takes out of sight, a proxy may have seen the next request inside of its body
// (RFC 9112, section 6.1). Mini-programs send no chunked requests.
func hardened(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		if len(r.TransferEncoding) != 0 {
			w.Header().Set("Connection", "close")
		}
		next.ServeHTTP(w, r)
	})
}

// serve answers until the listener is closed. Another end is its error.
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

// stop closes the port, waits until every connection that was taken has its answer, and closes those that are idle. When
// ctx ends before, it cuts what is left and says so. The caller sees to it that answers end their connections.
//
// http.Server.Shutdown alone would not do: once it has begun, it drops requests unanswered that come in on connections
// it took before.
func (l *listener) stop(ctx context.Context) error {
	if err := l.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		return errors.Join(err, l.server.Close())
	}
	<-l.served
	err := l.busy.wait(ctx)
	if err == nil {
		err = l.server.Shutdown(ctx)
	}
	if err != nil {
		return errors.Join(err, l.server.Close())
	}
	return nil
}

// serverLog takes what net/http itself has to say. Faults of clients (a broken handshake, a header nobody can read) are
// for debugging only; that no connection can be taken, mostly because the process may open no more files, is a warning.
type serverLog struct{ slog.Handler }

// Handle implements slog.Handler.
func (l serverLog) Handle(ctx context.Context, r slog.Record) error {
	if strings.HasPrefix(r.Message, "http: Accept error") {
		r.Level = slog.LevelWarn
	}
	if !l.Handler.Enabled(ctx, r.Level) {
		return nil
	}
	return l.Handler.Handle(ctx, r)
}

// Enabled implements slog.Handler. Handle decides, which knows the message.
func (serverLog) Enabled(context.Context, slog.Level) bool { return true }
