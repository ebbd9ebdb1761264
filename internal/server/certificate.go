package server

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"sync/atomic"
	"time"

	"wxlogin/internal/config"
)

// ErrCertificate is in the error of a start whose TLS_CERT_FILE and TLS_KEY_FILE are not a valid pair.
var ErrCertificate = errors.New("the certificate is unusable")

// certificateCheckInterval is the time between two checks of the files. Certificates are renewed weeks before they
// expire.
const certificateCheckInterval = time.Minute

// certificate is a certificate in two PEM files that may be replaced at any time, in place or by a change of links.
//
// run reads both files every interval. If they cannot be read or do not match, for example because a renewal has written
// only the first of them, the previous pair stays in use, and one error is logged per change of the files. Established
// connections keep the certificate of their handshake.
type certificate struct {
	certFile, keyFile string
	interval          time.Duration // between two checks
	logger            *slog.Logger
	current           atomic.Pointer[tls.Certificate]
	content           [sha256.Size]byte // hash of the files when they were read last; used by the goroutine of run only
}

// loadCertificate reads the pair. Its error wraps ErrCertificate and names the variable to change.
func loadCertificate(c config.TLS, interval time.Duration, logger *slog.Logger) (*certificate, error) {
	cert := &certificate{certFile: c.CertFile, keyFile: c.KeyFile, interval: interval, logger: logger}
	_, err := cert.load()
	return cert, err
}

// get is a tls.Config's GetCertificate.
func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	return c.current.Load(), nil
}

// run checks the files every interval until ctx ends.
func (c *certificate) run(ctx context.Context) { every(ctx, c.interval, c.check) }

// check reloads the pair if the files have changed.
func (c *certificate) check() {
	switch changed, err := c.load(); {
	case err != nil:
		c.logger.Warn("certificate reload failed, keeping the current one", "cause", err)
	case changed:
		c.logger.Info("certificate reloaded", "notAfter", c.current.Load().Leaf.NotAfter)
	}
}

// load reads the files and makes them the current pair, if they have changed since the last call.
func (c *certificate) load() (changed bool, err error) {
	certPEM, certErr := os.ReadFile(c.certFile)
	keyPEM, keyErr := os.ReadFile(c.keyFile)
	content := sha256.Sum256(slices.Concat(certPEM, keyPEM))
	if content == c.content {
		return false, nil
	}
	c.content = content
	if certErr != nil {
		return true, fmt.Errorf("%w: TLS_CERT_FILE: %w", ErrCertificate, certErr)
	}
	if keyErr != nil {
		return true, fmt.Errorf("%w: TLS_KEY_FILE: %w", ErrCertificate, keyErr)
	}
	pair, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		return true, fmt.Errorf("%w: TLS_CERT_FILE and TLS_KEY_FILE: %w", ErrCertificate, err)
	}
	c.current.Store(&pair)
	return true, nil
}
