package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"
)

// faultsLimit is how long the whole run may take. CI gives it five minutes.
const faultsLimit = 290 * time.Second

// faults runs all scenarios and checks what came of them.
func faults(ctx context.Context, o options, stdout io.Writer) (err error) {
	ctx, cancel := context.WithTimeout(ctx, faultsLimit)
	defer cancel()
	started, say := time.Now(), teller(stdout, o.verbose)
	fmt.Fprintf(stdout, "seed %d\n", o.seed)
	s, err := startSystem(ctx, o.keep, 0, map[string][]string{"A": nil, "B": nil})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	say("everything is up")

	ev, err := commit(ctx, s, o, say)
	if err != nil {
		return err
	}
	printTable(stdout, ev)
	var verdicts []verdict
	for _, check := range checks {
		verdicts = append(verdicts, check(ev))
	}
	return conclude(stdout, printVerdicts(stdout, verdicts), started)
}

func conclude(w io.Writer, passed bool, started time.Time) error {
	if !passed {
		fmt.Fprintf(w, "FAILED in %.0f s\n", time.Since(started).Seconds())
		return errFailed
	}
	fmt.Fprintf(w, "PASSED in %.0f s\n", time.Since(started).Seconds())
	return nil
}

// commit goes through the plan under load, and gathers the evidence.
func commit(ctx context.Context, s *system, o options, say func(string, ...any)) (evidence, error) {
	ctx, giveUp := context.WithCancel(ctx)
	defer giveUp()
	l := newLedger()
	watching := make(chan struct{})
	go func() { defer close(watching); l.watchStalls(ctx) }()
	a := newAPI(s, l)
	load := startLoad(ctx, o.seed, s, a)
	r := &runner{system: s, ledger: l, keepers: &keepers{system: s, api: a}, say: say}
	if err := r.run(ctx, newPlan(o.seed, o.rounds)); err != nil {
		giveUp() // the phones may be waiting for what does not come back
		load.stop()
		return evidence{}, err
	}
	load.stop()
	r.results[len(r.results)-1].over = l.now()
	ev, err := gather(ctx, s, l, r.results)
	giveUp()
	<-watching
	ev.stalls = l.stalls
	return ev, err
}

func gather(ctx context.Context, s *system, l *ledger, results []result) (evidence, error) {
	ev := evidence{entries: l.entries, results: results, people: l.people, secrets: l.secrets, logs: map[string][]byte{}}
	for name, server := range s.servers {
		log, err := os.ReadFile(server.log)
		if err != nil {
			return evidence{}, err
		}
		ev.logs[name] = log
	}
	var err error
	ev.database, err = readDatabase(ctx, s.mysql.root)
	return ev, err
}
