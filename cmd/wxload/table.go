package main

import (
	"fmt"
	"io"
	"strconv"
	"text/tabwriter"
	"time"
)

// printTable writes a result for people.
func printTable(w io.Writer, r result) {
	s := r.Settings
	loop := "closed loop"
	if s.Rate > 0 {
		loop = fmt.Sprintf("open loop of %v actions a second", s.Rate)
	}
	fmt.Fprintf(w, "%d phones, %d users, %s, seed %d\nmix %s\n", s.Phones, s.Users, loop, s.Seed, s.Mix)
	early := ""
	if r.EndedEarly {
		early = " (ended early)"
	}
	fmt.Fprintf(w, "%.1f s%s: %d requests, %.1f/s, %d errors (%.3f%%), %d wrong answers\n\n",
		r.Seconds, early, r.All.Requests, r.All.PerSecond, r.All.Errors, 100*r.ErrorShare, r.wrong())
	printRoutes(w, r)
	printErrors(w, r.Errors)
	printWrong(w, r.WrongAnswers)
	printSchedule(w, r)
	if r.Simulator.Failures > 0 {
		fmt.Fprintf(w, "\nThe simulator failed %d of %d times.\n", r.Simulator.Failures, r.Simulator.Requests)
	}
}

func newTable(w io.Writer) *tabwriter.Writer {
	return tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
}

func printRoutes(w io.Writer, r result) {
	t := newTable(w)
	fmt.Fprintln(t, "latency in ms\trequests\t/s\terrors\twrong\tp50\tp90\tp99\tp99.9\tmax\t")
	for _, one := range append([]routeResult{r.All}, r.Routes...) {
		fmt.Fprintf(t, "%s\t%d\t%.1f\t%d\t%d\t%.2f\t%.2f\t%.2f\t%.2f\t%.2f\t\n", one.Route, one.Requests, one.PerSecond,
			one.Errors, one.Wrong, one.P50, one.P90, one.P99, one.P999, one.Max)
	}
	t.Flush()
}

func printErrors(w io.Writer, errors []errorResult) {
	if len(errors) == 0 {
		return
	}
	fmt.Fprintln(w)
	t := newTable(w)
	fmt.Fprintln(t, "errors\tcount\tfirst at\tlast at\t")
	for _, e := range errors {
		fmt.Fprintf(t, "%s\t%d\t%d s\t%d s\t\n", e.Code, e.Count, e.FirstSecond, e.LastSecond)
	}
	t.Flush()
}

func printWrong(w io.Writer, wrong []wrongResult) {
	for _, one := range wrong {
		fmt.Fprintf(w, "\nWRONG ANSWERS: %s, %d times, first at %d s, last at %d s\n", one.Kind, one.Count, one.FirstSecond, one.LastSecond)
		for _, e := range one.Examples {
			fmt.Fprintf(w, "    %s of %s at %d s, request %s: %s\n", e.Route, e.User, e.Second, e.RequestID, e.Why)
		}
	}
}

func printSchedule(w io.Writer, r result) {
	s := r.Schedule
	if s == nil {
		return
	}
	fmt.Fprintf(w, "\nschedule: %d due, %d sent, %d within %d ms, %d not sent; behind by p50 %.2f ms, p99 %.2f ms, max %.2f ms\n",
		s.Due, s.Sent, s.OnTime, punctual.Milliseconds(), s.Unsent, s.LagP50, s.LagP99, s.LagMax)
	if s.WaitedForSimulator > 0 {
		fmt.Fprintf(w, "%.0f ms of waiting for the simulator are not in the latencies\n", s.WaitedForSimulator)
	}
}

// ms is a time in milliseconds, for a line of progress.
func ms(d time.Duration) string { return strconv.FormatFloat(millis(d), 'f', 1, 64) }
