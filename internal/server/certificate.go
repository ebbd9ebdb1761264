package server

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync/atomic"
	"time"
)

// ErrCertificate is in the error of a start whose TLS_CERT_FILE and TLS_KEY_FILE are no usable pair.
var ErrCertificate = errors.New("the certificate cannot be used")

// certificateInterval is how long the files are not looked at again: certificates are renewed weeks before they expire.
const certificateInterval = time.Second

// certificate is a certificate in two PEM files that may be replaced at any time, in place or by a change of links.
//
// A handshake looks at both files when the last look is at least an interval ago. Where one is another file than before,
// or has another time of modification or size, the pair is read again. While the present files cannot be read or do not
// match, as when a renewal has written the first of two, the pair before stays in use, the fault is logged once for each
// change of the files, and every look tries again. Connections that are open stay on the certificate they began with.
type certificate struct {
	certFile, keyFile string
	interval          time.Duration
	logger            *slog.Logger
	current           atomic.Pointer[tls.Certificate]

	looking atomic.Bool // guards what follows: one handshake looks, the others go on
	looked  time.Time
	seen    pairInfo // the files when they were last read
	usable  bool     // whether current is what they held
}

// pairInfo is what tells one state of the two files from another. A file that is not there is nil.
type pairInfo struct{ cert, key os.FileInfo }

// loadCertificate reads the pair for the first time. Its error wraps ErrCertificate and names the variable at fault.
func loadCertificate(c TLSConfig, interval time.Duration, logger *slog.Logger) (*certificate, error) {
	cert := &certificate{certFile: c.CertFile, keyFile: c.KeyFile, interval: interval, logger: logger}
	cert.seen = cert.stat()
	cert.looked = time.Now()
	pair, err := cert.read()
	if err != nil {
		return nil, err
	}
	cert.current.Store(pair)
	cert.usable = true
	return cert, nil
}

// get is a tls.Config's GetCertificate.
func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	if c.looking.CompareAndSwap(false, true) {
		c.look()
		c.looking.Store(false)
	}
	return c.current.Load(), nil
}

// look takes up the files where they have changed.
func (c *certificate) look() {
	if time.Since(c.looked) < c.interval {
		return
	}
	c.looked = time.Now()
	info := c.stat() // before reading: what is written meanwhile shows in the next look
	changed := !info.same(c.seen)
	if !changed && c.usable {
		return
	}
	c.seen = info
	pair, err := c.read()
	c.usable = err == nil
	if err != nil {
		if changed {
			c.logger.Warn("the certificate's files have changed and cannot be used; the one before stays", "cause", err)
		}
		return
	}
	c.current.Store(pair)
	c.logger.Info("the certificate was replaced", "notAfter", pair.Leaf.NotAfter)
}

// read reads the pair as it is now.
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

// stat looks at the files that links lead to. An error leaves nil: reading tells what is wrong.
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
