// Command wxlogin is the login server and its tools:
//
//	wxlogin [serve]       serve mini-programs
//	wxlogin migrate       migrate the database to this version
//	wxlogin user          find, show, block, erase and export users
//	wxlogin import        bring the users of another system, by a list
//	wxlogin revoke        delete what users have withdrawn, by a list of WeChat
//	wxlogin sweep         delete pictures that no user has
//	wxlogin healthcheck   check that the server at INTERNAL_ADDR is ready
//	wxlogin version       print the version
//	wxlogin help          print the commands and the environment variables
//
// It is configured by environment variables. The exit code is 0 on success, 1 on failure, and 2 if the command line or
// the configuration is invalid.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	_ "time/tzdata" // for REPORT_TIME_ZONE: images have no time zones

	"wxlogin/internal/config"
	"wxlogin/internal/server"
)

const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

// command is a subcommand. It runs until it is done or ctx ends, and returns the exit code.
type command func(ctx context.Context, args, environ []string, stdout, stderr io.Writer) int

var commands = map[string]command{
	"serve":       withoutArguments(serve),
	"migrate":     withoutArguments(migrate),
	"user":        user,
	"import":      importUsers,
	"revoke":      revoke,
	"sweep":       sweep,
	"healthcheck": withoutArguments(healthcheck),
	"version":     withoutArguments(printVersion),
}

// withoutArguments makes a command of a function that takes no arguments.
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
	return dispatch(ctx, commands, usage, name, args, environ, stdout, stderr)
}

// dispatch runs the command with a name, or prints the usage of all.
func dispatch(
	ctx context.Context, commands map[string]command, usage, name string, args, environ []string, stdout, stderr io.Writer,
) int {
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

// parseFlags parses a command's flags. If that ends the command, it returns the exit code and false.
func parseFlags(flags *flag.FlagSet, args []string, usage string, stdout, stderr io.Writer) (code int, ok bool) {
	arguments, code, ok := parseArguments(flags, args, usage, stdout, stderr)
	if ok && len(arguments) > 0 {
		flags.Usage()
		return exitUsage, false
	}
	return code, ok
}

// parseArguments parses a command's flags, which may come before and after its other arguments, and returns these. If that
// ends the command, it returns the exit code and false.
func parseArguments(
	flags *flag.FlagSet, args []string, usage string, stdout, stderr io.Writer,
) (arguments []string, code int, ok bool) {
	flags.SetOutput(io.Discard)
	flags.Usage = func() {} // Parse calls it for every error
	err := flags.Parse(args)
	for err == nil && flags.NArg() > 0 {
		arguments = append(arguments, flags.Arg(0))
		err = flags.Parse(flags.Args()[1:])
	}
	out := stderr
	if errors.Is(err, flag.ErrHelp) {
		out = stdout
	}
	flags.SetOutput(out)
	flags.Usage = func() {
		fmt.Fprint(out, usage)
		flags.PrintDefaults()
	}
	switch {
	case err == nil:
		return arguments, 0, true
	case errors.Is(err, flag.ErrHelp):
		flags.Usage()
		return nil, exitOK, false
	}
	flags.Usage()
	return nil, exitUsage, false
}

// usageError says what is wrong with a command line, and prints the usage of the command.
func usageError(flags *flag.FlagSet, stderr io.Writer, problem string) int {
	fmt.Fprintf(stderr, "wxlogin: %s\n\n", problem)
	flags.Usage()
	return exitUsage
}

// misconfigured prints every error of the configuration, and the variables of environ that are probably misspelt.
func misconfigured(stderr io.Writer, environ []string, err error) int {
	fmt.Fprintf(stderr, "wxlogin: invalid configuration:\n%v\n", err)
	for _, unknown := range config.UnknownVariables(environ) {
		fmt.Fprintln(stderr, unknown)
	}
	return exitUsage
}

// fail prints the error that ended a command. The exit code is exitUsage if only another configuration can help.
func fail(stderr io.Writer, err error) int {
	if errors.Is(err, server.ErrMisconfigured) {
		return misconfigured(stderr, nil, err) // unknown variables are in the log already
	}
	fmt.Fprintf(stderr, "wxlogin: %v\n", err)
	return exitFailed
}

// usage is the output of wxlogin help. TestUsage compares the variables and their defaults with package config.
const usage = `Usage: wxlogin [command]

Commands:
  serve         serve mini-programs (the default command)
  migrate       migrate the database of MYSQL_DSN to this version; safe to run again
  user          find, show, block, erase and export users; see wxlogin user -help
  import        bring the users whom you have already, by a list; see wxlogin import -help
  revoke        delete what users have withdrawn, by a list of WeChat; see wxlogin revoke -help
  sweep         delete uploaded pictures that no user has; see wxlogin sweep -help
  healthcheck   exit with 0 if the server at INTERNAL_ADDR is ready, with 1 if not
  version       print the version
  help          print this text

Exit codes: 0 success, 1 failure, 2 invalid command line or configuration.

Environment variables, with their defaults in brackets. Variables marked * can also be read from a file:
set NAME_FILE instead of NAME.

Mini-programs (WECHAT_APPID with WECHAT_SECRET, or WECHAT_APPS, or both):
  WECHAT_APPID               appid of the mini-program
  WECHAT_SECRET *            its AppSecret
  WECHAT_SECRET_PREVIOUS *   its previous AppSecret; sessions sealed under it stay valid
  WECHAT_APPS *              further mini-programs: appid:AppSecret,appid:AppSecret:previous AppSecret
  WECHAT_API_BASE            URL of WeChat's API [https://api.weixin.qq.com]

MySQL:
  MYSQL_DSN *                user:password@tcp(host:port)/database; required
  MYSQL_REPLICA_DSNS *       DSNs of read replicas, separated by white space
  MYSQL_MAX_OPEN_CONNS       connections to the primary, and to each replica [50]
  MYSQL_CONN_MAX_LIFETIME    lifetime of a connection [30m]
  MYSQL_PREPARE              off: send frequent statements as text, not prepared [on]
  MYSQL_TLS_CA_FILE          CA of the servers, PEM
  MYSQL_TLS_CERT_FILE        client certificate, PEM
  MYSQL_TLS_KEY_FILE         its private key

Redis:
  REDIS_URL *                redis://user:password@host:port/number, or rediss:// for TLS; required
  REDIS_MODE                 single, sentinel or cluster [single]
  REDIS_TLS_CA_FILE          CA of the servers, PEM
  REDIS_TLS_CERT_FILE        client certificate, PEM
  REDIS_TLS_KEY_FILE         its private key

Listeners:
  LISTEN_ADDR                address for mini-programs [:8080]
  TLS_CERT_FILE              its certificate and chain, PEM; without it, plain HTTP
  TLS_KEY_FILE               private key of the certificate
  TRUSTED_PROXIES            addresses and networks whose X-Forwarded-For is trusted
  INTERNAL_ADDR              address for services, health checks and metrics [127.0.0.1:9090]
  INTERNAL_API_KEY *         key of services; required by routes that write, and if INTERNAL_ADDR is not on loopback
  INTERNAL_API_KEY_PREVIOUS *  the key before it, while services change
  ACCESS_TOKEN_API           on: services get access_tokens of WeChat; requires INTERNAL_API_KEY [off]
  SHUTDOWN_DELAY             time between not ready and closed ports when stopping [1s]

Sessions:
  SESSION_IDLE_TTL           a session ends after this time without use [168h]
  SESSION_MAX_TTL            a session ends after this time [720h]
  MAX_SESSIONS_PER_USER      sessions of a user in one mini-program [20]

WeChat's message push:
  WECHAT_PUSH *              appid:Token or appid:Token:EncodingAESKey, separated by commas
  WECHAT_PUSH_FORWARD        URL that gets the messages that are not about personal data

Reports:
  REPORT_TIME_ZONE           time zone of the days in login_days [Asia/Shanghai]

Limits (0 is no limit):
  MAX_LOGINS_IN_FLIGHT       concurrent logins of this process [256]
  LOGIN_RATE_LIMIT           logins per minute and client address [6000]
  UPDATE_RATE_LIMIT          profile updates per minute and user [60]
  FAILED_UPDATE_RATE_LIMIT   undecryptable updates per minute and user [10]
  UPLOAD_DAILY_LIMIT         uploaded pictures per day and user [50]

Uploaded pictures (a folder or an S3 bucket; without either, uploads are off):
  AVATAR_DIR                 folder for the pictures
  PUBLIC_URL                 URL of this server for clients; required with AVATAR_DIR
  AVATAR_S3_ENDPOINT         URL of the S3-compatible store
  AVATAR_S3_BUCKET           bucket
  AVATAR_S3_ACCESS_KEY       access key
  AVATAR_S3_SECRET_KEY *     secret key
  AVATAR_S3_REGION           region [us-east-1]
  AVATAR_S3_PUBLIC_URL       URL of the bucket for clients; default: below the endpoint

Log and traces:
  LOG_LEVEL                  debug, info, warn or error [info]
  LOG_FORMAT                 json or text [json]
  OTEL_TRACES_EXPORTER       none, otlp or console [none]; with OpenTelemetry's other OTEL_ variables
`
