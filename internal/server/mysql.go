package server

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"wxlogin/store"
)

// DSNs are data source names in the form of MYSQL_DSN.
type DSNs []string

// UnmarshalText reads names that are separated by white space, of which a DSN has none.
func (d *DSNs) UnmarshalText(text []byte) error {
	*d = strings.Fields(string(text))
	return nil
}

// OffSwitch is true for a feature that is switched off. Its zero value is on.
type OffSwitch bool

// UnmarshalText reads on or off.
func (s *OffSwitch) UnmarshalText(text []byte) error {
	switch value := string(text); value {
	case "on", "off":
		*s = value == "off"
		return nil
	default:
		return fmt.Errorf("%q is neither on nor off", value)
	}
}

// openDatabase opens the pools to the primary and to the replicas. It does not connect.
func openDatabase(c Config, logger *slog.Logger) (*store.DB, error) {
	return c.MySQL.TLS.open(c.MySQLDSN, store.Options{
		Logger: logger, MaxOpenConns: c.MySQL.MaxOpenConns, ConnMaxLifetime: c.MySQL.ConnMaxLifetime,
		NoPrepare: bool(c.MySQL.NoPrepare), Replicas: c.MySQL.ReplicaDSNs, OpenDB: c.Tracing.OpenDB,
	})
}

// startBackground runs work in the background. The function that it returns ends work's context and waits until work has
// returned.
func startBackground(work func(context.Context)) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		work(ctx)
	}()
	return func() {
		cancel()
		<-done
	}
}

func (c MySQLConfig) validate() []error {
	var faults []error
	if c.MaxOpenConns < 1 {
		faults = append(faults, fmt.Errorf("MYSQL_MAX_OPEN_CONNS: %d is less than 1", c.MaxOpenConns))
	}
	if c.ConnMaxLifetime < time.Second { // a slip of the unit
		faults = append(faults, fmt.Errorf("MYSQL_CONN_MAX_LIFETIME: %v is less than 1s", c.ConnMaxLifetime))
	}
	for _, dsn := range c.ReplicaDSNs {
		faults = append(faults, c.TLS.dsnFaults("MYSQL_REPLICA_DSNS", dsn)...)
	}
	return faults
}
