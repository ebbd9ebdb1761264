package main

import (
	"maps"
	"testing"
	"time"
)

func TestTimeline_counts_by_the_second(t *testing.T) {
	l := newTimeline()
	l.add(0, time.Millisecond, verdict{})
	l.add(0, 3*time.Millisecond, verdict{code: cut})
	l.add(2, 5*time.Millisecond, verdict{fault: newTwice})
	l.add(1, 7*time.Millisecond, verdict{}) // overtaken by the one before
	got := l.result()
	if got.StepSeconds != 1 || len(got.Moments) != 3 {
		t.Fatalf("%+v", got)
	}
	for i, want := range []momentResult{
		{Second: 0, Requests: 2, Errors: map[string]int64{cut: 1}, P99: 3}, {Second: 1}, {Second: 2, Requests: 2, Wrong: 1, P99: 7},
	} {
		m := got.Moments[i]
		if m.Second != want.Second || m.Requests != want.Requests || m.Wrong != want.Wrong || m.P99 != want.P99 || !maps.Equal(m.Errors, want.Errors) {
			t.Errorf("%+v, want %+v", m, want)
		}
	}
}

// Memory is bounded whatever the duration.
func TestTimeline_joins_seconds_of_a_long_run(t *testing.T) {
	const seconds = 5*maxMoments + 1
	l := newTimeline()
	for second := range seconds {
		v := verdict{}
		if second%2 == 0 {
			v.code = refused
		}
		l.add(second, time.Duration(second)*time.Microsecond, v)
	}
	got := l.result()
	if got.StepSeconds != 8 || len(got.Moments) > maxMoments || cap(l.moments) > 2*maxMoments {
		t.Fatalf("steps of %d s, %d moments", got.StepSeconds, len(got.Moments))
	}
	var requests, errors int64
	for i, m := range got.Moments {
		requests, errors = requests+m.Requests, errors+m.Errors[refused]
		if m.Second != 8*i {
			t.Fatalf("moment %d is at %d s", i, m.Second)
		}
	}
	if requests != seconds || errors != (seconds+1)/2 {
		t.Errorf("%d requests, %d errors", requests, errors)
	}
	if got := got.Moments[1].P99; got != 0.015 {
		t.Errorf("p99 of the seconds 8 to 15 is %v ms, not the greatest of theirs", got)
	}
}
