package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"

	"wxlogin/internal/config"
	"wxlogin/internal/server"
)

const importUsage = `Usage: wxlogin import -file FILE -appid APPID [-dry-run]

Brings the users whom you have already, so that their first login here is that of a known user. The list is CSV in UTF-8.
Its first line names the columns, in any order:

  openid        the user in the mini-program; the others are optional, and so is each value
  unionid       the person over all apps of one Open Platform account; merges users, as a login does
  external_id   the user in your own system: 1 to 128 printable ASCII characters
  nickname      up to 32 characters; WeChat's placeholder counts as not given
  avatar_url    https; a picture that everybody can load
  phone         with + and the country code
  created_at    since when the user is yours, as 2019-05-01T08:30:00+08:00. Default: now

For example:

  openid,external_id
  oGZUI0egBJY1zhBYw2KhdUfwVJJE,1001

What is filled in MySQL stays, and so does what a user has removed; what is empty is filled. A line that cannot be taken over
is reported, the others are imported, and the exit code is 1. It may run while servers run, and may be run again: it goes on
where it was cut, and the second time it changes nothing. Exit code 2: invalid command line, configuration or first line.

Environment variables: MYSQL_DSN and MYSQL_TLS_…_FILE, as for the server. If WECHAT_APPID or WECHAT_APPS is set, -appid must
be one of them.

Flags:
`

// importUsers imports a list of users of another system.
func importUsers(ctx context.Context, args, environ []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("wxlogin import", flag.ContinueOnError)
	name := flags.String("file", "", "the list, a CSV `file`")
	appID := flags.String("appid", "", "`appid` of the mini-program")
	dryRun := flags.Bool("dry-run", false, "check and count the lines, but change nothing")
	if code, ok := parseFlags(flags, args, importUsage, stdout, stderr); !ok {
		return code
	}
	if *name == "" || *appID == "" {
		return usageError(flags, stderr, "-file and -appid are required")
	}
	c, err := config.LoadImport(environ)
	if err != nil {
		return misconfigured(stderr, environ, err)
	}
	if apps := c.AppIDs(); len(apps) > 0 && !slices.Contains(apps, *appID) {
		return usageError(flags, stderr, "-appid is none of the mini-programs of WECHAT_APPID and WECHAT_APPS")
	}
	list, err := os.Open(*name)
	if err != nil {
		return fail(stderr, err)
	}
	defer list.Close()
	counts, err := server.ImportUsers(ctx, c, list, server.ImportOptions{
		AppID: *appID, DryRun: *dryRun, Logger: c.Log.NewLogger(stderr),
		Refused: printRefused(stderr),
	})
	return endList(stderr, err, counts.Lines(), counts.Refused, func() { printImported(stdout, counts, *dryRun) })
}

func printImported(w io.Writer, counts server.Imported, dryRun bool) {
	if dryRun {
		fmt.Fprintf(w, "%d lines: %d openids are new, %d are known, %d would be refused\n",
			counts.Lines(), counts.New, counts.Known, counts.Refused)
		return
	}
	fmt.Fprintf(w, "%d lines: %d users created, %d filled, %d merged, %d unchanged, %d refused\n",
		counts.Lines(), counts.Created, counts.Filled, counts.Merged, counts.Unchanged, counts.Refused)
}
