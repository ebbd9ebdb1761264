package main

import "time"

// maxMoments is how many a timeline has at most: an hour by the second. From then on two and two are joined.
const maxMoments = 3600

// moment is what came in during one step of a timeline.
type moment struct {
	requests, wrong int64
	errors          map[string]int64 // by code
	p99             time.Duration    // of a second; of joined ones the greatest
}

func (m *moment) join(other moment) {
	m.requests += other.requests
	m.wrong += other.wrong
	m.p99 = max(m.p99, other.p99)
	for code, n := range other.errors {
		m.countError(code, n)
	}
}

func (m *moment) countError(code string, n int64) {
	if m.errors == nil {
		m.errors = map[string]int64{}
	}
	m.errors[code] += n
}

// timeline is how a run went, second by second.
type timeline struct {
	step    int // seconds in each moment
	moments []moment

	second    int // the present one
	present   moment
	latencies *latencies // of the present one
}

func newTimeline() *timeline { return &timeline{step: 1, latencies: newLatencies()} }

// add counts an answer that came in a second. Seconds come in order, but for what overtakes by a moment.
func (t *timeline) add(second int, latency time.Duration, v verdict) {
	if second > t.second {
		t.close()
		t.second = second
	}
	t.latencies.add(latency)
	t.present.requests++
	if v.code != "" {
		t.present.countError(v.code, 1)
	}
	if v.fault != "" {
		t.present.wrong++
	}
}

// close joins the present second to its moment.
func (t *timeline) close() {
	for t.second/t.step >= maxMoments {
		t.halve()
	}
	i := t.second / t.step
	for len(t.moments) <= i {
		t.moments = append(t.moments, moment{})
	}
	t.present.p99 = t.latencies.percentile(99)
	t.moments[i].join(t.present)
	t.present = moment{}
	t.latencies.reset()
}

// halve joins two and two moments.
func (t *timeline) halve() {
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
