package app

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"strings"
)

// tlsFaults checks the files for TLS with Redis.
func (c RedisConfig) tlsFaults(url string) []error {
	if c.TLSCAFile == "" && c.TLSCertFile == "" && c.TLSKeyFile == "" {
		return nil
	}
	if !strings.HasPrefix(url, "rediss://") {
		return []error{errors.New("REDIS_TLS_… files are set, and REDIS_URL is not rediss://")}
	}
	var faults []error
	if c.TLSCAFile != "" {
		if _, err := readRoots(c.TLSCAFile); err != nil {
			faults = append(faults, err)
		}
	}
	if (c.TLSCertFile == "") != (c.TLSKeyFile == "") {
		return append(faults, errors.New("REDIS_TLS_CERT_FILE and REDIS_TLS_KEY_FILE go together"))
	}
	if c.TLSCertFile != "" {
		if _, err := c.clientCertificate(); err != nil {
			faults = append(faults, err)
		}
	}
	return faults
}

// tls makes the TLS of one client out of what the URL says of it; nil stays nil.
//
// It names no server: each node shows a certificate of the very address that it was reached at, which with Sentinel and
// Cluster is not that of the URL.
func (c RedisConfig) tls(ofURL *tls.Config) (*tls.Config, error) {
	if ofURL == nil {
		return nil, nil
	}
	own := &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: ofURL.InsecureSkipVerify}
	if c.TLSCAFile != "" {
		roots, err := readRoots(c.TLSCAFile)
		if err != nil {
			return nil, err
		}
		own.RootCAs = roots
	}
	if c.TLSCertFile != "" {
		// Read for each connection: such certificates live short, and are replaced while the server runs.
		own.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return c.clientCertificate() }
	}
	return own, nil
}

func readRoots(file string) (*x509.CertPool, error) {
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("REDIS_TLS_CA_FILE: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, errors.New("REDIS_TLS_CA_FILE holds no certificate in PEM")
	}
	return roots, nil
}

func (c RedisConfig) clientCertificate() (*tls.Certificate, error) {
	pair, err := tls.LoadX509KeyPair(c.TLSCertFile, c.TLSKeyFile)
	if err != nil {
		return nil, fmt.Errorf("REDIS_TLS_CERT_FILE and REDIS_TLS_KEY_FILE: %w", err)
	}
	return &pair, nil
}
