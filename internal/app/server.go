package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"
)

// ShutdownTimeout is how long an orderly stop waits for requests in flight.
const ShutdownTimeout = 15 * time.Second

// Server is a running wxlogin.
type Server struct {
	parts            *parts
	public, internal *listener
	failed           chan error
	logger           *slog.Logger
}

// listener is an HTTP server with the address it got.
type listener struct {
	server *http.Server
	net.Listener
}

// Start opens the parts and both listeners, and serves until Shutdown. When it returns an error, nothing is left open.
func Start(ctx context.Context, c Config, logger *slog.Logger) (*Server, error) {
	p, err := openParts(ctx, c, logger)
	if err != nil {
		return nil, err
	}
	s := &Server{parts: p, failed: make(chan error, 2), logger: logger}
	if err := s.listen(c); err != nil {
		return nil, errors.Join(err, s.closeListeners(), p.close())
	}
	s.serve(s.public)
	s.serve(s.internal)
	logger.InfoContext(ctx, "serving", "public", s.PublicAddr(), "internal", s.InternalAddr())
	return s, nil
}

func (s *Server) listen(c Config) error {
	public, internal, err := s.parts.handlers(c, s.logger)
	if err != nil {
		return err
	}
	if s.public, err = newListener(c.ListenAddr, public, s.logger); err != nil {
		return fmt.Errorf("LISTEN_ADDR: %w", err)
	}
	if s.internal, err = newListener(c.InternalAddr, internal, s.logger); err != nil {
		return fmt.Errorf("INTERNAL_ADDR: %w", err)
	}
	return nil
}

// newListener opens a port. A request has 5 s for its header and 10 s in all to arrive; the answer has 20 s, in which
// WeChat's budget fits.
func newListener(addr string, h http.Handler, logger *slog.Logger) (*listener, error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, err
	}
	return &listener{Listener: l, server: &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      20 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(logger.Handler(), slog.LevelDebug),
	}}, nil
}

func (s *Server) serve(l *listener) {
	go func() {
		if err := l.server.Serve(l.Listener); !errors.Is(err, http.ErrServerClosed) {
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

// Shutdown stops taking requests, lets those in flight finish until ctx ends, and closes the parts.
func (s *Server) Shutdown(ctx context.Context) error {
	err := errors.Join(s.public.server.Shutdown(ctx), s.internal.server.Shutdown(ctx))
	if err != nil {
		err = fmt.Errorf("requests in flight were cut: %w", err)
		err = errors.Join(err, s.public.server.Close(), s.internal.server.Close())
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
