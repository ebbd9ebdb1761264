package server

import (
	"crypto/tls"
	"errors"
	"strings"
)

func (c RedisConfig) tlsFiles() tlsFiles {
	return tlsFiles{prefix: "REDIS_TLS", ca: c.TLSCAFile, cert: c.TLSCertFile, key: c.TLSKeyFile}
}

// tlsFaults checks the files for TLS with Redis.
func (c RedisConfig) tlsFaults(url string) []error {
	files := c.tlsFiles()
	if files.set() && !strings.HasPrefix(url, "rediss://") {
		return []error{errors.New("REDIS_TLS_… files are set, and REDIS_URL is not rediss://")}
	}
	return files.faults()
}

// tls makes the TLS of one client out of what the URL says of it; nil stays nil.
//
// It names no server: each node shows a certificate of the very address that it was reached at, which with Sentinel and
// Cluster is not that of the URL.
func (c RedisConfig) tls(ofURL *tls.Config) (*tls.Config, error) {
	if ofURL == nil {
		return nil, nil
	}
	own, err := c.tlsFiles().config()
	if err != nil {
		return nil, err
	}
	own.InsecureSkipVerify = ofURL.InsecureSkipVerify
	return own, nil
}
