package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"os"
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
// run checks both files every interval. If one is another file than before, or has another modification time or size, the
// pair is read again. If the files cannot be read or do not match, for example because a renewal has written only the
// first of them, the previous pair stays in use, one error is logged per change of the files, and each check tries again.
// Established connections keep the certificate of their handshake.
type certificate struct {
	certFile, keyFile string
	interval          time.Duration // between two checks
	logger            *slog.Logger
	current           atomic.Pointer[tls.Certificate]

	// Used by the goroutine of run only.
	lastStat pairInfo // the files when they were read last
	valid    bool     // whether current is their content
}

// pairInfo identifies a state of the two files. A file that does not exist is nil.
type pairInfo struct{ cert, key os.FileInfo }

// loadCertificate reads the pair. Its error wraps ErrCertificate and names the variable to change.
func loadCertificate(c config.TLS, interval time.Duration, logger *slog.Logger) (*certificate, error) {
	cert := &certificate{certFile: c.CertFile, keyFile: c.KeyFile, interval: interval, logger: logger}
	cert.lastStat = cert.stat()
	pair, err := cert.read()
	if err != nil {
		return nil, err
	}
	cert.current.Store(pair)
	cert.valid = true
	return cert, nil
}

// get is a tls.Config's GetCertificate.
func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	return c.current.Load(), nil
}

// run checks the files every interval until ctx ends.
func (c *certificate) run(ctx context.Context) { every(ctx, c.interval, c.check) }

// check reloads the pair if the files have changed.
func (c *certificate) check() {
	info := c.stat() // before reading, so that the next check sees a change during the read
	changed := !info.same(c.lastStat)
	if !changed && c.valid {
		return
	}
	c.lastStat = info
	pair, err := c.read()
	c.valid = err == nil
	if err != nil {
		if changed {
			c.logger.Warn("certificate reload failed, keeping the current one", "cause", err)
		}
		return
	}
	c.current.Store(pair)
	c.logger.Info("certificate reloaded", "notAfter", pair.Leaf.NotAfter)
}

func (c *certificate) read() (*tls.Certificate, error) {
	certPEM, err := os.ReadFile(c.certFile)
	if err != nil {
		return nil, fmt.Errorf("%w: TLS_CERT_FILE: %w", ErrCertificate, err)
	}
	keyPEM, err := os.ReadFile(c.keyFile)
	if err != nil {
		return nil, fmt.Errorf("%w: TLS_KEY_FILE: %w", ErrCertificate, err)
	}
	pair, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		return nil, fmt.Errorf("%w: TLS_CERT_FILE and TLS_KEY_FILE: %w", ErrCertificate, err)
	}
	return &pair, nil
}

// stat returns the state of the files, following links. It ignores errors: read returns them.
func (c *certificate) stat() pairInfo {
	var info pairInfo
	info.cert, _ = os.Stat(c.certFile)
	info.key, _ = os.Stat(c.keyFile)
	return info
}

func (p pairInfo) same(other pairInfo) bool {
	return sameFile(p.cert, other.cert) && sameFile(p.key, other.key)
}

func sameFile(a, b os.FileInfo) bool {
	if a == nil || b == nil {
		return a == b
	}
	return os.SameFile(a, b) && a.ModTime().Equal(b.ModTime()) && a.Size() == b.Size()
}
