package server

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
)

// tlsFiles are the files, in PEM, for TLS with a database. Each may be "".
type tlsFiles struct {
	prefix string // of the variables that name them, such as REDIS_TLS
	ca     string // verifies the server; system roots by default
	cert   string // of this client
	key    string
}

// set reports whether a file is named.
func (f tlsFiles) set() bool { return f.ca != "" || f.cert != "" || f.key != "" }

// faults reads the files and returns what is wrong with them.
func (f tlsFiles) faults() []error {
	var faults []error
	if f.ca != "" {
		if _, err := f.roots(); err != nil {
			faults = append(faults, err)
		}
	}
	if (f.cert == "") != (f.key == "") {
		return append(faults, fmt.Errorf("%[1]s_CERT_FILE and %[1]s_KEY_FILE go together", f.prefix))
	}
	if f.cert != "" {
		if _, err := f.clientCertificate(); err != nil {
			faults = append(faults, err)
		}
	}
	return faults
}

// config returns the TLS of a client with these files. It names no server.
func (f tlsFiles) config() (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if f.ca != "" {
		roots, err := f.roots()
		if err != nil {
			return nil, err
		}
		c.RootCAs = roots
	}
	if f.cert != "" {
		// Read for each connection: such certificates are short-lived, and are replaced while the server runs.
		c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return f.clientCertificate() }
	}
	return c, nil
}

func (f tlsFiles) roots() (*x509.CertPool, error) {
	pem, err := os.ReadFile(f.ca)
	if err != nil {
		return nil, fmt.Errorf("%s_CA_FILE: %w", f.prefix, err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s_CA_FILE holds no certificate in PEM", f.prefix)
	}
	return roots, nil
}

func (f tlsFiles) clientCertificate() (*tls.Certificate, error) {
	pair, err := tls.LoadX509KeyPair(f.cert, f.key)
	if err != nil {
		return nil, fmt.Errorf("%[1]s_CERT_FILE and %[1]s_KEY_FILE: %[2]w", f.prefix, err)
	}
	return &pair, nil
}
