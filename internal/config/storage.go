package config

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"wxlogin/internal/redisclient"
	"wxlogin/store"
)

func (m MySQL) validate() []error {
	var errs []error
	if m.MaxOpenConns < 1 {
		errs = append(errs, fmt.Errorf("MYSQL_MAX_OPEN_CONNS: %d is less than 1", m.MaxOpenConns))
	}
	if m.ConnMaxLifetime < time.Second { // a wrong unit
		errs = append(errs, fmt.Errorf("MYSQL_CONN_MAX_LIFETIME: %v is less than 1s", m.ConnMaxLifetime))
	}
	for _, dsn := range m.ReplicaDSNs {
		errs = append(errs, m.TLS.validateDSN("MYSQL_REPLICA_DSNS", dsn)...)
	}
	return errs
}

// validate checks the files and the primary's DSN.
func (t MySQLTLS) validate(dsn string) []error {
	return append(t.files().validate(), t.validateDSN("MYSQL_DSN", dsn)...)
}

// validateDSN checks a DSN without connecting, and that it agrees with the files. Its errors do not contain the DSN.
func (t MySQLTLS) validateDSN(name, dsn string) []error {
	if dsn == "" {
		return nil // reported as not set
	}
	if err := store.CheckDSN(dsn, t.IsSet()); err != nil {
		return []error{fmt.Errorf("%s: %w", name, err)}
	}
	return nil
}

// IsSet reports whether a file is named.
func (t MySQLTLS) IsSet() bool { return t.files().isSet() }

// Config returns the TLS configuration of connections to MySQL, and nil if no file is named.
func (t MySQLTLS) Config() (*tls.Config, error) { return t.files().config() }

func (t MySQLTLS) files() tlsFiles {
	return tlsFiles{prefix: "MYSQL_TLS", ca: t.CAFile, cert: t.CertFile, key: t.KeyFile}
}

// validate checks the configuration together with REDIS_URL, without connecting.
func (r Redis) validate(url string) []error {
	if url == "" {
		return nil // reported as not set
	}
	if err := redisclient.CheckURL(r.Mode, url); err != nil {
		return []error{err}
	}
	files := r.files()
	if files.isSet() && !strings.HasPrefix(url, "rediss://") {
		return []error{errors.New("REDIS_TLS_… files are set, and REDIS_URL is not rediss://")}
	}
	return files.validate()
}

// TLSConfig returns the TLS configuration of connections to Redis, and nil if no file is named.
func (r Redis) TLSConfig() (*tls.Config, error) { return r.files().config() }

func (r Redis) files() tlsFiles {
	return tlsFiles{prefix: "REDIS_TLS", ca: r.TLSCAFile, cert: r.TLSCertFile, key: r.TLSKeyFile}
}

// tlsFiles are the PEM files for TLS with MySQL or Redis. Each may be "".
type tlsFiles struct {
	prefix string // of the variables that name them, such as REDIS_TLS
	ca     string // verifies the server; default: the system's roots
	cert   string // the client certificate
	key    string
}

func (f tlsFiles) isSet() bool { return f.ca != "" || f.cert != "" || f.key != "" }

// validate reads the files.
func (f tlsFiles) validate() []error {
	var errs []error
	if f.ca != "" {
		if _, err := f.roots(); err != nil {
			errs = append(errs, err)
		}
	}
	if (f.cert == "") != (f.key == "") {
		return append(errs, fmt.Errorf("%[1]s_CERT_FILE and %[1]s_KEY_FILE must be set together", f.prefix))
	}
	if f.cert != "" {
		if _, err := f.clientCertificate(); err != nil {
			errs = append(errs, err)
		}
	}
	return errs
}

// config returns the TLS configuration of a client with these files, without a ServerName, and nil if there are none.
func (f tlsFiles) config() (*tls.Config, error) {
	if !f.isSet() {
		return nil, nil
	}
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if f.ca != "" {
		roots, err := f.roots()
		if err != nil {
			return nil, err
		}
		c.RootCAs = roots
	}
	if f.cert != "" {
		// The files are read for each connection: client certificates are short-lived and replaced while the server runs.
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
		return nil, fmt.Errorf("%s_CA_FILE contains no PEM certificate", f.prefix)
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

func (a Avatars) validate() []error {
	errs := a.validateS3()
	if a.Dir != "" && a.PublicURL == "" {
		errs = append(errs, errors.New("PUBLIC_URL is not set, which AVATAR_DIR requires"))
	}
	for name, address := range map[string]string{
		"PUBLIC_URL": a.PublicURL, "AVATAR_S3_ENDPOINT": a.S3Endpoint, "AVATAR_S3_PUBLIC_URL": a.S3PublicURL,
	} {
		if address != "" && (!isWebAddress(address) || strings.ContainsAny(address, "?#")) {
			errs = append(errs, fmt.Errorf("%s is not an http or https URL", name))
		}
	}
	return errs
}

// validateS3 reports the missing variables of a bucket of which only some are set.
func (a Avatars) validateS3() []error {
	settings := [...]struct{ name, value string }{
		{"AVATAR_S3_ENDPOINT", a.S3Endpoint}, {"AVATAR_S3_BUCKET", a.S3Bucket},
		{"AVATAR_S3_ACCESS_KEY", a.S3AccessKey}, {"AVATAR_S3_SECRET_KEY", a.S3SecretKey},
	}
	var errs []error
	for _, s := range settings {
		if s.value == "" {
			errs = append(errs, fmt.Errorf("%s is not set, which the other AVATAR_S3 variables require", s.name))
		}
	}
	if len(errs) == len(settings) {
		return nil // no bucket is configured
	}
	if a.Dir != "" {
		errs = append(errs, errors.New("AVATAR_DIR and AVATAR_S3_BUCKET are both set"))
	}
	return errs
}
