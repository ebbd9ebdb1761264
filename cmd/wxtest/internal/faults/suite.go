// Package faults shows on real processes that the server loses nothing and shows no user another one's data while its
// dependencies and its instances stop, die, hang and come back.
//
// It starts a MariaDB, a Redis, the simulator and two servers of its own, on free loopback ports and in a temporary folder.
// Users log in and send profiles all the time while one fault after the other is injected. Afterwards the responses are checked
// against docs/api.md, the database and the servers' logs.
package faults

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"

	"wxlogin/cmd/wxtest/internal/cli"
	"wxlogin/cmd/wxtest/internal/player"
	"wxlogin/cmd/wxtest/internal/process"
	"wxlogin/cmd/wxtest/internal/report"
)

const (
	appID            = "wx00000000faults0"
	appSecret        = "5ec2e7ffau17ffau17ffau17ffau1799"
	databasePassword = "pw-of-the-fault-suite"

	suiteTimeout  = 290 * time.Second // CI allows five minutes
	defaultRounds = 2
	returnTimeout = 30 * time.Second // for a component to answer its probe again
	quietTime     = 1500 * time.Millisecond
	quietTimeout  = 12 * time.Second

	// requestTimeout is far above every bound, so that it is the servers' own time-outs that are measured.
	requestTimeout = 20 * time.Second
)

type options struct {
	seed    uint64
	rounds  int
	keep    bool
	verbose bool
}

func parse(args []string, stdout, stderr io.Writer) (options, error) {
	o := options{seed: rand.Uint64N(1_000_000), rounds: defaultRounds}
	f := cli.New("faults")
	f.Uint64Var(&o.seed, "seed", o.seed, "`n` decides everything that is drawn at random: the order of the faults, and what users do")
	cli.Value(f, &o.rounds, "rounds", 1, 3, "`n` rounds: each fault is injected once in each")
	f.BoolVar(&o.keep, "keep", false, "keep logs and data")
	f.BoolVar(&o.verbose, "v", false, "print what happens")
	return o, f.Parse(args, func() {}, stdout, stderr)
}

// Run is `wxtest faults`.
func Run(ctx context.Context, args []string, stdout, stderr io.Writer) (err error) {
	o, err := parse(args, stdout, stderr)
	if err != nil {
		return err
	}
	if err := process.Require("mariadbd", "mariadb-install-db", "redis-server", "go"); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, suiteTimeout)
	defer cancel()
	started := time.Now()
	logf := func(format string, args ...any) {
		if o.verbose {
			fmt.Fprintf(stdout, "%7.3f  %s\n", time.Since(started).Seconds(), fmt.Sprintf(format, args...))
		}
	}
	fmt.Fprintf(stdout, "seed %d\n", o.seed)
	c, err := startCluster(ctx, o.keep)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.close(stdout)) }()
	logf("everything is up")
	res, err := runPlan(ctx, c, o, logf)
	printTable(stdout, res)
	if err != nil {
		return err
	}
	return report.Conclude(stdout, res.check(), started)
}

// cluster is all the processes, and the folder that they run in.
type cluster struct {
	dir       string
	keep      bool
	mysql     *process.MariaDB
	redis     *process.Process
	wechat    *process.Process
	simulator *player.Simulator
	servers   []*process.Server
}

// startCluster builds and starts everything. If that fails, it leaves nothing behind.
func startCluster(ctx context.Context, keep bool) (*cluster, error) {
	dir, err := os.MkdirTemp("", "wxtest")
	if err != nil {
		return nil, err
	}
	c := &cluster{dir: dir, keep: keep}
	if err := c.start(ctx); err != nil {
		return nil, errors.Join(err, c.close(io.Discard))
	}
	return c, nil
}

func (c *cluster) start(ctx context.Context) (err error) {
	if err := os.Chmod(c.dir, 0o755); err != nil { // the database runs as another user
		return err
	}
	var group errgroup.Group
	group.Go(func() error { return process.Build(ctx, c.dir, "wxlogin/cmd/wxlogin", "wxlogin/cmd/wxsim") })
	group.Go(func() (err error) {
		c.mysql, err = process.NewMariaDB(ctx, c.dir)
		return err
	})
	if err := group.Wait(); err != nil {
		return err
	}
	var redisAddr, wechatAddr string
	if c.redis, redisAddr, err = process.NewRedis(c.dir); err != nil {
		return err
	}
	if c.wechat, wechatAddr, err = process.NewSimulator(c.dir, filepath.Join(c.dir, "wxsim"), appID, appSecret); err != nil {
		return err
	}
	c.simulator = &player.Simulator{
		Base: "http://" + wechatAddr, Client: &http.Client{Transport: player.NewTransport(phones), Timeout: 500 * time.Millisecond},
		InFlight: make(chan struct{}, 2*phones), CoolDown: 300 * time.Millisecond,
	}
	for _, p := range []*process.Process{c.mysql.Process, c.redis, c.wechat} {
		if err := p.StartReady(ctx); err != nil {
			return err
		}
	}
	if err := c.mysql.Prepare(ctx, databasePassword, "filler"); err != nil {
		return err
	}
	return c.startServers(ctx, redisAddr, wechatAddr)
}

func (c *cluster) startServers(ctx context.Context, redisAddr, wechatAddr string) error {
	path, dsn := filepath.Join(c.dir, "wxlogin"), c.mysql.DSN("wxlogin:"+databasePassword, "wxlogin")
	if err := process.Migrate(ctx, path, dsn); err != nil {
		return err
	}
	for _, name := range []string{"server A", "server B"} {
		s, err := process.NewServer(c.dir, name, path, "MYSQL_DSN="+dsn, "REDIS_URL=redis://"+redisAddr+"/0",
			"WECHAT_APPID="+appID, "WECHAT_SECRET="+appSecret, "WECHAT_API_BASE=http://"+wechatAddr,
			"LOGIN_RATE_LIMIT=0", "UPDATE_RATE_LIMIT=0", "FAILED_UPDATE_RATE_LIMIT=0", // all users share one address
			"LOG_FORMAT=json", "LOG_LEVEL=debug") // a secret would show there first
		if err != nil {
			return err
		}
		c.servers = append(c.servers, s)
		if err := s.StartReady(ctx); err != nil {
			return err
		}
	}
	return nil
}

// component returns a process by the name that a scenario has for it.
func (c *cluster) component(name string) *process.Process {
	switch name {
	case "redis":
		return c.redis
	case "mysql":
		return c.mysql.Process
	case "wechat":
		return c.wechat
	}
	for _, s := range c.servers {
		if s.Name == name {
			return s.Process
		}
	}
	return nil
}

func (c *cluster) close(stdout io.Writer) error {
	var errs []error
	for _, s := range c.servers {
		errs = append(errs, s.Kill())
	}
	errs = append(errs, c.wechat.Kill(), c.redis.Kill())
	if c.mysql != nil {
		errs = append(errs, c.mysql.Kill(), c.mysql.Root.Close())
	}
	if c.keep {
		fmt.Fprintln(stdout, "logs and data are kept in", c.dir)
		return errors.Join(errs...)
	}
	return errors.Join(append(errs, os.RemoveAll(c.dir))...)
}

// scenario is a fault and what its effects may be.
type scenario struct {
	name          string
	component     string
	inject        injection
	length        time.Duration // of the fault, more or less
	bound         time.Duration // of the slowest response meanwhile
	losesSessions bool          // Redis comes back empty
	orderly       bool          // a server stops as it should, and no request may be cut
}

// Bounds of the slowest response: storage has 2 s, WeChat 6 s, and a paused server cannot answer before it resumes.
const (
	storageBound = 2 * time.Second
	wechatBound  = 6 * time.Second
	spread       = 300 * time.Millisecond // by which a fault may be longer than planned
	pausedBound  = 3*time.Second + spread + storageBound
)

var scenarios = []scenario{
	{name: "redis paused", component: "redis", inject: pause, length: 4 * time.Second, bound: storageBound},
	{name: "redis killed, back empty", component: "redis", inject: kill, length: time.Second, bound: storageBound, losesSessions: true},
	{name: "mysql paused", component: "mysql", inject: pause, length: 4 * time.Second, bound: storageBound},
	{name: "mysql killed", component: "mysql", inject: kill, length: time.Second, bound: storageBound},
	{name: "mysql without connections", component: "mysql", inject: fillConnections, length: 4 * time.Second, bound: storageBound},
	{name: "wechat paused", component: "wechat", inject: pause, length: 7 * time.Second, bound: wechatBound},
	{name: "wechat killed", component: "wechat", inject: kill, length: 2 * time.Second, bound: wechatBound},
	{name: "wechat unreliable", component: "wechat", inject: failExchanges, length: 4 * time.Second, bound: wechatBound},
	{name: "server A killed", component: "server A", inject: kill, length: time.Second, bound: storageBound},
	{name: "server B paused", component: "server B", inject: pause, length: 3 * time.Second, bound: pausedBound},
	{name: "server A stopped in order", component: "server A", inject: stop, length: time.Second, bound: wechatBound, orderly: true},
}

// step is a scenario with what the seed decides.
type step struct {
	scenario
	idle  time.Duration // before the fault
	burst []string      // faults of WeChat, in their order
}

const burstLength = 60

var wechatFaults = []string{"dropped", "droppedafter", "busy", "badgateway", "brokenjson", "slow:300ms"}

// newPlan returns all scenarios in the order of a seed, round by round. More rounds only add to a plan.
func newPlan(seed uint64, rounds int) (plan []step) {
	rng := rand.New(rand.NewPCG(seed, 0))
	for range rounds {
		for _, i := range rng.Perm(len(scenarios)) {
			s := step{scenario: scenarios[i], idle: time.Second + time.Duration(rng.Int64N(int64(time.Second)))}
			s.length += time.Duration(rng.Int64N(int64(spread)))
			for range burstLength {
				s.burst = append(s.burst, wechatFaults[rng.IntN(len(wechatFaults))])
			}
			plan = append(plan, s)
		}
	}
	return plan
}

// injected is when a fault was there, in the recorder's time.
type injected struct {
	scenario
	began    time.Duration
	returned time.Duration // the component answered its probe
	over     time.Duration // the next fault began, or the load ended
	stopErr  error         // why an orderly stop failed
}

// runner injects the faults of a plan under load.
type runner struct {
	*traffic
	longLived *longLived
	logf      func(format string, args ...any)
	injected  []injected
}

// runPlan injects all faults under load and returns the results, as far as it came. An error is the suite's or the machine's,
// not the fault of the servers under test.
func runPlan(ctx context.Context, c *cluster, o options, logf func(string, ...any)) (res results, err error) {
	ctx, giveUp := context.WithCancel(ctx)
	defer giveUp()
	t := newTraffic(c)
	var watching errgroup.Group
	watching.Go(func() error { t.recorder.watchPauses(ctx); return nil })
	load := startLoad(ctx, o.seed, t)
	r := &runner{traffic: t, longLived: &longLived{traffic: t}, logf: logf}
	for _, s := range newPlan(o.seed, o.rounds) {
		if err = r.step(ctx, s); err != nil {
			err = fmt.Errorf("%s: %w", s.name, err)
			giveUp() // users may be waiting for what does not come back
			break
		}
	}
	load.stop()
	res = results{requests: t.recorder.requests, injected: r.injected, openIDs: t.recorder.openIDs, secrets: t.recorder.secrets}
	if n := len(res.injected); n > 0 {
		res.injected[n-1].over = t.recorder.now()
	}
	if err == nil {
		err = res.readServers(ctx, c)
	}
	giveUp()
	watching.Wait()
	res.pauses = t.recorder.pauses
	return res, err
}

func (r *runner) step(ctx context.Context, s step) error {
	process.Sleep(ctx, s.idle)
	if err := r.longLived.login(ctx); err != nil {
		return err
	}
	one := injected{scenario: s.scenario, began: r.recorder.now()}
	if n := len(r.injected); n > 0 {
		r.injected[n-1].over = one.began
	}
	r.logf("%s for %v", s.name, s.length.Round(time.Millisecond))
	component := r.cluster.component(s.component)
	end, err := s.inject(ctx, r.cluster, component, s)
	if err != nil && !s.orderly {
		return err
	}
	one.stopErr = err
	process.Sleep(ctx, s.length)
	if err := end(); err != nil {
		return err
	}
	if err := process.Await(ctx, s.component, returnTimeout, component.Probe); err != nil {
		return err
	}
	one.returned = r.recorder.now()
	r.logf("%s is over", s.name)
	r.awaitQuiet(ctx, one.returned)
	r.longLived.comeBack(ctx)
	one.over = r.recorder.now()
	r.injected = append(r.injected, one)
	return ctx.Err()
}

// awaitQuiet waits until no request has failed for a while.
func (r *runner) awaitQuiet(ctx context.Context, returned time.Duration) {
	for now := r.recorder.now(); now-max(returned, r.recorder.lastFailed()) <= quietTime && now-returned <= quietTimeout; now = r.recorder.now() {
		if !process.Sleep(ctx, 50*time.Millisecond) {
			return
		}
	}
}
