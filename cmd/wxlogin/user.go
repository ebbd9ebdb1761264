package main

import (
	"context"
	"flag"
	"io"
	"log/slog"
	"strconv"
	"strings"
	"unicode/utf8"

	"wxlogin/internal/config"
	"wxlogin/internal/redisclient"
	"wxlogin/internal/server"
)

const userUsage = `Usage: wxlogin user COMMAND

Commands:
  find      print a table of the users with an openid, unionid, external id, nickname or phone number
  show      print what is known about a user, with the history
  block     keep a user from using the service
  unblock   let a blocked user in again
  erase     delete a user's data, sessions and pictures
  export    write everything about a user as JSON, for that person

ID is a user's number: users.id in MySQL, as find prints it. wxlogin user COMMAND -help prints the flags of a command.

Exit codes: 0 success, also if it was done before; 1 failure, an unknown id, or no user found; 2 invalid command line or
configuration.

Environment variables: those of the server. erase needs MYSQL_DSN, REDIS_URL and what belongs to them, and AVATAR_DIR or the
AVATAR_S3 variables if the server has uploads; the others need MYSQL_DSN.
`

var userCommands = map[string]command{
	"find": findUsers, "show": showUser, "export": exportUser, "block": blockUser, "unblock": unblockUser, "erase": eraseUser,
}

// user runs a subcommand of wxlogin user.
func user(ctx context.Context, args, environ []string, stdout, stderr io.Writer) int {
	name := ""
	if len(args) > 0 {
		name, args = args[0], args[1:]
	}
	return dispatch(ctx, userCommands, userUsage, name, args, environ, stdout, stderr)
}

// withUserAdmin runs work on the users of the configured database.
func withUserAdmin(environ []string, stdout, stderr io.Writer, work func(server.UserAdmin) error) int {
	c, err := config.LoadUsers(environ)
	if err != nil {
		return misconfigured(stderr, environ, err)
	}
	if err := work(server.UserAdmin{Config: c, Out: stdout, Logger: c.Log.NewLogger(stderr)}); err != nil {
		return fail(stderr, err)
	}
	return exitOK
}

const findUsage = `Usage: wxlogin user find -openid OPENID | -unionid UNIONID | -external-id ID | -nickname TEXT | -phone NUMBER

Prints a table of the users found, up to 100, or ends with 1 if there are none. It has no phone numbers.

Flags, one of them:
`

func findUsers(ctx context.Context, args, environ []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("wxlogin user find", flag.ContinueOnError)
	var q server.UserQuery
	flags.StringVar(&q.OpenID, "openid", "", "`openid` in any mini-program")
	flags.StringVar(&q.UnionID, "unionid", "", "`unionid`")
	flags.StringVar(&q.ExternalID, "external-id", "", "`ID` of the user in another system of yours")
	flags.StringVar(&q.NickName, "nickname", "", "`text` with which the nickname begins; case is ignored")
	flags.StringVar(&q.Phone, "phone", "",
		"phone `number` such as 13800138000, 8613800138000 or +8613800138000; spaces and dashes are allowed")
	if code, ok := parseFlags(flags, args, findUsage, stdout, stderr); !ok {
		return code
	}
	given, usable := 0, true
	flags.Visit(func(f *flag.Flag) {
		text := f.Value.String()
		given, usable = given+1, usable && text != "" && utf8.ValidString(text)
	})
	if given != 1 || !usable {
		return usageError(flags, stderr, "give exactly one of -openid, -unionid, -external-id, -nickname and -phone, not empty and in UTF-8")
	}
	if q.Phone != "" {
		var ok bool
		if q.Phone, ok = server.PhoneDigits(q.Phone); !ok {
			return usageError(flags, stderr, "-phone is not a phone number")
		}
	}
	return withUserAdmin(environ, stdout, stderr, func(a server.UserAdmin) error { return a.Find(ctx, q) })
}

const showUsage = `Usage: wxlogin user show ID

Prints what is known about a user, except the phone number: profile, mini-programs with openids, merges and the history. The
id of a merged user shows the user into which it was merged.
`

func showUser(ctx context.Context, args, environ []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("wxlogin user show", flag.ContinueOnError)
	id, code, ok := parseID(flags, args, showUsage, stdout, stderr)
	if !ok {
		return code
	}
	return withUserAdmin(environ, stdout, stderr, func(a server.UserAdmin) error { return a.Show(ctx, id) })
}

const exportUsage = `Usage: wxlogin user export ID

Writes everything in the database about a user as JSON: profile, whole phone number, mini-programs with openids, unionid,
external id, merged users, merges and the history. It is for that person: keep it from others, and delete it when it is
handed over. The id of a merged user exports the user into which it was merged.
`

func exportUser(ctx context.Context, args, environ []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("wxlogin user export", flag.ContinueOnError)
	id, code, ok := parseID(flags, args, exportUsage, stdout, stderr)
	if !ok {
		return code
	}
	return withUserAdmin(environ, stdout, stderr, func(a server.UserAdmin) error { return a.Export(ctx, id) })
}

const blockUsage = `Usage: wxlogin user block ID -reason TEXT -by NAME

Keeps a user from using the service: every request is 403 user_blocked from now on. Reason, name and time go into
user_changes.

Flags, both required:
`

func blockUser(ctx context.Context, args, environ []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("wxlogin user block", flag.ContinueOnError)
	reason, actor := causeFlags(flags, "why the user is blocked")
	id, code, ok := parseID(flags, args, blockUsage, stdout, stderr)
	if !ok {
		return code
	}
	if strings.TrimSpace(*reason) == "" || strings.TrimSpace(*actor) == "" {
		return usageError(flags, stderr, "-reason and -by are required")
	}
	return withUserAdmin(environ, stdout, stderr, func(a server.UserAdmin) error { return a.Block(ctx, id, *reason, *actor) })
}

const unblockUsage = `Usage: wxlogin user unblock ID [-reason TEXT] [-by NAME]

Lets a blocked user in again. Reason, name and time go into user_changes.

Flags:
`

func unblockUser(ctx context.Context, args, environ []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("wxlogin user unblock", flag.ContinueOnError)
	reason, actor := causeFlags(flags, "why the user is no longer blocked")
	id, code, ok := parseID(flags, args, unblockUsage, stdout, stderr)
	if !ok {
		return code
	}
	return withUserAdmin(environ, stdout, stderr, func(a server.UserAdmin) error { return a.Unblock(ctx, id, *reason, *actor) })
}

const eraseUsage = `Usage: wxlogin user erase ID [-reason TEXT] [-by NAME] [-dry-run]

Deletes a user's data: profile, phone number, unionid and identities in MySQL, in one transaction with the users that were
merged into it; then all sessions in Redis and the uploaded pictures. What is left is the id, times, and the reason and name
in user_changes. It cannot be undone. If the person logs in again, that is a new user. The id of a merged user erases the
user into which it was merged.

It may be run again, and goes on with an erase that was cut off. If sessions or pictures cannot be deleted now, it ends with
1; servers try that again every 10 seconds.

Flags:
`

func eraseUser(ctx context.Context, args, environ []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("wxlogin user erase", flag.ContinueOnError)
	reason, actor := causeFlags(flags, "why the user is erased; not the person's name, because this text stays")
	dryRun := flags.Bool("dry-run", false, "print what would be deleted, but delete nothing")
	id, code, ok := parseID(flags, args, eraseUsage, stdout, stderr)
	if !ok {
		return code
	}
	c, err := config.LoadErase(environ)
	if err != nil {
		return misconfigured(stderr, environ, err)
	}
	logger := commandLogger(c.Log, stderr)
	erase := server.UserErase{ID: id, Reason: *reason, Actor: *actor, DryRun: *dryRun}
	if err := server.EraseUser(ctx, c, erase, stdout, logger); err != nil {
		return fail(stderr, err)
	}
	return exitOK
}

// commandLogger returns the logger of a command that uses Redis.
func commandLogger(c config.Log, stderr io.Writer) *slog.Logger {
	logger := c.NewLogger(stderr)
	redisclient.RouteLogs(logger)
	return logger
}

// causeFlags adds the flags that say why a user is changed, and by whom.
func causeFlags(flags *flag.FlagSet, why string) (reason, actor *string) {
	return flags.String("reason", "", why+"; a `text` of up to 255 characters"),
		flags.String("by", "", "`name` of the administrator, up to 64 characters")
}

// parseID parses the flags of a command and its one argument, the id of a user, in any order. If that ends the command, it
// returns the exit code and false.
func parseID(flags *flag.FlagSet, args []string, usage string, stdout, stderr io.Writer) (id uint64, code int, ok bool) {
	arguments, code, ok := parseArguments(flags, args, usage, stdout, stderr)
	if !ok {
		return 0, code, false
	}
	if len(arguments) != 1 {
		return 0, usageError(flags, stderr, "give one ID"), false
	}
	id, err := strconv.ParseUint(arguments[0], 10, 64)
	if err != nil {
		return 0, usageError(flags, stderr, "ID is not a number"), false
	}
	return id, 0, true
}
