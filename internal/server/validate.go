package server

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"wxlogin/internal/clientip"
)

// maxShutdownDelay bounds SHUTDOWN_DELAY: container platforms kill what has not ended after about that long.
const maxShutdownDelay = time.Minute

// minAPIKey is how many characters INTERNAL_API_KEY has at least.
const minAPIKey = 16

func (c Config) validate() []error {
	faults := c.appFaults()
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	if !isWebAddress(c.WeChatAPIBase) {
		fault("WECHAT_API_BASE is not an http or https URL")
	}
	if c.ShutdownDelay < 0 || c.ShutdownDelay > maxShutdownDelay {
		fault("SHUTDOWN_DELAY: %v is not between 0s and %v", c.ShutdownDelay, maxShutdownDelay)
	}
	faults = append(faults, c.ttlFaults()...)
	if c.MaxSessionsPerUser < 1 {
		fault("MAX_SESSIONS_PER_USER: %d is less than 1", c.MaxSessionsPerUser)
	}
	faults = append(faults, c.Limits.validate()...)
	if _, err := clientip.ParseNetworks(c.TrustedProxies); err != nil {
		fault("TRUSTED_PROXIES: %w", err)
	}
	faults = append(faults, c.TLS.validate()...)
	faults = append(faults, c.Avatars.validate()...)
	faults = append(faults, c.MySQL.TLS.faults(c.MySQLDSN)...)
	faults = append(faults, c.MySQL.validate()...)
	faults = append(faults, c.redisFaults()...)
	faults = append(faults, addrFaults("LISTEN_ADDR", c.ListenAddr)...)
	faults = append(faults, c.internalFaults()...)
	return append(faults, c.Log.validate()...)
}

// internalFaults checks the internal listener: whoever reaches it learns who a token's user is, so that a network must not
// be its only protection.
func (c Config) internalFaults() []error {
	faults := addrFaults("INTERNAL_ADDR", c.InternalAddr)
	if _, port, _ := net.SplitHostPort(c.InternalAddr); c.InternalAddr == c.ListenAddr && port != "0" {
		faults = append(faults, errors.New("INTERNAL_ADDR is the same as LISTEN_ADDR"))
	}
	switch {
	case c.InternalAPIKey == "" && len(faults) == 0 && !onLoopback(c.InternalAddr):
		faults = append(faults, errors.New("INTERNAL_API_KEY is not set, and INTERNAL_ADDR is not on loopback"))
	case c.InternalAPIKey != "" && !validAPIKey(c.InternalAPIKey):
		faults = append(faults, fmt.Errorf("INTERNAL_API_KEY is not %d or more letters, digits and signs of ASCII", minAPIKey))
	}
	return faults
}

// onLoopback tells whether only this machine reaches a host:port.
func onLoopback(addr string) bool {
	host, _, _ := net.SplitHostPort(addr)
	return isLoopback(host)
}

// isLoopback reports whether a host name or IP address is this machine's own.
func isLoopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return strings.EqualFold(host, "localhost") || err == nil && ip.Unmap().IsLoopback()
}

// validAPIKey tells whether a key is long enough not to be guessed, and can stand in a header as it is.
func validAPIKey(key string) bool {
	return len(key) >= minAPIKey && !strings.ContainsFunc(key, func(r rune) bool { return r <= ' ' || r > '~' })
}

// ttlFaults checks the times to live. One of 0 was not read, and is reported already.
func (c Config) ttlFaults() []error {
	var faults []error
	if c.SessionIdleTTL != 0 && c.SessionIdleTTL < time.Second { // a slip of the unit
		faults = append(faults, fmt.Errorf("SESSION_IDLE_TTL: %v is less than 1s", c.SessionIdleTTL))
	}
	if c.SessionMaxTTL != 0 && c.SessionMaxTTL < c.SessionIdleTTL {
		faults = append(faults, errors.New("SESSION_MAX_TTL is less than SESSION_IDLE_TTL"))
	}
	return faults
}

func (c LimitConfig) validate() []error {
	var faults []error
	for name, limit := range map[string]int{
		"MAX_LOGINS_IN_FLIGHT": c.LoginsInFlight, "LOGIN_RATE_LIMIT": c.Logins,
		"UPDATE_RATE_LIMIT": c.Updates, "FAILED_UPDATE_RATE_LIMIT": c.FailedUpdates,
		"UPLOAD_DAILY_LIMIT": c.Uploads,
	} {
		if limit < 0 {
			faults = append(faults, fmt.Errorf("%s: %d is less than 0", name, limit))
		}
	}
	return faults
}

func (c TLSConfig) validate() []error {
	if (c.CertFile == "") != (c.KeyFile == "") {
		return []error{errors.New("TLS_CERT_FILE and TLS_KEY_FILE go together")}
	}
	return nil
}

func isWebAddress(s string) bool {
	u, err := url.Parse(s)
	return err == nil && u.Host != "" && (u.Scheme == "http" || u.Scheme == "https")
}

func (c MigrateConfig) validate() []error {
	return append(c.TLS.faults(c.MySQLDSN), c.Log.validate()...)
}

func (c HealthConfig) validate() []error { return addrFaults("INTERNAL_ADDR", c.InternalAddr) }

func (c LogConfig) validate() []error {
	if c.Format != "json" && c.Format != "text" {
		return []error{fmt.Errorf("LOG_FORMAT: %q is neither json nor text", c.Format)}
	}
	return nil
}

// addrFaults checks a host:port. The host may be empty: all addresses.
func addrFaults(name, addr string) []error {
	_, port, err := net.SplitHostPort(addr)
	if err != nil || port == "" {
		return []error{fmt.Errorf("%s: %q is not of the form host:port", name, addr)}
	}
	if _, err := net.LookupPort("tcp", port); err != nil { // by number or, as "https", by name
		return []error{fmt.Errorf("%s: %q has no port between 0 and 65535", name, addr)}
	}
	return nil
}

func validAppID(s string) bool {
	const allowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"
	return s != "" && len(s) <= 64 && strings.Trim(s, allowed) == ""
}
