package main

import (
	"sync"
	"time"
)

// maxExamples is how many wrong answers of one kind are told one by one.
const maxExamples = 5

// punctual is how late an action of an open loop may be sent and still count as sent when it was due.
const punctual = 10 * time.Millisecond

// sample is one request and what came of it.
type sample struct {
	route     route
	due       time.Time // in a closed loop, when it was sent
	sent      time.Time
	preparing time.Duration // of the time since due: when the phone waited for the simulator and not for the server
	reply     reply
	verdict   verdict
	user      string
}

// latency counts from when an action was due: a server that is slow makes later ones wait too, and that must show.
func (s sample) latency() time.Duration { return s.reply.ended.Sub(s.due) - s.preparing }

// tally is what is counted of the requests of one route, or of all.
type tally struct {
	requests, errors, wrong int64
	latencies               *latencies
}

// seen is how often something happened, and in which seconds first and last.
type seen struct {
	count       int64
	first, last int
}

func (s *seen) in(second int) {
	if s.count == 0 {
		s.first = second
	}
	s.count++
	s.last = max(s.last, second)
}

// example is a wrong answer that is told, without what it held.
type example struct {
	second               int
	route, user, request string
	why                  string
}

// wrongs are the wrong answers of one kind.
type wrongs struct {
	seen
	examples []example
}

// recorder counts what happens. It is safe for concurrent use, and its size does not grow with what it counts.
type recorder struct {
	mu     sync.Mutex
	from   time.Time // what was due before is not counted; zero: nothing is
	all    tally
	routes [routes]tally
	errors map[string]*seen
	wrong  map[fault]*wrongs

	timeline  *timeline
	lags      *latencies // between due and sent
	onTime    int64
	simulator time.Duration // taken off latencies
	uncounted [routes]int64 // before from
	interval  tally         // since the last line of progress
}

func newRecorder() *recorder {
	r := &recorder{
		all: tally{latencies: newLatencies()}, errors: map[string]*seen{}, wrong: map[fault]*wrongs{},
		timeline: newTimeline(), lags: newLatencies(), interval: tally{latencies: newLatencies()},
	}
	for i := range r.routes {
		r.routes[i].latencies = newLatencies()
	}
	return r
}

// begin says from when on is counted.
func (r *recorder) begin(from time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.from = from
}

// add counts one request. Wrong answers count whenever they come.
func (r *recorder) add(s sample) {
	r.mu.Lock()
	defer r.mu.Unlock()
	second := 0
	counted := !r.from.IsZero() && !s.due.Before(r.from)
	if counted {
		second = int(s.reply.ended.Sub(r.from) / time.Second)
	}
	if s.verdict.fault != "" {
		r.addWrong(s, second)
	}
	if !counted {
		r.uncounted[s.route]++
		return
	}
	if s.verdict.code != "" {
		r.addError(s.verdict.code, second)
	}
	latency := s.latency()
	r.all.add(s.verdict, latency)
	r.routes[s.route].add(s.verdict, latency)
	r.interval.add(s.verdict, latency)
	r.timeline.add(second, latency, s.verdict)
	r.addLag(s)
}

func (t *tally) add(v verdict, latency time.Duration) {
	t.requests++
	if v.code != "" {
		t.errors++
	}
	if v.fault != "" {
		t.wrong++
	}
	t.latencies.add(latency)
}

func (r *recorder) addError(code string, second int) {
	if r.errors[code] == nil {
		r.errors[code] = &seen{}
	}
	r.errors[code].in(second)
}

func (r *recorder) addWrong(s sample, second int) {
	w := r.wrong[s.verdict.fault]
	if w == nil {
		w = &wrongs{}
		r.wrong[s.verdict.fault] = w
	}
	w.in(second)
	if len(w.examples) < maxExamples {
		w.examples = append(w.examples, example{second, routePaths[s.route], s.user, s.reply.requestID, s.verdict.why})
	}
}

func (r *recorder) addLag(s sample) {
	lag := s.sent.Sub(s.due)
	r.lags.add(lag)
	if lag <= punctual {
		r.onTime++
	}
	r.simulator += s.preparing
}

// lap returns what happened since the last call, with two percentiles.
func (r *recorder) lap() (t tally, p50, p99 time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	t = r.interval
	p50, p99 = t.latencies.percentile(50), t.latencies.percentile(99)
	t.latencies.reset()
	r.interval = tally{latencies: t.latencies}
	return t, p50, p99
}
