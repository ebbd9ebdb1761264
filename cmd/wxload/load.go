package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	randv2 "math/rand/v2"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// lead is how long before the first action of an open loop phones can get ready for theirs.
	lead = 250 * time.Millisecond

	// logins is how often a user tries to log in before a run.
	logins = 5
)

var errFailed = errors.New("failed")

// transports are how the servers and the simulator are reached.
type transports struct{ servers, simulator http.RoundTripper }

// load is one run.
type load struct {
	config    config
	api       *api
	simulator *simulator
	recorder  *recorder
	schedule  *schedule
	phones    []*phone

	run       string // part of newcomers' names: they are new even where the seed is that of an earlier run
	newcomers atomic.Int64
}

func newLoad(c config, t transports) (*load, error) {
	a, err := newAPI(c, t.servers)
	if err != nil {
		return nil, err
	}
	l := &load{
		config: c, api: a, simulator: newSimulator(c.wechat, c.appID, t.simulator), recorder: newRecorder(),
		run: rand.Text()[:8],
	}
	for i := range c.phones {
		l.phones = append(l.phones, &phone{load: l, rng: randv2.New(randv2.NewPCG(c.seed, uint64(i)))})
	}
	for i := range c.users {
		p := l.phones[i%c.phones]
		name := "w" + strconv.FormatUint(c.seed, 10) + "-" + strconv.Itoa(i)
		p.people = append(p.people, newPerson(name, c.appID))
	}
	return l, nil
}

// newcomer is somebody who was never here.
func (l *load) newcomer() *person {
	name := "w" + strconv.FormatUint(l.config.seed, 10) + "-" + l.run + "-" + strconv.FormatInt(l.newcomers.Add(1), 10)
	return newNewcomer(name, l.config.appID)
}

// arrive lets the whole crowd log in, so that those who come back later do come back.
func (l *load) arrive(ctx context.Context) error {
	errs := make([]error, len(l.phones))
	var arriving sync.WaitGroup
	for i, p := range l.phones {
		arriving.Go(func() { errs[i] = p.arrive(ctx) })
	}
	arriving.Wait()
	if ctx.Err() != nil {
		return errors.New("ended before the run began")
	}
	failed, first := 0, error(nil)
	for _, err := range errs {
		if err != nil {
			failed, first = failed+1, err
		}
	}
	if failed > 0 {
		return fmt.Errorf("before the run, %d of %d phones could not log their users in: %w", failed, len(errs), first)
	}
	return nil
}

func (p *phone) arrive(ctx context.Context) error {
	for _, u := range p.people {
		if err := p.arriveAs(ctx, u); err != nil {
			return err
		}
	}
	return nil
}

func (p *phone) arriveAs(ctx context.Context, u *person) error {
	var v verdict
	for range logins {
		if !sleepUntil(ctx, u.waitUntil) {
			return ctx.Err()
		}
		j, err := p.ask(ctx, job{action: returning, person: u})
		if err != nil {
			return fmt.Errorf("the simulator does not give what is needed: %w", err)
		}
		if v = p.do(j, time.Now(), 0); v.code == "" && u.token != "" {
			u.waitUntil = time.Time{}
			return nil
		}
	}
	if v.fault != "" {
		return fmt.Errorf("a login is answered wrong: %s", v.why)
	}
	return fmt.Errorf("a login ends with %s", v.code)
}

// play runs the load. What it returns is how it went, whenever ctx ended; the error is for runs that could not begin.
func (l *load) play(ctx context.Context, stderr io.Writer) (result, error) {
	fmt.Fprintf(stderr, "wxload: %d users log in\n", l.config.users)
	if err := l.arrive(ctx); err != nil {
		return result{}, err
	}
	start := time.Now()
	if l.config.rate > 0 {
		start = start.Add(lead)
	}
	from := start.Add(l.config.warmup)
	l.schedule = &schedule{rate: l.config.rate, start: start, end: from.Add(l.config.duration)}
	l.recorder.begin(from)

	played := make(chan struct{})
	var playing, following sync.WaitGroup
	for _, p := range l.phones {
		playing.Go(func() { p.play(ctx) })
	}
	var ended time.Time
	following.Go(func() { l.tellProgress(stderr, from, played) })
	following.Go(func() { ended = l.awaitEnd(ctx, played) })
	playing.Wait()
	close(played)
	following.Wait()
	return l.result(from, ended), nil
}

// awaitEnd says when a run ended: with its schedule, or earlier with ctx. Requests under way then go on to their end.
func (l *load) awaitEnd(ctx context.Context, played <-chan struct{}) time.Time {
	select {
	case <-ctx.Done():
	case <-played:
	}
	if ctx.Err() == nil {
		return l.schedule.end
	}
	return earlier(time.Now(), l.schedule.end)
}
