package main

import (
	"testing"
	"time"
)

func TestWaits_since(t *testing.T) {
	start := time.Now()
	at := func(seconds int) time.Time { return start.Add(time.Duration(seconds) * time.Second) }
	var w waits
	w.add(at(0), at(2))
	w.add(at(5), at(6))
	w.add(at(8), at(9))
	for _, test := range []struct{ from, want int }{{-1, 4}, {1, 3}, {3, 2}, {5, 2}, {9, 0}} {
		if got := w.since(at(test.from)); got != time.Duration(test.want)*time.Second {
			t.Errorf("since %d s: %v, want %d s", test.from, got, test.want)
		}
	}
}

func TestWaits_are_bounded(t *testing.T) {
	start := time.Now()
	var w waits
	for i := range 10 * maxWaits {
		w.add(start.Add(time.Duration(2*i)*time.Second), start.Add(time.Duration(2*i+1)*time.Second))
	}
	if got := w.since(start); len(w) > maxWaits || got != 10*maxWaits*time.Second {
		t.Errorf("%d waits of %v in all", len(w), got)
	}
}
