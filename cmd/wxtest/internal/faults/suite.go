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
	"os"
	"sync"
	"time"

	"wxlogin/cmd/wxtest/internal/cli"
	"wxlogin/cmd/wxtest/internal/process"
	"wxlogin/cmd/wxtest/internal/report"
)

const (
	suiteTimeout  = 290 * time.Second // CI allows five minutes
	defaultRounds = 2
	returnTimeout = 30 * time.Second // for a component to answer its probe again
	quietTime     = 1500 * time.Millisecond
	quietTimeout  = 12 * time.Second

	// deletionInterval is how often a server works off what is to be deleted of erased users, and some time for that.
	deletionInterval = 12 * time.Second

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
	c, err := startCluster(ctx)
	if err != nil {
		return err
	}
	defer func() {
		err = errors.Join(err, c.close())
		if o.keep {
			fmt.Fprintln(stdout, "logs and data are kept in", c.dir)
		} else {
			err = errors.Join(err, os.RemoveAll(c.dir))
		}
	}()
	logf("everything is up")
	res, err := runPlan(ctx, c, o, logf)
	res.print(stdout)
	if err != nil {
		return err
	}
	return report.Conclude(stdout, res.check(), started)
}

// runner injects the faults of a plan under load.
type runner struct {
	*traffic
	longLived *longLived
	logf      func(format string, args ...any)
}

// runPlan injects all faults under load and returns the results, as far as it came. An error is the suite's or the machine's,
// not the fault of the servers under test.
func runPlan(ctx context.Context, c *cluster, o options, logf func(string, ...any)) (*results, error) {
	ctx, giveUp := context.WithCancel(ctx)
	defer giveUp()
	t := newTraffic(c)
	res := &t.recorder.results
	var watching sync.WaitGroup
	watching.Go(func() { t.recorder.watchPauses(ctx) })
	stop := startLoad(ctx, o.seed, t)
	r := &runner{traffic: t, longLived: &longLived{traffic: t}, logf: logf}
	var err error
	for _, s := range newPlan(o.seed, o.rounds) {
		if err = r.step(ctx, s); err != nil {
			err = fmt.Errorf("%s: %w", s.name, err)
			giveUp() // users may be waiting for what does not come back
			break
		}
	}
	stop()
	r.endFault()
	if err == nil {
		res.logs, err = c.readLogs()
	}
	if err == nil {
		err = res.database.read(ctx, c.mysql)
	}
	if err == nil && res.database.erased.pending > 0 {
		process.Sleep(ctx, deletionInterval) // the servers work the list off again
		err = res.database.read(ctx, c.mysql)
	}
	if err == nil {
		res.pictures, err = c.readPictures()
	}
	giveUp()
	watching.Wait()
	return res, err
}

// endFault notes that the effects of the last fault, if there was one, are over.
func (r *runner) endFault() {
	if n := len(r.recorder.injected); n > 0 {
		r.recorder.injected[n-1].over = r.recorder.now()
	}
}

func (r *runner) step(ctx context.Context, s step) error {
	process.Sleep(ctx, s.idle)
	if err := r.longLived.login(ctx); err != nil {
		return err
	}
	r.endFault()
	one := injected{scenario: s.scenario, began: r.recorder.now()}
	r.logf("%s for %v", s.name, s.length.Round(time.Millisecond))
	component := r.cluster.processes[s.component]
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
	r.recorder.injected = append(r.recorder.injected, one)
	r.endFault()
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
