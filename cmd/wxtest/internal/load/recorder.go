package load

import (
	"sync"
	"time"

	"wxlogin/cmd/wxtest/internal/player"
	"wxlogin/cmd/wxtest/internal/report"
)

const (
	maxExamples = 5    // of each kind of wrong answer
	maxMoments  = 3600 // of a timeline: an hour of seconds; then pairs are joined

	// onTimeTolerance is by how much an action of an open loop may be late and count as on time.
	onTimeTolerance = 10 * time.Millisecond
)

// sample is one request and what came of it.
type sample struct {
	route     player.Route
	due       time.Time // in a closed loop, when it was sent
	sent      time.Time
	ended     time.Time
	preparing time.Duration // part of the time since due in which the phone waited for the simulator, not for the server
	requestID string
	verdict   player.Verdict
	user      string
}

// latency counts from when an action was due: a slow server makes later ones wait too, and that must show.
func (s sample) latency() time.Duration { return s.ended.Sub(s.due) - s.preparing }

// tally counts requests.
type tally struct {
	requests, errors, wrong int64
	latencies               *report.Histogram
}

func (t *tally) add(v player.Verdict, latency time.Duration) {
	t.requests++
	if v.Code != "" {
		t.errors++
	}
	if v.Wrong != "" {
		t.wrong++
	}
	t.latencies.Add(latency)
}

// seen is how often something happened, and in which seconds first and last.
type seen struct {
	Count       int64 `json:"count"`
	FirstSecond int   `json:"firstSecond"`
	LastSecond  int   `json:"lastSecond"`
}

func (s *seen) add(second int) {
	if s.Count == 0 {
		s.FirstSecond = second
	}
	s.Count++
	s.LastSecond = max(s.LastSecond, second)
}

// recorder counts what happens. It is safe for concurrent use, and its size does not grow with what it counts.
type recorder struct {
	mu        sync.Mutex
	from      time.Time // what was due before is not counted; zero: nothing is
	all       tally
	succeeded tally
	routes    [player.Routes]tally
	errors    map[string]*errorResult
	wrong     map[player.Wrong]*wrongResult

	timeline  *timeline
	lags      *report.Histogram // between due and sent
	tolerance time.Duration
	onTime    int64
	simulator time.Duration        // subtracted from latencies
	uncounted [player.Routes]int64 // before from
	interval  tally                // since the last line of progress
}

func newTally() tally { return tally{latencies: report.NewHistogram()} }

func newRecorder(tolerance time.Duration) *recorder {
	r := &recorder{
		all: newTally(), succeeded: newTally(), interval: newTally(), timeline: newTimeline(), lags: report.NewHistogram(), tolerance: tolerance,
		errors: map[string]*errorResult{}, wrong: map[player.Wrong]*wrongResult{},
	}
	for i := range r.routes {
		r.routes[i] = newTally()
	}
	return r
}

// begin sets the time from which requests are counted.
func (r *recorder) begin(from time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.from = from
}

// add counts a request. Wrong answers count whenever they come.
func (r *recorder) add(s sample) {
	r.mu.Lock()
	defer r.mu.Unlock()
	second := 0
	counted := !r.from.IsZero() && !s.due.Before(r.from)
	if counted {
		second = int(s.ended.Sub(r.from) / time.Second)
	}
	if s.verdict.Wrong != "" {
		r.addWrong(s, second)
	}
	if !counted {
		r.uncounted[s.route]++
		return
	}
	latency := s.latency()
	for _, t := range []*tally{&r.all, &r.routes[s.route], &r.interval} {
		t.add(s.verdict, latency)
	}
	switch {
	case s.verdict.OK():
		r.succeeded.add(s.verdict, latency)
	case s.verdict.Code != "":
		r.addError(s.verdict.Code, second, latency)
	}
	r.timeline.add(second, latency, s.verdict)
	lag := s.sent.Sub(s.due)
	r.lags.Add(lag)
	if lag <= r.tolerance {
		r.onTime++
	}
	r.simulator += s.preparing
}

func (r *recorder) addError(code string, second int, latency time.Duration) {
	e := r.errors[code]
	if e == nil {
		e = &errorResult{Code: code, latencies: report.NewHistogram()}
		r.errors[code] = e
	}
	e.seen.add(second)
	e.latencies.Add(latency)
}

func (r *recorder) addWrong(s sample, second int) {
	w := r.wrong[s.verdict.Wrong]
	if w == nil {
		w = &wrongResult{Kind: s.verdict.Wrong}
		r.wrong[s.verdict.Wrong] = w
	}
	w.seen.add(second)
	if len(w.Examples) < maxExamples {
		w.Examples = append(w.Examples, exampleResult{second, s.route.String(), s.user, s.requestID, s.verdict.Why})
	}
}

// nextInterval returns what happened since the last call, and begins another interval.
func (r *recorder) nextInterval() tally {
	r.mu.Lock()
	defer r.mu.Unlock()
	last := r.interval
	r.interval = newTally()
	return last
}

// timeline is how a run went, second by second.
type timeline struct {
	step    int // seconds of each moment
	moments []momentResult

	second    int // the present one
	present   momentResult
	latencies *report.Histogram // of the present second
}

func newTimeline() *timeline { return &timeline{step: 1, latencies: report.NewHistogram()} }

// add counts a response that came in a second. Seconds come in order, except for responses that overtake others by a moment.
func (t *timeline) add(second int, latency time.Duration, v player.Verdict) {
	if second > t.second {
		t.flush()
		t.second = second
	}
	one := momentResult{Requests: 1}
	if v.Code != "" {
		one.Errors = map[string]int64{v.Code: 1}
	}
	if v.Wrong != "" {
		one.Wrong = 1
	}
	t.present.join(one)
	t.latencies.Add(latency)
}

// flush joins the present second to its moment.
func (t *timeline) flush() {
	for t.second/t.step >= maxMoments {
		t.joinPairs()
	}
	i := t.second / t.step
	for len(t.moments) <= i {
		t.moments = append(t.moments, momentResult{})
	}
	t.present.P99 = t.latencies.Millis(99)
	t.moments[i].join(t.present)
	t.present = momentResult{}
	t.latencies.Reset()
}

func (t *timeline) joinPairs() {
	for i := range t.moments {
		if i%2 == 0 {
			t.moments[i/2] = t.moments[i]
		} else {
			t.moments[i/2].join(t.moments[i])
		}
	}
	t.moments = t.moments[:(len(t.moments)+1)/2]
	t.step *= 2
}

func (t *timeline) result() timelineResult {
	t.flush()
	res := timelineResult{StepSeconds: t.step, Moments: append([]momentResult{}, t.moments...)}
	for i := range res.Moments {
		res.Moments[i].Second = i * t.step
	}
	return res
}
