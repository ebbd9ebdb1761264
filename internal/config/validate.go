package config

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"
)

// maxShutdownDelay bounds SHUTDOWN_DELAY: container platforms kill a process that has not ended after about a minute.
const maxShutdownDelay = time.Minute

func (c Config) validate() []error {
	errs := c.validateApps()
	fail := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if !isWebAddress(c.WeChatAPIBase) {
		fail("WECHAT_API_BASE is not an http or https URL")
	}
	if c.ShutdownDelay < 0 || c.ShutdownDelay > maxShutdownDelay {
		fail("SHUTDOWN_DELAY: %v is not between 0s and %v", c.ShutdownDelay, maxShutdownDelay)
	}
	errs = append(errs, c.validatePushes()...)
	errs = append(errs, c.validateTTLs()...)
	if c.MaxSessionsPerUser < 1 {
		fail("MAX_SESSIONS_PER_USER: %d is less than 1", c.MaxSessionsPerUser)
	}
	errs = append(errs, c.Limits.validate()...)
	errs = append(errs, c.TLS.validate()...)
	errs = append(errs, c.Avatars.validate()...)
	errs = append(errs, c.MySQL.TLS.validate(c.MySQLDSN)...)
	errs = append(errs, c.MySQL.validate()...)
	errs = append(errs, c.Redis.validate(c.RedisURL)...)
	errs = append(errs, validateAddr("LISTEN_ADDR", c.ListenAddr)...)
	errs = append(errs, c.validateInternal()...)
	return append(errs, c.Log.validate()...)
}

func (m Migrate) validate() []error { return append(m.TLS.validate(m.MySQLDSN), m.Log.validate()...) }

func (h Health) validate() []error { return validateAddr("INTERNAL_ADDR", h.InternalAddr) }

func (s Sweep) validate() []error {
	errs := append(s.TLS.validate(s.MySQLDSN), s.Avatars.validate()...)
	if s.Avatars.Dir == "" && s.Avatars.S3Bucket == "" && len(errs) == 0 {
		errs = append(errs, errors.New("neither AVATAR_DIR nor AVATAR_S3_BUCKET is set"))
	}
	return append(errs, s.Log.validate()...)
}

func (u Users) validate() []error {
	return slices.Concat(u.TLS.validate(u.MySQLDSN), u.Avatars.validate(), u.Log.validate())
}

func (e Erase) validate() []error {
	return slices.Concat(e.TLS.validate(e.MySQLDSN), e.Redis.validate(e.RedisURL), e.Avatars.validate(), e.Log.validate())
}

func (r Revoke) validate() []error {
	return append(r.Erase.validate(), Config{App: r.App, Apps: r.Apps}.validateApps()...)
}

// AppIDs returns the appids of all mini-programs.
func (r Revoke) AppIDs() []string { return appIDs(r.App, r.Apps) }

func (i Import) validate() []error { return append(i.TLS.validate(i.MySQLDSN), i.Log.validate()...) }

// AppIDs returns the appids of the mini-programs that are configured; none need be.
func (i Import) AppIDs() []string { return appIDs(i.App, i.Apps) }

func appIDs(single SingleApp, others []App) (ids []string) {
	for _, app := range (Config{App: single, Apps: others}).AllApps() {
		ids = append(ids, app.AppID)
	}
	return ids
}

// validateInternal checks the internal listener. It reveals which user a token belongs to, so a network must not be its
// only protection.
func (c Config) validateInternal() []error {
	errs := validateAddr("INTERNAL_ADDR", c.InternalAddr)
	if _, port, _ := net.SplitHostPort(c.InternalAddr); c.InternalAddr == c.ListenAddr && port != "0" {
		errs = append(errs, errors.New("INTERNAL_ADDR is the same as LISTEN_ADDR"))
	}
	host, _, _ := net.SplitHostPort(c.InternalAddr)
	if c.InternalAPIKey == "" && len(errs) == 0 && !IsLoopback(host) {
		errs = append(errs, errors.New("INTERNAL_API_KEY is not set, and INTERNAL_ADDR is not on loopback"))
	}
	if c.AccessTokenAPI && c.InternalAPIKey == "" {
		errs = append(errs, errors.New("ACCESS_TOKEN_API is on, and INTERNAL_API_KEY is not set"))
	}
	return append(errs, c.validateAPIKeys()...)
}

// validateTTLs checks the times to live. If one is 0, it could not be parsed, which is reported already.
func (c Config) validateTTLs() []error {
	var errs []error
	if c.SessionIdleTTL != 0 && c.SessionIdleTTL < time.Second { // a wrong unit
		errs = append(errs, fmt.Errorf("SESSION_IDLE_TTL: %v is less than 1s", c.SessionIdleTTL))
	}
	if c.SessionMaxTTL != 0 && c.SessionMaxTTL < c.SessionIdleTTL {
		errs = append(errs, errors.New("SESSION_MAX_TTL is less than SESSION_IDLE_TTL"))
	}
	return errs
}

func (l Limits) validate() []error {
	var errs []error
	for name, limit := range map[string]int{
		"MAX_LOGINS_IN_FLIGHT": l.LoginsInFlight, "LOGIN_RATE_LIMIT": l.Logins,
		"UPDATE_RATE_LIMIT": l.Updates, "FAILED_UPDATE_RATE_LIMIT": l.FailedUpdates,
		"UPLOAD_DAILY_LIMIT": l.Uploads,
	} {
		if limit < 0 {
			errs = append(errs, fmt.Errorf("%s: %d is less than 0", name, limit))
		}
	}
	return errs
}

func (t TLS) validate() []error {
	if (t.CertFile == "") != (t.KeyFile == "") {
		return []error{errors.New("TLS_CERT_FILE and TLS_KEY_FILE must be set together")}
	}
	return nil
}

func (l Log) validate() []error {
	if l.Format != "json" && l.Format != "text" {
		return []error{fmt.Errorf("LOG_FORMAT: %q is neither json nor text", l.Format)}
	}
	return nil
}

// IsLoopback reports whether a host name or IP address is this machine's own.
func IsLoopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return strings.EqualFold(host, "localhost") || err == nil && ip.Unmap().IsLoopback()
}

func isWebAddress(s string) bool {
	u, err := url.Parse(s)
	return err == nil && u.Host != "" && (u.Scheme == "http" || u.Scheme == "https")
}

// validateAddr checks a host:port. If the host is empty, the server listens on all addresses.
func validateAddr(name, addr string) []error {
	_, port, err := net.SplitHostPort(addr)
	if err != nil || port == "" {
		return []error{fmt.Errorf("%s: %q is not of the form host:port", name, addr)}
	}
	if _, err := net.LookupPort("tcp", port); err != nil { // a number, or a name such as "https"
		return []error{fmt.Errorf("%s: %q has no port between 0 and 65535", name, addr)}
	}
	return nil
}
