package main

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// config is what the flags say.
type config struct {
	mysql, redis string

	rounds      int
	requests    int
	connections int
	kinds       []kind
	alone       bool
	latency     time.Duration
	pause       time.Duration

	users    int
	people   int
	sessions int
	growth   []int

	wxlogin string
	profile string
	json    string
}

func parse(args []string, stderr io.Writer) (config, error) {
	var c config
	var kinds, growth string
	flags := flag.NewFlagSet("wxbench", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&c.mysql, "mysql", cmp.Or(os.Getenv("TEST_MYSQL_DSN"), "root@tcp(127.0.0.1:3306)/"), "`DSN` of a MySQL server, without a database")
	flags.StringVar(&c.redis, "redis", cmp.Or(os.Getenv("TEST_REDIS_URL"), "redis://127.0.0.1:6379/15"), "`URL` of a Redis whose database is empty")
	flags.IntVar(&c.rounds, "rounds", 5, "paired rounds of each `kind`")
	flags.IntVar(&c.requests, "requests", 10_000, "requests of a round; a third of that for new users")
	flags.IntVar(&c.connections, "connections", 32, "connections that ask at the same time")
	flags.StringVar(&kinds, "kinds", strings.Join(kindNames[:], ","), "`which` kinds of requests")
	flags.BoolVar(&c.alone, "alone", false, "wxlogin without the bare handler")
	flags.DurationVar(&c.latency, "latency", 0, "how long WeChat takes")
	flags.DurationVar(&c.pause, "pause", 0, "how long a connection waits from an answer to its next request")
	flags.IntVar(&c.users, "users", 20_000, "users in MySQL")
	flags.IntVar(&c.people, "people", 20_000, "users who take part")
	flags.IntVar(&c.sessions, "sessions", 0, "sessions in Redis before the first round")
	flags.StringVar(&growth, "growth", "", "`numbers` of users, ascending, such as 10000,1000000")
	flags.StringVar(&c.wxlogin, "wxlogin", "", "the server's `file`; default: it is built")
	flags.StringVar(&c.profile, "profile", "", "writes a CPU profile of wxlogin under load to a `file`, for go tool pprof or default.pgo")
	flags.StringVar(&c.json, "json", "", "writes all figures to a `file`")
	if err := flags.Parse(args); err != nil {
		return config{}, err
	}
	var err error
	if c.kinds, err = parseKinds(kinds); err == nil {
		c.growth, err = parseGrowth(growth)
	}
	return c, errors.Join(err, c.validate(flags.Args()))
}

func parseKinds(text string) (kinds []kind, err error) {
	for name := range strings.SplitSeq(text, ",") {
		k := slices.Index(kindNames[:], strings.TrimSpace(name))
		if k < 0 {
			return nil, fmt.Errorf("-kinds: %q is none of %s", name, strings.Join(kindNames[:], ", "))
		}
		kinds = append(kinds, kind(k))
	}
	return kinds, nil
}

func parseGrowth(text string) (sizes []int, err error) {
	if text == "" {
		return nil, nil
	}
	for number := range strings.SplitSeq(text, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(number))
		if err != nil {
			return nil, fmt.Errorf("-growth: %q is no number", number)
		}
		sizes = append(sizes, n)
	}
	if !slices.IsSorted(sizes) {
		return nil, errors.New("-growth: the numbers are not ascending")
	}
	return sizes, nil
}

func (c config) validate(rest []string) error {
	var faults []error
	fault := func(wrong bool, format string, args ...any) {
		if wrong {
			faults = append(faults, fmt.Errorf(format, args...))
		}
	}
	fault(len(rest) > 0, "unexpected arguments: %s", strings.Join(rest, " "))
	fault(c.rounds < 1 || c.connections < 1, "-rounds and -connections: at least 1")
	fault(c.requests < 3*c.connections, "-requests: at least three times -connections")
	fault(c.people < c.connections || c.people > c.users, "-people: at least -connections, at most -users")
	fault(len(c.growth) > 0 && c.growth[0] < c.people, "-growth: at least -people, %d", c.people)
	fault(c.latency < 0 || c.pause < 0 || c.sessions < 0, "-latency, -pause and -sessions: at least 0")
	return errors.Join(faults...)
}
