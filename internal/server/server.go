package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"wxlogin/handlers"
)

const (
	// ShutdownTimeout is how long an orderly stop waits for requests in flight.
	ShutdownTimeout = 15 * time.Second

	// handshakeTime is how long, before a port is closed, connections that are being made may take to be complete: a
	// few round trips.
	handshakeTime = 200 * time.Millisecond
)

// Server is a running wxlogin.
type Server struct {
	parts            *parts
	public, internal *listener
	drain            drain
	closing          context.Context // ends when the ports are closed
	beginClosing     context.CancelFunc
	delay            time.Duration // how long Drain takes
	failed           chan error
	logger           *slog.Logger
	stopChecks       func() // ends logOutages
}

// Start opens the parts and both listeners, and serves until Shutdown. When it returns an error, nothing is left open.
// The error is ErrCertificate for files of a certificate that cannot be used, and ctx's own when ctx ended meanwhile.
func Start(ctx context.Context, c Config, logger *slog.Logger) (*Server, error) {
	return start(ctx, c, listenerLimits, logger)
}

// start is Start with the limits of the listeners.
func start(ctx context.Context, c Config, l limits, logger *slog.Logger) (*Server, error) {
	logStartWarnings(ctx, c, logger)
	cert, err := publicCertificate(c.TLS, logger)
	if err != nil {
		return nil, err
	}
	p, err := openParts(ctx, c, logger)
	if err != nil {
		return nil, err
	}
	if cert != nil {
		cert.watch(p)
	}
	s := &Server{parts: p, delay: c.ShutdownDelay, failed: make(chan error, 2), logger: logger}
	s.closing, s.beginClosing = context.WithCancel(context.WithoutCancel(ctx))
	if err := s.listen(c, l, cert); err != nil {
		return nil, errors.Join(err, s.closeListeners(), p.close())
	}
	s.stopChecks = logOutages(p.checks(), logger)
	s.serve(s.public)
	s.serve(s.internal)
	logger.LogAttrs(ctx, slog.LevelInfo, "serving", append([]slog.Attr{
		slog.String("public", s.PublicAddr()), slog.String("internal", s.InternalAddr()),
	}, describe(c)...)...)
	return s, nil
}

// publicCertificate is nil where the public listener is to speak plain HTTP.
func publicCertificate(c TLSConfig, logger *slog.Logger) (*certificate, error) {
	if c.CertFile == "" {
		return nil, nil
	}
	return loadCertificate(c, certificateInterval, logger)
}

func (s *Server) listen(c Config, l limits, cert *certificate) error {
	public, internal, err := s.parts.handlers(c, s.closing, handlers.Check{Name: "stopping", Func: s.drain.check}, s.logger)
	if err != nil {
		return err
	}
	s.public, err = newListener(listenerOptions{
		addr: c.ListenAddr, handler: s.drain.closing(public), limits: l, certificate: cert, logger: s.logger,
	})
	if err != nil {
		return listenError("LISTEN_ADDR", err)
	}
	s.internal, err = newListener(listenerOptions{
		addr: c.InternalAddr, handler: s.drain.closing(internal), limits: l, logger: s.logger,
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

// PublicAddr is the host:port that mini-programs reach.
func (s *Server) PublicAddr() string { return s.public.Addr().String() }

// InternalAddr is the host:port of health checks and metrics.
func (s *Server) InternalAddr() string { return s.internal.Addr().String() }

// Failed tells when a listener broke while it should serve.
func (s *Server) Failed() <-chan error { return s.failed }

// Drain goes before Shutdown, so that no request is cut: for Config.ShutdownDelay, or until ctx ends, the server serves
// on, but says that it is not ready and ends each connection with the next answer. Load balancers and clients that keep
// connections go elsewhere meanwhile. Shortly before the end no new connection is let in.
func (s *Server) Drain(ctx context.Context) {
	s.drain.begin()
	settling := min(s.delay/2, handshakeTime)
	if !pause(ctx, s.delay-settling) {
		return
	}
	if err := refuseHandshakes(s.public.Listener); err != nil {
		s.logger.DebugContext(ctx, "connections are let in until the port is closed", "cause", err)
	}
	pause(ctx, settling)
}

// pause waits, and tells whether the time passed before ctx ended.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// Shutdown closes both ports, lets requests in flight finish until ctx ends, and closes the parts. Health checks are
// answered until no request of a mini-program is left.
func (s *Server) Shutdown(ctx context.Context) error {
	s.drain.begin()
	s.stopChecks()
	s.beginClosing()
	err := errors.Join(s.public.stop(ctx), s.internal.stop(ctx))
	if err != nil {
		err = fmt.Errorf("requests in flight were cut: %w", err)
	}
	return errors.Join(err, s.parts.close())
}

// closeListeners closes the ports that are open but not served.
func (s *Server) closeListeners() error {
	var errs []error
	for _, l := range []*listener{s.public, s.internal} {
		if l != nil {
			errs = append(errs, l.Close())
		}
	}
	return errors.Join(errs...)
}
