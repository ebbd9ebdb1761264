package server

import (
	"log/slog"
	"net/url"

	"github.com/go-sql-driver/mysql"
)

// off is how the line of the start says that a part is not configured.
const off = "off"

// describe is what the line of the start says of a configuration: where it leads and what is on. It holds no user name, password,
// key or secret.
func describe(c Config) []slog.Attr {
	var apps []string
	for _, app := range c.allApps() {
		apps = append(apps, app.AppID)
	}
	replicas := []string{}
	for _, dsn := range c.MySQL.ReplicaDSNs {
		replicas = append(replicas, describeDSN(dsn))
	}
	return []slog.Attr{
		slog.String("version", c.Version),
		slog.Any("apps", apps),
		slog.String("wechat", hostOf(c.WeChatAPIBase)),
		slog.Group("mysql", slog.String("primary", describeDSN(c.MySQLDSN)), slog.Any("replicas", replicas),
			slog.Int("maxOpenConns", c.MySQL.MaxOpenConns), slog.Bool("tls", c.MySQL.TLS.files().set() || hasTLS(c.MySQLDSN))),
		slog.Attr{Key: "redis", Value: describeRedis(c)},
		slog.Group("limits", slog.Int("loginsInFlight", c.Limits.LoginsInFlight), slog.Int("loginsPerMinute", c.Limits.Logins),
			slog.Int("updatesPerMinute", c.Limits.Updates), slog.Int("failedUpdatesPerMinute", c.Limits.FailedUpdates),
			slog.Int("uploadsPerDay", c.Limits.Uploads)),
		slog.Group("sessions", slog.String("idleTTL", c.SessionIdleTTL.String()), slog.String("maxTTL", c.SessionMaxTTL.String())),
		slog.String("uploads", c.Avatars.describe()),
		slog.Bool("tls", c.TLS.CertFile != ""),
		slog.Bool("internalKey", c.InternalAPIKey != ""),
		slog.Bool("tracing", c.Tracing != nil),
		slog.Any("trustedProxies", append([]string{}, c.TrustedProxies...)),
	}
}

// describeDSN is the host:port/database that a DSN leads to; "" for one that cannot be read.
func describeDSN(dsn string) string {
	config, err := mysql.ParseDSN(dsn)
	if err != nil {
		return ""
	}
	return config.Addr + "/" + config.DBName
}

// hasTLS reports whether the parameter tls of a DSN asks for TLS.
func hasTLS(dsn string) bool {
	config, err := mysql.ParseDSN(dsn)
	return err == nil && config.TLS != nil
}

// describeRedis is the mode of Redis, and the hosts of REDIS_URL.
func describeRedis(c Config) slog.Value {
	o, err := parseRedis(c.Redis.Mode, c.RedisURL)
	switch {
	case err != nil:
		return slog.GroupValue()
	case o.sentinel != nil:
		return slog.GroupValue(slog.String("mode", redisSentinel), slog.Any("sentinels", o.sentinel.SentinelAddrs),
			slog.String("master", o.sentinel.MasterName), slog.Int("database", o.sentinel.DB), slog.Bool("tls", o.sentinel.TLSConfig != nil))
	case o.cluster != nil:
		return slog.GroupValue(slog.String("mode", redisCluster), slog.Any("nodes", o.cluster.Addrs),
			slog.Bool("tls", o.cluster.TLSConfig != nil))
	}
	return slog.GroupValue(slog.String("mode", redisSingle), slog.String("address", o.single.Addr),
		slog.Int("database", o.single.DB), slog.Bool("tls", o.single.TLSConfig != nil))
}

// describe is where uploaded pictures are kept: in a folder, at the host of a bucket, or off.
func (c AvatarConfig) describe() string {
	switch {
	case c.Dir != "":
		return "folder"
	case c.S3Bucket != "":
		return hostOf(c.S3Endpoint) + "/" + c.S3Bucket
	}
	return off
}

// hostOf is the host of a URL, without a user name; "" for one that cannot be read.
func hostOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return u.Host
}
