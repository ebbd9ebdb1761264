package server

import (
	"fmt"

	"wxlogin/store"
)

func (c MySQLTLS) files() tlsFiles {
	return tlsFiles{prefix: "MYSQL_TLS", ca: c.CAFile, cert: c.CertFile, key: c.KeyFile}
}

// open is store.Open with these files.
func (c MySQLTLS) open(dsn string, o store.Options) (*store.DB, error) {
	if files := c.files(); files.set() {
		var err error
		if o.TLS, err = files.config(); err != nil {
			return nil, err
		}
	}
	return store.Open(dsn, o)
}

// faults checks the files and the primary's DSN.
func (c MySQLTLS) faults(dsn string) []error {
	return append(c.files().faults(), c.dsnFaults("MYSQL_DSN", dsn)...)
}

// dsnFaults checks a DSN's form without connecting, and that it agrees with the files. Its errors do not show the DSN.
func (c MySQLTLS) dsnFaults(name, dsn string) []error {
	if dsn == "" {
		return nil // reported as not set
	}
	if err := store.CheckDSN(dsn, c.files().set()); err != nil {
		return []error{fmt.Errorf("%s: %w", name, err)}
	}
	return nil
}
