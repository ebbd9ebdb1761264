package load

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"math"
	randv2 "math/rand/v2"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"wxlogin/cmd/wxtest/internal/player"
)

const (
	// startDelay is the time before the first action of an open loop in which phones prepare theirs.
	startDelay = 250 * time.Millisecond

	// prepareLead is how long before an action is due it is prepared: long enough for a slow simulator, and far less than a
	// code lives.
	prepareLead = 2 * time.Second

	loginAttempts  = 5                // of a user before a run
	maxRetryAfter  = 10 * time.Second // the longest Retry-After that is followed, as in the mini-program's client
	failureBackoff = time.Second      // after an error without Retry-After

	simulatorTimeout = 5 * time.Second
	simulatorBackoff = 200 * time.Millisecond

	// simulatorCalls are the calls of the simulator at once: it shares the machine with the servers, and answers within a
	// millisecond.
	simulatorCalls = 8
)

// run is one measurement.
type run struct {
	options
	simulator *player.Simulator
	recorder  *recorder
	schedule  *schedule
	phones    []*phone

	name      string // part of newcomers' names: they are new even if the seed was used before
	newcomers atomic.Int64
}

func newRun(o options, t transports) *run {
	r := &run{options: o, recorder: newRecorder(cmp.Or(o.tolerance, onTimeTolerance)), name: rand.Text()[:8]}
	r.simulator = &player.Simulator{
		Base: o.wechat, AppID: o.appID, Client: &http.Client{Transport: t.simulator, Timeout: simulatorTimeout},
		InFlight: make(chan struct{}, simulatorCalls),
	}
	client := &player.Client{
		Transport: t.servers, Servers: o.servers, Internals: o.internals, Key: o.internalKey, Timeout: o.timeout,
	}
	for i := range o.phones {
		r.phones = append(r.phones, &phone{run: r, Player: player.Player{
			Client: client, Simulator: r.simulator, AppID: o.appID, RNG: randv2.New(randv2.NewPCG(o.seed, uint64(i))),
		}})
	}
	for i := range o.users {
		p := r.phones[i%o.phones]
		p.users = append(p.users, player.NewUser("w"+strconv.FormatUint(o.seed, 10)+"-"+strconv.Itoa(i), o.appID))
	}
	return r
}

// play runs a load. It returns a result however early ctx ends; the error is for runs that could not begin.
func play(ctx context.Context, o options, t transports, stderr io.Writer) (result, error) {
	r := newRun(o, t)
	fmt.Fprintf(stderr, "wxtest: %d users log in\n", o.users)
	if err := r.arrive(ctx); err != nil {
		return result{}, err
	}
	return r.play(ctx, stderr), nil
}

// play plays the users, who have arrived.
func (r *run) play(ctx context.Context, stderr io.Writer) result {
	start := time.Now()
	if r.rate > 0 {
		start = start.Add(startDelay)
	}
	from := start.Add(r.warmup)
	r.schedule = &schedule{rate: r.rate, start: start, end: from.Add(r.duration)}
	r.recorder.begin(from)

	done, ended := make(chan struct{}), make(chan time.Time, 1)
	go func() { ended <- r.watch(ctx, stderr, from, done) }()
	var playing sync.WaitGroup
	for _, p := range r.phones {
		playing.Go(func() { p.play(ctx) })
	}
	playing.Wait()
	close(done)
	return r.result(from, <-ended)
}

// watch prints progress until done is closed or ctx ends. It returns when the run ended: with its schedule, or earlier with ctx.
// Requests in flight then end by themselves.
func (r *run) watch(ctx context.Context, w io.Writer, from time.Time, done <-chan struct{}) time.Time {
	var ticks <-chan time.Time
	if r.progress > 0 {
		ticks = time.Tick(r.progress)
	}
	for {
		select {
		case now := <-ticks:
			fmt.Fprintln(w, r.progressLine(now.Sub(from)))
			continue
		case <-ctx.Done():
		case <-done:
		}
		if ctx.Err() != nil {
			return earlier(time.Now(), r.schedule.end)
		}
		return r.schedule.end
	}
}

// arrive logs all users in, so that those who come back later do come back.
func (r *run) arrive(ctx context.Context) error {
	var failed atomic.Int64
	var arriving errgroup.Group
	if r.arriving > 0 {
		arriving.SetLimit(r.arriving)
	}
	for _, p := range r.phones {
		arriving.Go(func() error {
			for _, u := range p.users {
				if err := p.arrive(ctx, u); err != nil {
					failed.Add(1)
					return err
				}
			}
			return nil
		})
	}
	err := arriving.Wait()
	switch {
	case ctx.Err() != nil:
		return errors.New("interrupted before the run began")
	case err != nil:
		return fmt.Errorf("before the run, %d of %d phones could not log their users in: %w", failed.Load(), len(r.phones), err)
	}
	return nil
}

// progressLine reports the interval that has just ended.
func (r *run) progressLine(elapsed time.Duration) string {
	t := r.recorder.nextInterval()
	if elapsed < 0 {
		return fmt.Sprintf("%6.0fs  warming up", elapsed.Seconds())
	}
	rate := float64(t.requests) / min(r.progress, elapsed).Seconds()
	return fmt.Sprintf("%6.0fs  %8.1f/s  p50 %.1f ms  p99 %.1f ms  errors %d  wrong %d",
		elapsed.Seconds(), rate, t.latencies.Millis(50), t.latencies.Millis(99), t.errors, t.wrong)
}

func (r *run) newcomer() *player.User {
	name := "w" + strconv.FormatUint(r.seed, 10) + "-" + r.name + "-" + strconv.FormatInt(r.newcomers.Add(1), 10)
	return player.NewNewcomer(name, r.appID)
}

// schedule is when actions are due: in an open loop at a steady rate, so that a free phone takes the oldest that is left; in a
// closed loop (rate 0) whenever a phone is free.
type schedule struct {
	rate       float64
	start, end time.Time
	taken      atomic.Int64
}

// take returns when the next action is due: in a closed loop, now. It returns false when the run is over.
func (s *schedule) take() (due time.Time, ok bool) {
	due = time.Now()
	if s.rate > 0 && due.Before(s.end) { // what is overdue at the end stays unsent
		due = s.due(s.taken.Add(1) - 1)
	}
	return due, due.Before(s.end)
}

// due returns when action n is due, counted from 0.
func (s *schedule) due(n int64) time.Time {
	return s.start.Add(time.Duration(float64(n) / s.rate * float64(time.Second)))
}

// between counts the actions that are due from one time until before another.
func (s *schedule) between(from, to time.Time) int64 { return max(0, s.before(to)-s.before(from)) }

// before counts the actions that are due before a time.
func (s *schedule) before(t time.Time) int64 {
	n := max(0, int64(math.Ceil(t.Sub(s.start).Seconds()*s.rate)))
	for n > 0 && !s.due(n-1).Before(t) {
		n--
	}
	for s.due(n).Before(t) {
		n++
	}
	return n
}

// maxWaits is how many waits are kept apart; earlier ones are joined.
const maxWaits = 256

// waits are when a phone recently waited for the simulator. That is not the server's time, even if a later action had to wait
// for it.
type waits []wait

type wait struct{ from, to time.Time }

func (w *waits) add(from, to time.Time) {
	if n := len(*w); n == maxWaits {
		first := (*w)[0]
		*w = append((*w)[:0], (*w)[1:]...)
		(*w)[0].from = (*w)[0].from.Add(-first.to.Sub(first.from))
	}
	*w = append(*w, wait{from, to})
}

// since returns how long the phone waited after a time. What ended before it is dropped: times come in order.
func (w *waits) since(t time.Time) (sum time.Duration) {
	kept := (*w)[:0]
	for _, one := range *w {
		if !one.to.After(t) {
			continue
		}
		kept = append(kept, one)
		if one.from.Before(t) {
			one.from = t
		}
		sum += one.to.Sub(one.from)
	}
	*w = kept
	return sum
}
