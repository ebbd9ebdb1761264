package app

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// maxShutdownDelay bounds SHUTDOWN_DELAY: container platforms kill what has not ended after about that long.
const maxShutdownDelay = time.Minute

func (c Config) validate() []error {
	faults := c.appFaults()
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	if c.RedisURL != "" {
		if _, err := redis.ParseURL(c.RedisURL); err != nil {
			fault("REDIS_URL is not of the form redis://user:password@host:port/number") // the error itself would show the password
		}
	}
	if !isWebAddress(c.WeChatAPIBase) {
		fault("WECHAT_API_BASE is not an http or https URL")
	}
	if c.ShutdownDelay < 0 || c.ShutdownDelay > maxShutdownDelay {
		fault("SHUTDOWN_DELAY: %v is not between 0s and %v", c.ShutdownDelay, maxShutdownDelay)
	}
	faults = append(faults, c.ttlFaults()...)
	faults = append(faults, c.Limits.validate()...)
	if _, err := proxyPrefixes(c.TrustedProxies); err != nil {
		faults = append(faults, err)
	}
	faults = append(faults, c.TLS.validate()...)
	faults = append(faults, c.Avatars.validate()...)
	faults = append(faults, dsnFaults(c.MySQLDSN)...)
	faults = append(faults, addrFaults("LISTEN_ADDR", c.ListenAddr)...)
	faults = append(faults, addrFaults("INTERNAL_ADDR", c.InternalAddr)...)
	return append(faults, c.Log.validate()...)
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

// proxyPrefixes reads addresses and networks as prefixes in CIDR form.
func proxyPrefixes(entries []string) ([]string, error) {
	var prefixes []string
	for _, entry := range entries {
		entry = strings.TrimSpace(entry)
		if addr, err := netip.ParseAddr(entry); err == nil && addr.Zone() == "" {
			entry = netip.PrefixFrom(addr, addr.BitLen()).String()
		}
		if _, err := netip.ParsePrefix(entry); err != nil {
			return nil, fmt.Errorf("TRUSTED_PROXIES: %q is neither an address nor a network such as 10.0.0.0/8", entry)
		}
		prefixes = append(prefixes, entry)
	}
	return prefixes, nil
}

func (c MigrateConfig) validate() []error {
	return append(dsnFaults(c.MySQLDSN), c.Log.validate()...)
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
	if _, port, err := net.SplitHostPort(addr); err != nil || port == "" {
		return []error{fmt.Errorf("%s: %q is not of the form host:port", name, addr)}
	}
	return nil
}

func validAppID(s string) bool {
	const allowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"
	return s != "" && len(s) <= 64 && strings.Trim(s, allowed) == ""
}
