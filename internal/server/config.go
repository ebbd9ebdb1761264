package server

import (
	"log/slog"
	"time"

	"wxlogin/internal/tracing"
)

// Config is the server's whole configuration. LoadConfig reads it from environment variables.
type Config struct {
	// One mini-program, several, or both; the first is the default of requests that name none.
	App  SingleApp
	Apps []App `env:"WECHAT_APPS"`

	MySQLDSN string `env:"MYSQL_DSN,notEmpty"` // user:password@tcp(host:port)/database
	MySQL    MySQLConfig

	RedisURL string `env:"REDIS_URL,notEmpty"` // redis://… or rediss://…; what it holds depends on the mode
	Redis    RedisConfig

	ListenAddr    string `env:"LISTEN_ADDR" envDefault:":8080"`
	InternalAddr  string `env:"INTERNAL_ADDR" envDefault:"127.0.0.1:9090"`
	WeChatAPIBase string `env:"WECHAT_API_BASE" envDefault:"https://api.weixin.qq.com"`

	// InternalAPIKey is what other services give with a question whose token it is. Required unless the internal listener
	// is on loopback; minAPIKey characters or more.
	InternalAPIKey string `env:"INTERNAL_API_KEY"`

	SessionIdleTTL time.Duration `env:"SESSION_IDLE_TTL" envDefault:"168h"`
	SessionMaxTTL  time.Duration `env:"SESSION_MAX_TTL" envDefault:"720h"`
	// MaxSessionsPerUser is how many sessions a user may have in one app; 0 is session.DefaultMaxPerUser.
	MaxSessionsPerUser int `env:"MAX_SESSIONS_PER_USER" envDefault:"20"`

	Limits LimitConfig

	// TrustedProxies are the addresses and networks (CIDR) whose X-Forwarded-For is believed. Without any, a client's
	// address is that of its connection.
	TrustedProxies []string `env:"TRUSTED_PROXIES"`

	TLS TLSConfig

	Avatars AvatarConfig

	// ShutdownDelay is how long the server goes on serving, not ready, after it was told to stop, so that load balancers
	// take it out before it refuses connections.
	ShutdownDelay time.Duration `env:"SHUTDOWN_DELAY" envDefault:"1s"`

	Log LogConfig

	// Version is what /metrics tells of this build.
	Version string

	// Tracing is where traces begin; nil: nowhere.
	Tracing *tracing.Provider

	// StorageTimeout bounds each step that waits for MySQL or Redis; 0 is handlers.DefaultStorageTimeout. The demo's
	// embedded engines are given more.
	StorageTimeout time.Duration
}

// SingleApp is the mini-program of a server that has only one.
type SingleApp struct {
	AppID          string `env:"WECHAT_APPID"`
	Secret         string `env:"WECHAT_SECRET"`
	PreviousSecret string `env:"WECHAT_SECRET_PREVIOUS"`
}

// MySQLConfig is about the pools of connections to MySQL.
type MySQLConfig struct {
	MaxOpenConns    int           `env:"MYSQL_MAX_OPEN_CONNS" envDefault:"50"` // of this process to the primary, and to each replica
	ConnMaxLifetime time.Duration `env:"MYSQL_CONN_MAX_LIFETIME" envDefault:"30m"`
	NoPrepare       OffSwitch     `env:"MYSQL_PREPARE" envDefault:"on"` // off: frequent statements are sent as text, not prepared
	ReplicaDSNs     DSNs          `env:"MYSQL_REPLICA_DSNS"`            // read replicas; the form of MYSQL_DSN, separated by white space
	TLS             MySQLTLS
}

// MySQLTLS names the files for TLS with MySQL, the primary and the replicas.
type MySQLTLS struct {
	CAFile   string `env:"MYSQL_TLS_CA_FILE"`   // PEM; verifies the servers, instead of the system's roots
	CertFile string `env:"MYSQL_TLS_CERT_FILE"` // PEM; this client's certificate, for accounts that require one
	KeyFile  string `env:"MYSQL_TLS_KEY_FILE"`
}

// RedisConfig says what REDIS_URL leads to.
type RedisConfig struct {
	Mode        string `env:"REDIS_MODE" envDefault:"single"` // single, sentinel or cluster
	TLSCAFile   string `env:"REDIS_TLS_CA_FILE"`              // PEM; whom to trust in the place of the system's roots
	TLSCertFile string `env:"REDIS_TLS_CERT_FILE"`            // PEM; this client's certificate, where Redis asks for one
	TLSKeyFile  string `env:"REDIS_TLS_KEY_FILE"`
}

// LimitConfig bounds what the public listener takes on.
type LimitConfig struct {
	LoginsInFlight int `env:"MAX_LOGINS_IN_FLIGHT" envDefault:"256"`    // logins at work at the same time in this process; 0: no limit
	Logins         int `env:"LOGIN_RATE_LIMIT" envDefault:"6000"`       // a minute and client address; 0: no limit
	Updates        int `env:"UPDATE_RATE_LIMIT" envDefault:"60"`        // a minute and user; 0: no limit
	FailedUpdates  int `env:"FAILED_UPDATE_RATE_LIMIT" envDefault:"10"` // undecryptable data a minute and user; 0: no limit
	Uploads        int `env:"UPLOAD_DAILY_LIMIT" envDefault:"50"`       // pictures a day and user; 0: no limit
}

// AvatarConfig says where uploaded pictures are kept: in a folder, in a bucket, or nowhere, and there are no uploads then.
type AvatarConfig struct {
	Dir       string `env:"AVATAR_DIR"` // made where it is not there
	PublicURL string `env:"PUBLIC_URL"` // where clients reach this server; begins the addresses of pictures in the folder

	S3Endpoint  string `env:"AVATAR_S3_ENDPOINT"` // URL of an S3-compatible store
	S3Region    string `env:"AVATAR_S3_REGION" envDefault:"us-east-1"`
	S3Bucket    string `env:"AVATAR_S3_BUCKET"`
	S3AccessKey string `env:"AVATAR_S3_ACCESS_KEY"`
	S3SecretKey string `env:"AVATAR_S3_SECRET_KEY"`
	S3PublicURL string `env:"AVATAR_S3_PUBLIC_URL"` // where clients read the bucket; default: below the endpoint
}

// TLSConfig names the files of the public listener's certificate, in PEM: both, or neither for plain HTTP.
type TLSConfig struct {
	CertFile string `env:"TLS_CERT_FILE"` // the certificate and its chain
	KeyFile  string `env:"TLS_KEY_FILE"`
}

// LogConfig says what is logged and how.
type LogConfig struct {
	Level  slog.Level `env:"LOG_LEVEL" envDefault:"info"`  // debug, info, warn or error
	Format string     `env:"LOG_FORMAT" envDefault:"json"` // json or text
}

// MigrateConfig is what `wxlogin migrate` needs.
type MigrateConfig struct {
	MySQLDSN string `env:"MYSQL_DSN,notEmpty"`
	TLS      MySQLTLS
	Log      LogConfig
}

// HealthConfig is what `wxlogin healthcheck` needs.
type HealthConfig struct {
	InternalAddr string `env:"INTERNAL_ADDR" envDefault:"127.0.0.1:9090"`
}

// LoadConfig reads the server's configuration from environ (entries NAME=value, as os.Environ gives them). Its error names
// every fault at once, a line each, and shows no secret.
func LoadConfig(environ []string) (Config, error) {
	return load[Config](environ)
}

// LoadMigrateConfig is LoadConfig for `wxlogin migrate`.
func LoadMigrateConfig(environ []string) (MigrateConfig, error) {
	return load[MigrateConfig](environ)
}

// LoadHealthConfig is LoadConfig for `wxlogin healthcheck`.
func LoadHealthConfig(environ []string) (HealthConfig, error) {
	return load[HealthConfig](environ)
}
