// Package bench measures what a request costs wxlogin, compared with a bare handler (cmd/wxtest/baseline) that does the same
// with nothing around it. Both are processes of their own on the same MySQL, Redis and simulator, and are driven in turns.
//
// It needs Linux, and a MySQL or MariaDB server and a Redis server that are otherwise idle: -mysql (or TEST_MYSQL_DSN) and
// -redis (or TEST_REDIS_URL). In MySQL it makes a database and drops it in the end; the Redis database must be empty, and is
// emptied in the end.
//
// # What is measured
//
// One kind of request at a time, in rounds of -requests requests on -connections connections, each of which sends its next
// request when the last one is answered. Codes and encrypted profiles are made before a round begins.
//
//	returning   POST /onLogin of a known user
//	new         POST /onLogin of a new user
//	capped      POST /onLogin of a user at the cap of sessions
//	changed     POST /updateUserInfo with a new profile
//	unchanged   POST /updateUserInfo with the profile that the server has
//	introspect  POST /introspect on the internal listener
//
// The table shows requests a second, p50 and p99, and for one request the CPU time in microseconds of the server, MySQL and
// Redis, the server's allocations and allocated bytes, and the statements and commands that MySQL and Redis got. MySQL's CPU
// time is 0 unless its process is on this machine. The figures are medians over the rounds; the ratio is the median of the
// ratios of each round's pair, so that what disturbs the machine for a while disturbs both.
//
// wxlogin runs as in production, with its limits, log and metrics on. Every request of a round comes from another address
// (X-Forwarded-For). With -growth only returning logins are measured, without the bare handler, with more and more users in
// MySQL. docs/performance.md has more commands, and figures.
package bench

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"wxlogin/cmd/wxtest/internal/cli"
	"wxlogin/cmd/wxtest/internal/process"
	"wxlogin/cmd/wxtest/internal/report"
)

// options are the command line.
type options struct {
	mysql, redis string

	rounds, requests, connections int
	kinds                         []kind
	alone                         bool
	latency, pause                time.Duration

	users, rows, sessions int
	growth                []int

	wxlogin, profile, json string
}

func parse(args []string, stdout, stderr io.Writer) (options, error) {
	o := options{rounds: 5, requests: 10_000, connections: 32, users: 20_000, rows: 20_000}
	f := cli.New("bench")
	var kinds, growth string
	f.StringVar(&o.mysql, "mysql", cmp.Or(os.Getenv("TEST_MYSQL_DSN"), "root@tcp(127.0.0.1:3306)/"), "`DSN` of a MySQL server, without a database")
	f.StringVar(&o.redis, "redis", cmp.Or(os.Getenv("TEST_REDIS_URL"), "redis://127.0.0.1:6379/15"), "`URL` of an empty Redis database")
	cli.Value(f, &o.rounds, "rounds", 1, math.MaxInt32, "`n` rounds: each kind of request is measured once in each, on both servers")
	cli.Value(f, &o.requests, "requests", 1, math.MaxInt32, "`n` requests a round; a third of them for new users")
	cli.Value(f, &o.connections, "connections", 1, math.MaxInt32, "`n` connections at a time")
	f.StringVar(&kinds, "kinds", strings.Join(kindNames[:], ","), "`kinds` of requests")
	f.BoolVar(&o.alone, "alone", false, "measure wxlogin without the bare handler")
	cli.Value(f, &o.latency, "latency", 0, time.Minute, "WeChat's latency, a `duration`")
	cli.Value(f, &o.pause, "pause", 0, time.Hour, "`duration` between a response and the connection's next request")
	cli.Value(f, &o.users, "users", 1, math.MaxInt32, "`n` users take part")
	cli.Value(f, &o.rows, "rows", 1, math.MaxInt32, "`n` users in MySQL")
	cli.Value(f, &o.sessions, "sessions", 0, math.MaxInt32, "`n` sessions in Redis before the first round")
	f.StringVar(&growth, "growth", "", "ascending `numbers` of users in MySQL, such as 20000,1000000")
	f.StringVar(&o.wxlogin, "wxlogin", "", "the server's binary, a `file` (default: it is built)")
	f.StringVar(&o.profile, "profile", "", "write a CPU profile of wxlogin under load to this `file`, for go tool pprof or default.pgo")
	f.StringVar(&o.json, "json", "", "write all figures as JSON to this `file`")
	err := f.Parse(args, func() { o.complete(f, kinds, growth) }, stdout, stderr)
	return o, err
}

// complete reads the lists, and checks what depends on several flags.
func (o *options) complete(f *cli.Flags, kinds, growth string) {
	for name := range strings.SplitSeq(kinds, ",") {
		k := slices.Index(kindNames[:], strings.TrimSpace(name))
		if k < 0 {
			f.Reject("kinds", "has %q, which is none of %s", name, strings.Join(kindNames[:], ", "))
		}
		o.kinds = append(o.kinds, kind(k))
	}
	if growth != "" {
		for number := range strings.SplitSeq(growth, ",") {
			n, err := strconv.Atoi(strings.TrimSpace(number))
			if err != nil {
				f.Reject("growth", "has %q, which is not a number", number)
			}
			o.growth = append(o.growth, n)
		}
	}
	if !slices.IsSorted(o.growth) {
		f.Reject("growth", "must be ascending")
	}
	if o.requests < 3*o.connections {
		f.Reject("requests", "must be at least three times -connections")
	}
	if o.users < o.connections || o.users > o.rows {
		f.Reject("users", "must be at least -connections and at most -rows")
	}
	if len(o.growth) > 0 && o.growth[0] < o.users {
		f.Reject("growth", "must begin with at least -users, %d", o.users)
	}
}

// Run is `wxtest bench`.
func Run(ctx context.Context, args []string, stdout, stderr io.Writer) (err error) {
	o, err := parse(args, stdout, stderr)
	if err != nil {
		return err
	}
	if err := process.Require("go"); err != nil {
		return err
	}
	file, err := report.Create(o.json)
	if err != nil {
		return err
	}
	e := &env{options: o, log: stderr, tokens: map[*process.Server][]string{}}
	defer func() { err = errors.Join(err, e.close()) }()
	if err := e.start(ctx); err != nil {
		return err
	}
	if err := e.addSessions(ctx); err != nil {
		return err
	}
	if len(o.growth) > 0 {
		return e.grow(ctx, stdout)
	}
	if err := e.logIn(ctx); err != nil {
		return err
	}
	results, err := e.compare(ctx)
	return errors.Join(err, report.WriteFile(file, results), e.print(stdout, results))
}

// comparison is what was measured of one kind of request.
type comparison struct {
	Kind     string  `json:"kind"`
	WXLogin  []round `json:"wxlogin"`
	Baseline []round `json:"baseline,omitempty"`
}

// compare measures all kinds on both servers in turns. With an error it returns the rounds until then.
func (e *env) compare(ctx context.Context) (results []comparison, err error) {
	profiled := make(chan error, 1)
	go func() { profiled <- e.saveProfile(ctx) }()
	measuring, stop := context.WithCancel(ctx)
	var counting sync.WaitGroup
	counting.Go(func() { e.countGoroutines(measuring) })
	for _, k := range e.kinds {
		var c comparison
		c, err = e.compareKind(ctx, k)
		if len(c.WXLogin) > 0 {
			results = append(results, c)
		}
		if err != nil {
			break
		}
	}
	stop()
	counting.Wait()
	if err == nil {
		err = <-profiled
	}
	return results, err
}

// compareKind measures a kind in all rounds. With an error it returns the pairs until then.
func (e *env) compareKind(ctx context.Context, k kind) (c comparison, err error) {
	c.Kind = k.String()
	if k == capped {
		if err := e.fillCaps(ctx); err != nil {
			return c, err
		}
	}
	for n := range e.rounds + 1 {
		pair := make([]round, len(e.servers()))
		for i, s := range e.servers() {
			if pair[i], err = e.measure(ctx, k, s); err != nil {
				return c, err
			}
		}
		if n == 0 {
			continue // both have made their connections and statements now
		}
		c.WXLogin = append(c.WXLogin, pair[0])
		if len(pair) > 1 {
			c.Baseline = append(c.Baseline, pair[1])
		}
	}
	e.logf("%s: done", k)
	return c, nil
}

func (e *env) print(out io.Writer, results []comparison) error {
	fmt.Fprintf(out, "%d connections, %d rounds of %d requests, %d users in MySQL, WeChat takes %v\n",
		e.connections, e.rounds, e.requests, e.rows, e.latency)
	_, peak, err := process.Memory(e.server.PID())
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "wxlogin: %.1f MB on disk, ready after %d ms, %.1f MiB at rest, %.1f MiB at most, %.0f goroutines at most\n",
		e.binary, e.started.Milliseconds(), e.atRest, peak, e.goroutines)
	fmt.Fprintf(out, "WeChat: %d connections for %d calls\n\n", e.wechat.connections.Load(), e.wechat.Calls())
	table := newTable(out, "\t")
	for _, c := range results {
		printRow(table, c.Kind+"\twxlogin", medians(c.WXLogin), "")
		if len(c.Baseline) > 0 {
			printRow(table, "\tbaseline", medians(c.Baseline), "")
			printRow(table, "\tratio", ratios(c.WXLogin, c.Baseline), "%.2f")
		}
	}
	return table.Flush()
}

// grow measures a returning login with more and more users in MySQL.
func (e *env) grow(ctx context.Context, stdout io.Writer) error {
	table := newTable(stdout, "users")
	defer table.Flush()
	for i, rows := range e.growth {
		if i > 0 {
			e.logf("adding users up to %d", rows)
			if err := e.storage.fill(ctx, e.growth[i-1], rows, false); err != nil {
				return err
			}
			e.chooseUsers(rows)
		}
		c, err := e.compareKind(ctx, returning)
		if err != nil {
			return err
		}
		printRow(table, strconv.Itoa(rows), medians(c.WXLogin), "")
	}
	return nil
}
