// Package server wires wxlogin together and runs it:
//
//	srv, err := server.Start(ctx, c, server.Options{Logger: logger}) // c is a config.Config
//	if err != nil {
//		return err
//	}
//	<-ctx.Done()
//	srv.Drain(context.Background())
//	err = srv.Shutdown(context.Background())
//
// The commands wxlogin and demo share it, so that the demo shows the real server.
//
//	cmd/wxlogin, cmd/demo -> server -> config, redisclient
//	                                -> handlers -> session, store, wechat
package server

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"wxlogin/handlers"
	"wxlogin/internal/config"
	"wxlogin/internal/tracing"
)

const (
	// ShutdownTimeout is how long an orderly stop waits for requests in flight.
	ShutdownTimeout = 15 * time.Second

	// handshakeGrace is how long TCP handshakes that have begun may take before the port is closed: a few round trips.
	handshakeGrace = 200 * time.Millisecond
)

// Options are the parts of a server that are not read from environment variables. Only Logger is required.
type Options struct {
	Logger *slog.Logger

	// Version is the version of this build, which /metrics and the log show.
	Version string

	// Tracing exports traces; nil: no traces.
	Tracing *tracing.Provider

	// StorageTimeout bounds each step that waits for MySQL or Redis. Default handlers.DefaultStorageTimeout.
	StorageTimeout time.Duration

	// For tests: the zero values are replaced by the defaults.
	limits              limits
	certificateInterval time.Duration
}

// Server is a running wxlogin.
type Server struct {
	components       *components
	public, internal *listener
	drain            drain
	closing          context.Context // ends when the ports are closed
	beginClosing     context.CancelFunc
	delay            time.Duration // duration of Drain
	failed           chan error
	logger           *slog.Logger
	stopBackground   []func()
}

// Start builds the components, opens both listeners, and serves until Shutdown. If it returns an error, it has closed
// everything. The error is ErrMisconfigured if only another configuration can help, ErrCertificate if the certificate
// cannot be used, and ctx.Err() if ctx has ended.
func Start(ctx context.Context, c config.Config, o Options) (*Server, error) {
	if o.limits == (limits{}) {
		o.limits = defaultLimits
	}
	o.certificateInterval = cmp.Or(o.certificateInterval, certificateCheckInterval)
	logStartWarnings(ctx, c, o.Logger)
	var cert *certificate // nil: the public listener speaks plain HTTP
	if c.TLS.CertFile != "" {
		var err error
		if cert, err = loadCertificate(c.TLS, o.certificateInterval, o.Logger); err != nil {
			return nil, err
		}
	}
	p, err := newComponents(ctx, c, o)
	if err != nil {
		return nil, err
	}
	s := &Server{components: p, delay: c.ShutdownDelay, failed: make(chan error, 2), logger: o.Logger}
	s.closing, s.beginClosing = context.WithCancel(context.WithoutCancel(ctx))
	if err := s.listen(c, o, cert); err != nil {
		return nil, errors.Join(err, s.closeListeners(), p.close())
	}
	if cert != nil {
		cert.registerMetrics(p.metrics)
		s.stopBackground = append(s.stopBackground, startBackground(cert.run))
	}
	s.stopBackground = append(s.stopBackground, logOutages(p.checks(), o.Logger))
	s.serve(s.public)
	s.serve(s.internal)
	o.Logger.LogAttrs(ctx, slog.LevelInfo, "serving", append([]slog.Attr{
		slog.String("public", s.PublicAddr()), slog.String("internal", s.InternalAddr()),
	}, describe(c, o)...)...)
	return s, nil
}

func (s *Server) listen(c config.Config, o Options, cert *certificate) error {
	public, internal, err := s.components.handlers(c, o, s.closing, handlers.Check{Name: "stopping", Func: s.drain.check})
	if err != nil {
		return err
	}
	s.public, err = newListener(listenerOptions{
		addr: c.ListenAddr, handler: s.drain.closeConnections(public), limits: o.limits, certificate: cert, logger: s.logger,
	})
	if err != nil {
		return listenError("LISTEN_ADDR", err)
	}
	s.internal, err = newListener(listenerOptions{
		addr: c.InternalAddr, handler: s.drain.closeConnections(internal), limits: o.limits, logger: s.logger,
	})
	if err != nil {
		return listenError("INTERNAL_ADDR", err)
	}
	return nil
}

func (s *Server) serve(l *listener) {
	go func() {
		if err := l.serve(); err != nil {
			s.failed <- err
		}
	}()
}

// PublicAddr returns the host:port of the listener for mini-programs.
func (s *Server) PublicAddr() string { return s.public.Addr().String() }

// InternalAddr returns the host:port of the listener for services, health checks and metrics.
func (s *Server) InternalAddr() string { return s.internal.Addr().String() }

// Failed receives the error of a listener that failed while serving.
func (s *Server) Failed() <-chan error { return s.failed }

// Drain precedes Shutdown so that no request is cut off. Until ctx ends, but at most for Config.ShutdownDelay, the server
// goes on serving, reports that it is not ready, and closes each connection after its next response, so that load
// balancers and clients with keep-alive connections go to another instance. It accepts no new connections for the last
// handshakeGrace.
func (s *Server) Drain(ctx context.Context) {
	s.drain.begin()
	grace := min(s.delay/2, handshakeGrace)
	if !sleep(ctx, s.delay-grace) {
		return
	}
	if err := dropNewConnections(s.public.Listener); err != nil {
		s.logger.DebugContext(ctx, "new connections are accepted until the port is closed", "cause", err)
	}
	sleep(ctx, grace)
}

// sleep waits for d and reports whether it has passed before ctx ended.
func sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-ctx.Done():
		return false
	}
}

// Shutdown closes both ports, waits for requests in flight until ctx ends, and closes the components. The internal
// listener stops last: health checks are served until no request of a mini-program is left.
func (s *Server) Shutdown(ctx context.Context) error {
	s.drain.begin()
	for _, stop := range s.stopBackground {
		stop()
	}
	s.beginClosing()
	err := errors.Join(s.public.stop(ctx), s.internal.stop(ctx))
	if err != nil {
		err = fmt.Errorf("requests in flight were cut off: %w", err)
	}
	return errors.Join(err, s.components.close())
}

// closeListeners closes listeners that do not serve yet.
func (s *Server) closeListeners() error {
	var errs []error
	for _, l := range []*listener{s.public, s.internal} {
		if l != nil {
			errs = append(errs, l.Close())
		}
	}
	return errors.Join(errs...)
}

// errStopping is the error of the readiness check "stopping".
var errStopping = errors.New("the server is being stopped")

// drain is shared with the handlers of a server and set once the server is to stop. The zero value is not set.
type drain struct{ begun atomic.Bool }

func (d *drain) begin() { d.begun.Store(true) }

// check is a readiness check: it fails once the drain has begun.
func (d *drain) check(context.Context) error {
	if d.begun.Load() {
		return errStopping
	}
	return nil
}

// closeConnections makes each response close its connection once the drain has begun, so that clients reconnect to another
// instance. Both listeners speak HTTP/1 only, so the header is enough.
func (d *drain) closeConnections(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if d.begun.Load() {
			w.Header().Set("Connection", "close")
		}
		next.ServeHTTP(w, r)
	})
}

// startBackground runs work in a goroutine. stop cancels work's context and waits until work has returned.
func startBackground(work func(context.Context)) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		work(ctx)
	}()
	return func() {
		cancel()
		<-done
	}
}

// every calls f each time that d has passed, until ctx ends.
func every(ctx context.Context, d time.Duration, f func()) {
	ticker := time.NewTicker(d)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			f()
		case <-ctx.Done():
			return
		}
	}
}
