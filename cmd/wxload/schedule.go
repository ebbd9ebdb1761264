package main

import (
	"context"
	"math"
	"sync/atomic"
	"time"
)

// schedule says when actions are due. In an open loop that is at a steady rate, whatever becomes of them: a phone that is
// free takes the oldest that nobody has taken. In a closed loop (rate 0) it is whenever a phone is free.
type schedule struct {
	rate       float64
	start, end time.Time
	taken      atomic.Int64
}

// take gives the time at which the next action is due: in a closed loop, now. It reports false when the run is over.
func (s *schedule) take() (due time.Time, ok bool) {
	due = time.Now()
	if s.rate > 0 && due.Before(s.end) { // what is overdue at the end stays unsent
		due = s.due(s.taken.Add(1) - 1)
	}
	return due, due.Before(s.end)
}

// due is when the action of a number, counted from 0, is due.
func (s *schedule) due(number int64) time.Time {
	return s.start.Add(time.Duration(float64(number) / s.rate * float64(time.Second)))
}

// between counts the actions that are due from one time until before another one.
func (s *schedule) between(from, to time.Time) int64 {
	if s.rate == 0 {
		return 0
	}
	return max(0, s.before(to)-s.before(from))
}

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

// sleepUntil waits for a time and reports true; or false, where ctx ends first.
func sleepUntil(ctx context.Context, t time.Time) bool {
	wait := time.Until(t)
	if wait <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
