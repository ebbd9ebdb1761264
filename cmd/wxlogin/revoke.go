package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"

	"wxlogin/internal/config"
	"wxlogin/internal/server"
)

const revokeUsage = `Usage: wxlogin revoke -file FILE [-dry-run]

Deletes what users have withdrawn by a list, such as the one that WeChat mails every day, in the way in which the server
follows WeChat's pushes. The list is CSV in UTF-8. Its first line names the columns, in any order:

  openid       the user in the mini-program
  appid        the mini-program; not needed if the server has only one
  revoke       what to delete: 6 nickname and avatar, 8 phone number, 19 nickname, 20 avatar; several with spaces or
               semicolons between them, or with commas in quotes. Other numbers change nothing. "cancel" means that the
               WeChat account is closed: the user is erased
  revoked_at   optional: when, as 2026-01-31T12:00:00+08:00. What the user gave after that stays. Default: now

For example:

  openid,revoke
  oGZUI0egBJY1zhBYw2KhdUfwVJJE,6;8

A line that cannot be read is reported, the others are applied, and the exit code is 1. Users who are not known here are
counted. It may be run again. Exit code 2: invalid command line, configuration or first line.

Environment variables: those of the server: WECHAT_APPID with WECHAT_SECRET or WECHAT_APPS, MYSQL_DSN, REDIS_URL and what
belongs to them, and AVATAR_DIR or the AVATAR_S3 variables if the server has uploads.

Flags:
`

// revoke applies a list of users who have withdrawn a consent.
func revoke(ctx context.Context, args, environ []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("wxlogin revoke", flag.ContinueOnError)
	name := flags.String("file", "", "the list, a CSV `file`")
	dryRun := flags.Bool("dry-run", false, "count the lines, but change nothing")
	if code, ok := parseFlags(flags, args, revokeUsage, stdout, stderr); !ok {
		return code
	}
	if *name == "" {
		return usageError(flags, stderr, "-file is required")
	}
	c, err := config.LoadRevoke(environ)
	if err != nil {
		return misconfigured(stderr, environ, err)
	}
	list, err := os.Open(*name)
	if err != nil {
		return fail(stderr, err)
	}
	defer list.Close()
	counts, err := server.Revoke(ctx, c, list, server.RevokeOptions{
		DryRun: *dryRun, Logger: commandLogger(c.Erase.Log, stderr),
		Refused: printRefused(stderr),
	})
	return endList(stderr, err, counts.Lines(), counts.Refused, func() { printRevoked(stdout, counts, *dryRun) })
}

// printRefused returns a function that prints which line of a list is refused, and why.
func printRefused(stderr io.Writer) func(line int, reason string) {
	return func(line int, reason string) { fmt.Fprintf(stderr, "line %d is refused: %s\n", line, reason) }
}

// endList ends a command that has read a list, and returns its exit code. printCounts prints what was done with the lines, if
// any was read.
func endList(stderr io.Writer, err error, lines, refused int, printCounts func()) int {
	if errors.Is(err, server.ErrListHeader) {
		fmt.Fprintf(stderr, "wxlogin: -file: %v\n", err)
		return exitUsage
	}
	if err == nil || lines > 0 {
		printCounts()
	}
	switch {
	case err != nil:
		return fail(stderr, err)
	case refused > 0:
		return exitFailed
	}
	return exitOK
}

func printRevoked(w io.Writer, counts server.Revoked, dryRun bool) {
	would := ""
	if dryRun {
		would = "would be "
	}
	fmt.Fprintf(w, "%d lines: %d %sapplied (%d users %serased), %d without effect, %d of unknown users, %d refused\n",
		counts.Lines(), counts.Applied, would, counts.Erased, would, counts.Ignored, counts.Unknown, counts.Refused)
}
