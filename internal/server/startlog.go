package server

import (
	"context"
	"go/version"
	"log/slog"
	"net/netip"
	"net/url"
	"runtime"
	"slices"
	"strings"

	"github.com/go-sql-driver/mysql"

	"wxlogin/internal/config"
	"wxlogin/internal/redisclient"
)

// describe returns the attributes of the log line "serving": the addresses of the dependencies and the features that are
// on. They contain no user name, password, key or secret.
func describe(c config.Config, o Options) []slog.Attr {
	primary, ownTLS := describeDSN(c.MySQLDSN)
	replicas := []string{}
	for _, dsn := range c.MySQL.ReplicaDSNs {
		replica, _ := describeDSN(dsn)
		replicas = append(replicas, replica)
	}
	return []slog.Attr{
		slog.String("version", o.Version),
		slog.Any("apps", appIDs(c)),
		slog.String("wechat", hostOf(c.WeChatAPIBase)),
		slog.Group("mysql", slog.String("primary", primary), slog.Any("replicas", replicas),
			slog.Int("maxOpenConns", c.MySQL.MaxOpenConns), slog.Bool("tls", ownTLS || c.MySQL.TLS.IsSet())),
		slog.Attr{Key: "redis", Value: redisclient.Describe(c.Redis.Mode, c.RedisURL)},
		slog.Group("limits", slog.Int("loginsInFlight", c.Limits.LoginsInFlight), slog.Int("loginsPerMinute", c.Limits.Logins),
			slog.Int("updatesPerMinute", c.Limits.Updates), slog.Int("failedUpdatesPerMinute", c.Limits.FailedUpdates),
			slog.Int("uploadsPerDay", c.Limits.Uploads)),
		slog.Group("sessions", slog.String("idleTTL", c.SessionIdleTTL.String()), slog.String("maxTTL", c.SessionMaxTTL.String())),
		slog.String("uploads", describeAvatars(c.Avatars)),
		slog.Bool("tls", c.TLS.CertFile != ""),
		slog.Bool("internalKey", c.InternalAPIKey != ""),
		slog.Bool("accessTokenAPI", bool(c.AccessTokenAPI)),
		slog.Bool("tracing", o.Tracing != nil),
		slog.Any("trustedProxies", append([]netip.Prefix{}, c.TrustedProxies...)),
		slog.Int("pushes", len(c.Pushes)),
		slog.String("reportZone", c.ReportZone.String()),
	}
}

// describeDSN returns the host:port/database of a DSN, and whether its parameter tls requires TLS. It returns "" if the
// DSN is malformed.
func describeDSN(dsn string) (database string, hasTLS bool) {
	config, err := mysql.ParseDSN(dsn)
	if err != nil {
		return "", false
	}
	return config.Addr + "/" + config.DBName, config.TLS != nil
}

// describeAvatars returns "folder", the host and name of a bucket, or "off".
func describeAvatars(c config.Avatars) string {
	switch {
	case c.Dir != "":
		return "folder"
	case c.S3Bucket != "":
		return hostOf(c.S3Endpoint) + "/" + c.S3Bucket
	}
	return "off"
}

// hostOf returns the host of a URL, without a user name, and "" if the URL is malformed.
func hostOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return u.Host
}

// patchedGo lists, for each release line of Go that can build this server, the first release without the known
// vulnerabilities of net/http and crypto/tls. Later lines have the fixes from the start.
var patchedGo = []string{"go1.26.10", "go1.27.4"}

// logStartWarnings logs what does not prevent the start but makes the server less secure.
func logStartWarnings(ctx context.Context, c config.Config, logger *slog.Logger) {
	if built := runtime.Version(); !isPatchedGo(built) {
		logger.WarnContext(ctx, "this server was built with a Go release that has known vulnerabilities in net/http; "+
			"build it with a patched one", "builtWith", built, "patchedSince", strings.Join(patchedGo, ", "))
	}
	if isPlainRemote(c.WeChatAPIBase) {
		logger.WarnContext(ctx, "WECHAT_API_BASE is a plain http URL of another machine: "+
			"AppSecrets and session_keys cross the network unencrypted")
	}
}

// isPatchedGo reports whether a release of Go, as runtime.Version returns it, has the fixes of patchedGo. Development
// versions count as newer than every release, and malformed versions as not patched.
func isPatchedGo(built string) bool {
	if strings.HasPrefix(built, "devel") {
		return true
	}
	release, _, _ := strings.Cut(built, " ") // "go1.26.8 X:boringcrypto"
	if !version.IsValid(release) {
		return false
	}
	line := version.Lang(release)
	i := slices.IndexFunc(patchedGo, func(first string) bool { return version.Lang(first) == line })
	if i < 0 {
		newest := patchedGo[len(patchedGo)-1]
		return version.Compare(line, version.Lang(newest)) > 0
	}
	return version.Compare(release, patchedGo[i]) >= 0
}

// isPlainRemote reports whether a URL is an http URL of another machine.
func isPlainRemote(address string) bool {
	u, err := url.Parse(address)
	return err == nil && strings.EqualFold(u.Scheme, "http") && !config.IsLoopback(u.Hostname())
}
