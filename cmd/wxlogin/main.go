// Command wxlogin is the login server: `wxlogin` serves, `wxlogin migrate` brings the database up to this version, `wxlogin sweep`
// deletes pictures that no user has, `wxlogin healthcheck` asks a running server whether it is ready, `wxlogin version` prints
// the version. It is configured by environment variables.
//
// Exit codes: 0 done, 1 failed, 2 the command line or the configuration is wrong.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"wxlogin/internal/server"
)

const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

const usage = `Usage: wxlogin [command]

Commands:
  serve        serve mini-programs (the default)
  migrate      bring the database of MYSQL_DSN up to this version, from any earlier one; may be run again at any time
  sweep        delete uploaded pictures that no user has; see wxlogin sweep -help
  healthcheck  exit with 0 if the server at INTERNAL_ADDR is ready, with 1 if not
  version      print the version

Environment (required: the first four, the first two not with WECHAT_APPS; secrets, MYSQL_DSN and REDIS_URL may be files
named by NAME_FILE):
  WECHAT_APPID, WECHAT_SECRET, MYSQL_DSN, REDIS_URL
  WECHAT_SECRET_PREVIOUS, WECHAT_APPS (appid:AppSecret,…), WECHAT_API_BASE (https://api.weixin.qq.com)
  MYSQL_REPLICA_DSNS (separated by white space), MYSQL_MAX_OPEN_CONNS (50), MYSQL_CONN_MAX_LIFETIME (30m),
  MYSQL_PREPARE (on), MYSQL_TLS_CA_FILE, MYSQL_TLS_CERT_FILE, MYSQL_TLS_KEY_FILE
  REDIS_MODE (single; or sentinel, cluster), REDIS_TLS_CA_FILE, REDIS_TLS_CERT_FILE, REDIS_TLS_KEY_FILE
  LISTEN_ADDR (:8080), TLS_CERT_FILE, TLS_KEY_FILE, TRUSTED_PROXIES
  INTERNAL_ADDR (127.0.0.1:9090), INTERNAL_API_KEY (required where INTERNAL_ADDR is not on loopback)
  SESSION_IDLE_TTL (168h), SESSION_MAX_TTL (720h), MAX_SESSIONS_PER_USER (20), SHUTDOWN_DELAY (1s), MAX_LOGINS_IN_FLIGHT (256)
  LOGIN_RATE_LIMIT (6000), UPDATE_RATE_LIMIT (60), FAILED_UPDATE_RATE_LIMIT (10): a minute; UPLOAD_DAILY_LIMIT (50); 0: no limit
  AVATAR_DIR, PUBLIC_URL; or AVATAR_S3_ENDPOINT, AVATAR_S3_BUCKET, AVATAR_S3_ACCESS_KEY, AVATAR_S3_SECRET_KEY,
  AVATAR_S3_REGION (us-east-1), AVATAR_S3_PUBLIC_URL
  LOG_LEVEL (info), LOG_FORMAT (json), OTEL_TRACES_EXPORTER (none; or otlp, console) and OpenTelemetry's other variables
`

// command is one subcommand. It runs until it is done or ctx ends, and returns the exit code.
type command func(ctx context.Context, args, environ []string, stdout, stderr io.Writer) int

var commands = map[string]command{
	"serve":       withoutArguments(serve),
	"migrate":     withoutArguments(migrate),
	"sweep":       sweep,
	"healthcheck": withoutArguments(healthcheck),
	"version":     withoutArguments(printVersion),
}

// withoutArguments makes a command of one that takes none.
func withoutArguments(run func(ctx context.Context, environ []string, stdout, stderr io.Writer) int) command {
	return func(ctx context.Context, args, environ []string, stdout, stderr io.Writer) int {
		if len(args) > 0 {
			fmt.Fprint(stderr, usage)
			return exitUsage
		}
		return run(ctx, environ, stdout, stderr)
	}
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	code := run(ctx, os.Args[1:], os.Environ(), os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

func run(ctx context.Context, args, environ []string, stdout, stderr io.Writer) int {
	name := "serve"
	if len(args) > 0 {
		name, args = args[0], args[1:]
	}
	switch name {
	case "help", "-h", "-help", "--help":
		fmt.Fprint(stdout, usage)
		return exitOK
	}
	cmd, ok := commands[name]
	if !ok {
		fmt.Fprint(stderr, usage)
		return exitUsage
	}
	return cmd(ctx, args, environ, stdout, stderr)
}

// misconfigured prints every fault of the configuration, and which variables of environ may have been meant otherwise.
func misconfigured(stderr io.Writer, environ []string, err error) int {
	fmt.Fprintf(stderr, "wxlogin: the configuration is wrong:\n%v\n", err)
	for _, unknown := range server.UnknownVariables(environ) {
		fmt.Fprintln(stderr, unknown)
	}
	return exitUsage
}

// fail prints what ended a command. It returns exitUsage for what only another configuration mends.
func fail(stderr io.Writer, err error) int {
	if errors.Is(err, server.ErrMisconfigured) {
		return misconfigured(stderr, nil, err) // unknown variables are in the log already
	}
	fmt.Fprintf(stderr, "wxlogin: %v\n", err)
	return exitFailed
}
