// Package load plays many users against running servers, checks every response, and reports how fast and how right they were.
//
// # What is played
//
// Each phone has users of its own. All of them log in once before the run. Then an action of -mix is drawn each time:
//
//	returning    login of a user who was here before
//	new          first login of a user who then takes another one's place
//	update       update with a new nickname
//	unchanged    update with the profile that the server has (the first one if it has none)
//	userinfo     GET /userInfo
//	introspect   another service asks whose token it is; needs -internal
//	logout       after which the token must be invalid, and the user logs in again
//
// A weight is a whole number; an action that a mix does not name has the weight 0. Users' names come from -seed: the same seed
// plays the same users again, so two runs at the same time need two seeds.
//
// Users do what errors advise: on relogin their next action is a login; on retry they wait for Retry-After, at most 10 s and half
// as long again at random; after an error without advice they wait 1 to 1.5 s. Their phone goes on with its other users.
//
// # What is measured
//
// In a closed loop each phone sends its next request when the last one is answered. With -rate the loop is open: actions are due
// at that rate whatever the responses, and a latency counts from when its action was due, so a server that stalls shows in every
// action that should have been sent meanwhile. -phones bounds the requests in flight; what is overdue at the end is not sent, and
// counted. Codes and profiles are requested from the simulator up to 2 s ahead; time that a phone waits for them nevertheless is
// subtracted. Latencies are of all requests, whatever came of them, in buckets a thousandth wide.
//
// Each request is a success, an error, or wrong. Errors keep the contract (docs/api.md) and are counted by code (an introspection that
// calls a token inactive counts as invalid_token), or are connections that were refused, cut or timed_out. What is wrong is
// listed in package player. With -json the result is a [result].
//
// # Overload
//
// With -overload n it shows how one server with MAX_LOGINS_IN_FLIGHT=n rejects the logins beyond those: it measures 20 logins a
// second, then n at a time, then for -duration three times the rate that the server sustained, beside 10 updates a second, and
// checks the claims that it prints. The simulator should take its time (wxsim -latency 100ms), or it is the machine that limits
// the logins. Memory is read from the metrics of -internal.
package load

import (
	"context"
	"flag"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"strings"
	"time"

	"wxlogin/cmd/wxtest/internal/cli"
	"wxlogin/cmd/wxtest/internal/player"
	"wxlogin/cmd/wxtest/internal/report"
)

const (
	maxPhones   = 10_000
	maxUsers    = 10_000_000
	maxRate     = 1_000_000
	maxDuration = 365 * 24 * time.Hour
)

// options are the command line, and what the stages of an overload change.
type options struct {
	servers, internals []string // base URLs without a slash at the end
	wechat             string
	internalKey        string
	appID              string // "" leaves it to the server
	phones, users      int
	duration, warmup   time.Duration
	timeout, progress  time.Duration
	rate               float64 // actions a second; 0: closed loop
	mix                mix
	seed               uint64
	json               string // file; "": none, "-": standard output
	maxErrors          float64
	overload           int // MAX_LOGINS_IN_FLIGHT; 0: no overload

	arriving  int           // logins at once before the run; 0: one for each phone
	impatient bool          // users do not wait after errors
	tolerance time.Duration // instead of onTimeTolerance
}

func parse(args []string, stdout, stderr io.Writer) (options, error) {
	o := options{
		phones: 64, users: 1024, duration: 30 * time.Second, timeout: 10 * time.Second, progress: 5 * time.Second,
		seed: rand.Uint64N(1_000_000),
	}
	f := cli.New("load")
	var mixText string
	var wechats []string
	f.URLs(&o.servers, "server", "`URL` of a server's public listener, or of a proxy; several (with commas or flags) share the load")
	f.URLs(&wechats, "wechat", "`URL` of the simulator that the servers use as WeChat")
	f.URLs(&o.internals, "internal", "`URL` of a server's internal listener, for introspection; several share the load")
	f.StringVar(&o.internalKey, "internal-key", "", "API `key` of the internal listener (default $INTERNAL_API_KEY)")
	f.StringVar(&o.appID, "appid", "", "the mini-program's `appid`, if server and simulator have several")
	cli.Value(f, &o.phones, "phones", 1, maxPhones, "`n` requests at once at most")
	cli.Value(f, &o.users, "users", 1, maxUsers, "`n` users take part")
	cli.Value(f, &o.duration, "duration", time.Millisecond, maxDuration, "measure for this `duration`")
	cli.Value(f, &o.warmup, "warmup", 0, maxDuration, "play for this `duration` before that")
	cli.Value(f, &o.timeout, "timeout", time.Millisecond, maxDuration, "`duration` that a request may take")
	cli.Value(f, &o.progress, "progress", 0, maxDuration, "`duration` between lines of progress; 0s: no such lines")
	cli.Value(f, &o.rate, "rate", 0, maxRate, "open loop: `n` actions a second in all, whatever the responses; 0: closed loop")
	f.StringVar(&mixText, "mix", "", "`weights` of the actions (default "+defaultMix+"; introspect=0 without -internal)")
	f.Uint64Var(&o.seed, "seed", o.seed, "`n` decides everything that is drawn at random")
	f.StringVar(&o.json, "json", "", "write the result as JSON to this `file`; -: to standard output, instead of the table")
	cli.Value(f, &o.maxErrors, "max-errors", 0, 1, "`share` of errors, 0 to 1, above which the exit code is 1")
	cli.Value(f, &o.overload, "overload", 0, maxPhones, "measure how a server with MAX_LOGINS_IN_FLIGHT=`n` rejects logins under overload")
	err := f.Parse(args, func() { o.complete(f, mixText, wechats) }, stdout, stderr)
	return o, err
}

// complete fills in what depends on several flags, and checks them.
func (o *options) complete(f *cli.Flags, mixText string, wechats []string) {
	if o.internalKey == "" {
		o.internalKey = os.Getenv("INTERNAL_API_KEY")
	}
	given := map[string]bool{}
	f.Visit(func(one *flag.Flag) { given[one.Name] = true })
	for _, name := range []string{"server", "wechat"} {
		if !given[name] {
			f.Reject(name, "is missing")
		}
	}
	if len(wechats) > 1 {
		f.Reject("wechat", "must be one simulator")
	}
	o.wechat = strings.Join(wechats, "")
	if o.users < o.phones {
		f.Reject("users", "must be at least -phones: a user has one phone")
	}
	var err error
	if o.mix, err = parseMix(mixText, len(o.internals) > 0); err != nil {
		f.Reject("mix", "%v", err)
	}
	if o.overload > 0 && (len(o.internals) == 0 || o.rate > 0 || mixText != "" || o.duration < minOverload) {
		f.Reject("overload", "needs -internal and a -duration of at least %v, and has its own -rate and -mix", minOverload)
	}
}

// transports are how the servers and the simulator are reached.
type transports struct{ servers, simulator http.RoundTripper }

// Run is `wxtest load`.
func Run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	o, err := parse(args, stdout, stderr)
	if err != nil {
		return err
	}
	return runWith(ctx, o, transports{player.NewTransport(max(o.phones, overloadPhones)), player.NewTransport(simulatorCalls)}, stdout, stderr)
}

func runWith(ctx context.Context, o options, t transports, stdout, stderr io.Writer) error {
	name := o.json
	if name == "-" {
		name = ""
	}
	file, err := report.Create(name)
	if err != nil {
		return err
	}
	var res interface {
		print(io.Writer)
		passed() bool
	}
	if o.overload > 0 {
		res, err = overload(ctx, o, t, stderr)
	} else {
		res, err = play(ctx, o, t, stderr)
	}
	if err != nil {
		return err // a file stays empty: there is no result
	}
	if o.json == "-" {
		err = report.WriteJSON(stdout, res)
	} else {
		res.print(stdout)
		err = report.WriteFile(file, res)
	}
	if err == nil && !res.passed() {
		err = cli.ErrFailed
	}
	return err
}
