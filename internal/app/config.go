package app

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"reflect"
	"strings"
	"time"

	"github.com/caarlos0/env/v11"
	"github.com/redis/go-redis/v9"
)

// Config is the server's whole configuration. LoadConfig reads it from environment variables.
type Config struct {
	AppIDs  []string `env:"WECHAT_APPID,notEmpty"`  // one or more; the first is the default
	Secrets []string `env:"WECHAT_SECRET,notEmpty"` // the AppSecret of each appid, in the same order

	MySQLDSN string `env:"MYSQL_DSN,notEmpty"` // user:password@tcp(host:port)/database
	RedisURL string `env:"REDIS_URL,notEmpty"` // redis://… or rediss://…

	ListenAddr    string `env:"LISTEN_ADDR" envDefault:":8080"`
	InternalAddr  string `env:"INTERNAL_ADDR" envDefault:"127.0.0.1:9090"`
	WeChatAPIBase string `env:"WECHAT_API_BASE" envDefault:"https://api.weixin.qq.com"`

	SessionIdleTTL time.Duration `env:"SESSION_IDLE_TTL" envDefault:"168h"`
	SessionMaxTTL  time.Duration `env:"SESSION_MAX_TTL" envDefault:"720h"`

	Log LogConfig

	// StorageTimeout bounds each step that waits for MySQL or Redis; 0 is handlers.DefaultStorageTimeout. The demo's
	// embedded engines are given more.
	StorageTimeout time.Duration
}

// LogConfig says what is logged and how.
type LogConfig struct {
	Level  slog.Level `env:"LOG_LEVEL" envDefault:"info"`  // debug, info, warn or error
	Format string     `env:"LOG_FORMAT" envDefault:"json"` // json or text
}

// MigrateConfig is what `wxlogin migrate` needs.
type MigrateConfig struct {
	MySQLDSN string `env:"MYSQL_DSN,notEmpty"`
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

// validator is a configuration that can find its own faults.
type validator interface{ validate() []error }

func load[C validator](environ []string) (C, error) {
	var c C
	vars, faults := variables(environ)
	err := env.ParseWithOptions(&c, env.Options{
		Environment: vars,
		FuncMap:     map[reflect.Type]env.ParserFunc{reflect.TypeFor[time.Duration](): parseTTL},
	})
	faults = append(faults, parseFaults(err)...)
	faults = append(faults, c.validate()...)
	return c, errors.Join(faults...)
}

// parseTTL reads a time to live. Less than a second is a slip of the unit.
func parseTTL(s string) (any, error) {
	d, err := time.ParseDuration(s)
	if err != nil {
		return nil, fmt.Errorf("%q is not a duration such as 168h", s)
	}
	if d < time.Second {
		return nil, fmt.Errorf("%v is less than 1s", d)
	}
	return d, nil
}

// parseFaults takes apart what env reports, and leaves out what it says of its own innards.
func parseFaults(err error) []error {
	aggregate, ok := errors.AsType[env.AggregateError](err)
	if !ok {
		return nil
	}
	var faults []error
	for _, e := range aggregate.Errors {
		var unset env.VarIsNotSetError
		var empty env.EmptyVarError
		var parse env.ParseError
		switch {
		case errors.As(e, &unset):
			faults = append(faults, fmt.Errorf("%s is not set", unset.Key))
		case errors.As(e, &empty):
			faults = append(faults, fmt.Errorf("%s is not set", empty.Key))
		case errors.As(e, &parse):
			faults = append(faults, fmt.Errorf("%s: %w", variableOf(parse.Name), parse.Err))
		default:
			faults = append(faults, e)
		}
	}
	return faults
}

// variableOf names the variable behind a field that env could not parse; env tells the field's name.
func variableOf(field string) string {
	switch field {
	case "SessionIdleTTL":
		return "SESSION_IDLE_TTL"
	case "SessionMaxTTL":
		return "SESSION_MAX_TTL"
	case "Level":
		return "LOG_LEVEL"
	}
	return field
}

func (c Config) validate() []error {
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	if len(c.AppIDs) != 0 && len(c.Secrets) != 0 && len(c.AppIDs) != len(c.Secrets) {
		fault("WECHAT_APPID has %d entries, WECHAT_SECRET has %d", len(c.AppIDs), len(c.Secrets))
	}
	for _, appID := range c.AppIDs {
		if !validAppID(appID) {
			fault("WECHAT_APPID: %q is not an appid (letters, digits, '-' and '_')", appID)
		}
	}
	if c.RedisURL != "" {
		if _, err := redis.ParseURL(c.RedisURL); err != nil {
			fault("REDIS_URL is not of the form redis://user:password@host:port/number") // the error itself would show the password
		}
	}
	if u, err := url.Parse(c.WeChatAPIBase); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		fault("WECHAT_API_BASE is not an http or https URL")
	}
	if c.SessionMaxTTL != 0 && c.SessionMaxTTL < c.SessionIdleTTL { // 0: was not read, and is reported
		fault("SESSION_MAX_TTL is less than SESSION_IDLE_TTL")
	}
	faults = append(faults, dsnFaults(c.MySQLDSN)...)
	faults = append(faults, addrFaults("LISTEN_ADDR", c.ListenAddr)...)
	faults = append(faults, addrFaults("INTERNAL_ADDR", c.InternalAddr)...)
	return append(faults, c.Log.validate()...)
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
