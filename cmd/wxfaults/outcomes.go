package main

import (
	"slices"
	"time"
)

// durations are how long answers took.
type durations []time.Duration

// percentile is the smallest that p percent do not exceed, 0 of none. It sorts.
func (d durations) percentile(p int) time.Duration {
	if len(d) == 0 {
		return 0
	}
	slices.Sort(d)
	return d[max(0, (len(d)*p+99)/100-1)]
}

// outcomes are the answers to a series of requests.
type outcomes struct {
	byStatus map[int]durations // 0: no answer
	improper int               // answers 503 that are no proper refusal
	took     time.Duration     // the whole series
}

func (o *outcomes) add(status int, d time.Duration, proper bool) {
	if o.byStatus == nil {
		o.byStatus = map[int]durations{}
	}
	o.byStatus[status] = append(o.byStatus[status], d)
	if status == 503 && !proper {
		o.improper++
	}
}

// join takes over what another worker saw.
func (o *outcomes) join(other outcomes) {
	if o.byStatus == nil {
		o.byStatus = map[int]durations{}
	}
	for status, d := range other.byStatus {
		o.byStatus[status] = append(o.byStatus[status], d...)
	}
	o.improper += other.improper
}

func (o outcomes) of(status int) durations { return o.byStatus[status] }

func (o outcomes) count() (n int) {
	for _, d := range o.byStatus {
		n += len(d)
	}
	return n
}

// rate is how many answers of a status came in a second.
func (o outcomes) rate(status int) float64 {
	if o.took <= 0 {
		return 0
	}
	return float64(len(o.of(status))) / o.took.Seconds()
}
