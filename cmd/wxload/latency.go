package main

import (
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// longest is the highest latency that is told from higher ones.
const longest = 10 * time.Minute

// latencies are in buckets of a thousandth of their value, a microsecond at least: as much memory for any number of them.
type latencies struct {
	buckets *hdrhistogram.Histogram // microseconds
	max     time.Duration
}

func newLatencies() *latencies {
	return &latencies{buckets: hdrhistogram.New(1, longest.Microseconds(), 3)}
}

func (l *latencies) add(d time.Duration) {
	d = min(max(d, 0), longest)
	_ = l.buckets.RecordValue(d.Microseconds()) // fails for values out of range only
	l.max = max(l.max, d)
}

// percentile is what p percent do not exceed; 0 of none.
func (l *latencies) percentile(p float64) time.Duration {
	d := time.Duration(l.buckets.ValueAtQuantile(p)) * time.Microsecond
	return min(d, l.max) // a bucket reaches beyond what is in it
}

func (l *latencies) reset() {
	l.buckets.Reset()
	l.max = 0
}
