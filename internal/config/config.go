// Package config reads the server's configuration from environment variables and checks it:
//
//	c, err := config.Load(os.Environ())
//	if err != nil {
//		return err // every error at once, a line each, without a secret
//	}
//	logger := c.Log.NewLogger(os.Stderr)
//
// Values have exactly one source: the variable NAME, or for a secret also the file that NAME_FILE names. [Load] checks
// their form and reads the files of TLS with MySQL and Redis, but connects to nothing.
//
// [UnknownVariables] finds misspelt variables, which are no error.
package config

import (
	"io"
	"log/slog"
	"time"

	"wxlogin/internal/clientip"
)

// Config is the server's configuration. Load reads it from environment variables.
type Config struct {
	// App is the only mini-program, or the first of several. See AllApps.
	App  SingleApp
	Apps []App `env:"WECHAT_APPS"`

	MySQLDSN string `env:"MYSQL_DSN,notEmpty"` // user:password@tcp(host:port)/database
	MySQL    MySQL

	RedisURL string `env:"REDIS_URL,notEmpty"` // redis://… or rediss://…; its form depends on Redis.Mode
	Redis    Redis

	ListenAddr    string `env:"LISTEN_ADDR" envDefault:":8080"`
	InternalAddr  string `env:"INTERNAL_ADDR" envDefault:"127.0.0.1:9090"`
	WeChatAPIBase string `env:"WECHAT_API_BASE" envDefault:"https://api.weixin.qq.com"`

	// InternalAPIKey authenticates the team's other services. It is required unless the internal listener is on loopback.
	// InternalAPIKeyPrevious is the one before, while services change to the new one. See APIKeys.
	InternalAPIKey         string `env:"INTERNAL_API_KEY"`
	InternalAPIKeyPrevious string `env:"INTERNAL_API_KEY_PREVIOUS"`

	// AccessTokenAPI serves access_tokens to those services. It requires a key.
	AccessTokenAPI OnSwitch `env:"ACCESS_TOKEN_API" envDefault:"off"`

	// Pushes are the mini-programs whose pushed messages this server receives.
	Pushes []Push `env:"WECHAT_PUSH"`
	// PushForward is the URL that gets pushed messages that are not about personal data; "" = none.
	PushForward string `env:"WECHAT_PUSH_FORWARD"`

	// ReportZone is the time zone of the days in login_days.
	ReportZone Zone `env:"REPORT_TIME_ZONE" envDefault:"Asia/Shanghai"`

	SessionIdleTTL time.Duration `env:"SESSION_IDLE_TTL" envDefault:"168h"`
	SessionMaxTTL  time.Duration `env:"SESSION_MAX_TTL" envDefault:"720h"`
	// MaxSessionsPerUser is the maximum number of sessions of a user in one app; 0 is session.DefaultMaxPerUser.
	MaxSessionsPerUser int `env:"MAX_SESSIONS_PER_USER" envDefault:"20"`

	Limits Limits

	// TrustedProxies are the addresses and networks (CIDR) whose X-Forwarded-For is trusted. If there are none, a client's
	// address is that of its connection.
	TrustedProxies clientip.Networks `env:"TRUSTED_PROXIES"`

	TLS TLS

	Avatars Avatars

	// ShutdownDelay is how long a server that is to stop goes on serving, not ready, so that load balancers take it
	// out before it refuses connections.
	ShutdownDelay time.Duration `env:"SHUTDOWN_DELAY" envDefault:"1s"`

	Log Log
}

// SingleApp is the mini-program of a server that has only one.
type SingleApp struct {
	AppID          string `env:"WECHAT_APPID"`
	Secret         string `env:"WECHAT_SECRET"`
	PreviousSecret string `env:"WECHAT_SECRET_PREVIOUS"`
}

// MySQL configures the connection pools to MySQL.
type MySQL struct {
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

// Redis configures how REDIS_URL is used.
type Redis struct {
	Mode        string `env:"REDIS_MODE" envDefault:"single"` // single, sentinel or cluster
	TLSCAFile   string `env:"REDIS_TLS_CA_FILE"`              // PEM; verifies the servers, instead of the system's roots
	TLSCertFile string `env:"REDIS_TLS_CERT_FILE"`            // PEM; this client's certificate, if Redis requires one
	TLSKeyFile  string `env:"REDIS_TLS_KEY_FILE"`
}

// Limits bound the load that the public listener accepts. In each, 0 is no limit.
type Limits struct {
	LoginsInFlight int `env:"MAX_LOGINS_IN_FLIGHT" envDefault:"256"`    // concurrent logins of this process
	Logins         int `env:"LOGIN_RATE_LIMIT" envDefault:"6000"`       // per minute and client address
	Updates        int `env:"UPDATE_RATE_LIMIT" envDefault:"60"`        // per minute and user
	FailedUpdates  int `env:"FAILED_UPDATE_RATE_LIMIT" envDefault:"10"` // undecryptable data, per minute and user, on both listeners
	Uploads        int `env:"UPLOAD_DAILY_LIMIT" envDefault:"50"`       // pictures, per day and user
}

// Avatars configures where uploaded pictures are stored: in a folder or in a bucket. If neither is set, there are no
// uploads.
type Avatars struct {
	Dir       string `env:"AVATAR_DIR"` // created if it does not exist
	PublicURL string `env:"PUBLIC_URL"` // URL of this server for clients; pictures in the folder have addresses below it

	S3Endpoint  string `env:"AVATAR_S3_ENDPOINT"` // URL of an S3-compatible store
	S3Region    string `env:"AVATAR_S3_REGION" envDefault:"us-east-1"`
	S3Bucket    string `env:"AVATAR_S3_BUCKET"`
	S3AccessKey string `env:"AVATAR_S3_ACCESS_KEY"`
	S3SecretKey string `env:"AVATAR_S3_SECRET_KEY"`
	S3PublicURL string `env:"AVATAR_S3_PUBLIC_URL"` // URL of the bucket for clients; default: below the endpoint
}

// TLS names the files of the public listener's certificate, in PEM. If both are "", the listener speaks plain HTTP.
type TLS struct {
	CertFile string `env:"TLS_CERT_FILE"` // the certificate and its chain
	KeyFile  string `env:"TLS_KEY_FILE"`
}

// Log configures the log.
type Log struct {
	Level  slog.Level `env:"LOG_LEVEL" envDefault:"info"`  // debug, info, warn or error
	Format string     `env:"LOG_FORMAT" envDefault:"json"` // json or text
}

// NewLogger returns a logger that writes to w.
func (l Log) NewLogger(w io.Writer) *slog.Logger {
	o := &slog.HandlerOptions{Level: l.Level}
	if l.Format == "text" {
		return slog.New(slog.NewTextHandler(w, o))
	}
	return slog.New(slog.NewJSONHandler(w, o))
}

// Migrate is the configuration of `wxlogin migrate`.
type Migrate struct {
	MySQLDSN string `env:"MYSQL_DSN,notEmpty"`
	TLS      MySQLTLS
	Log      Log
}

// Health is the configuration of `wxlogin healthcheck`.
type Health struct {
	InternalAddr string `env:"INTERNAL_ADDR" envDefault:"127.0.0.1:9090"`
}

// Sweep is the configuration of `wxlogin sweep`.
type Sweep struct {
	MySQLDSN string `env:"MYSQL_DSN,notEmpty"`
	TLS      MySQLTLS
	Avatars  Avatars
	Log      Log
}

// Users is the configuration of `wxlogin user`, except of its command erase.
type Users struct {
	MySQLDSN string `env:"MYSQL_DSN,notEmpty"`
	TLS      MySQLTLS
	Avatars  Avatars // for the addresses of pictures
	Log      Log
}

// Erase is the configuration of `wxlogin user erase`. It has no AppSecret, because sessions end without it.
type Erase struct {
	MySQLDSN string `env:"MYSQL_DSN,notEmpty"`
	TLS      MySQLTLS
	RedisURL string `env:"REDIS_URL,notEmpty"`
	Redis    Redis
	Avatars  Avatars
	Log      Log
}

// Revoke is the configuration of `wxlogin revoke`.
type Revoke struct {
	Erase Erase
	App   SingleApp
	Apps  []App `env:"WECHAT_APPS"`
}

// Import is the configuration of `wxlogin import`. It needs no mini-program, but knows those that there are.
type Import struct {
	MySQLDSN string `env:"MYSQL_DSN,notEmpty"`
	TLS      MySQLTLS
	App      SingleApp
	Apps     []App `env:"WECHAT_APPS"`
	Log      Log
}

// Load reads the server's configuration from environ, which has entries NAME=value like os.Environ. Its error lists every
// error at once, a line each, and holds no secret.
func Load(environ []string) (Config, error) { return load[Config](environ) }

// LoadMigrate is Load for `wxlogin migrate`.
func LoadMigrate(environ []string) (Migrate, error) { return load[Migrate](environ) }

// LoadHealth is Load for `wxlogin healthcheck`.
func LoadHealth(environ []string) (Health, error) { return load[Health](environ) }

// LoadSweep is Load for `wxlogin sweep`.
func LoadSweep(environ []string) (Sweep, error) { return load[Sweep](environ) }

// LoadUsers is Load for `wxlogin user`.
func LoadUsers(environ []string) (Users, error) { return load[Users](environ) }

// LoadErase is Load for `wxlogin user erase`.
func LoadErase(environ []string) (Erase, error) { return load[Erase](environ) }

// LoadRevoke is Load for `wxlogin revoke`.
func LoadRevoke(environ []string) (Revoke, error) { return load[Revoke](environ) }

// LoadImport is Load for `wxlogin import`.
func LoadImport(environ []string) (Import, error) { return load[Import](environ) }
