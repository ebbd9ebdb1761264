package main

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"
)

func times(n int, d time.Duration) (all durations) {
	for range n {
		all = append(all, d)
	}
	return all
}

// soundMeasurement is one that nothing can be said against.
func soundMeasurement() measurement {
	ms := time.Millisecond
	return measurement{
		unloaded:  outcomes{byStatus: map[int]durations{200: times(100, 60*ms)}, took: time.Second},
		sustained: outcomes{byStatus: map[int]durations{200: times(100, 60*ms)}, took: time.Second},
		overload:  outcomes{byStatus: map[int]durations{200: times(100, 400*ms), 503: times(200, 5*ms)}, took: time.Second},
		updates:   outcomes{byStatus: map[int]durations{200: times(10, 5*ms)}, took: time.Second},
		generator: generator{due: 300, sent: 300, late: 3, latest: 30 * ms, took: time.Second},
		memory:    []int{10, 30, 40, 41, 42, 43, 43, 44, 45},
	}
}

func TestMeasurement_passes(t *testing.T) {
	var out strings.Builder
	m := soundMeasurement()
	printMeasurement(&out, m)
	if !printVerdicts(&out, m.verdicts()) {
		t.Error(out.String())
	}
	for _, want := range []string{"overload, refused 503    200     200.0", "(300 a second)"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("there is no %q in:\n%s", want, out.String())
		}
	}
}

func TestMeasurement_fails(t *testing.T) {
	tests := map[string]func(*measurement){
		"where_logins_were_left_out": func(m *measurement) { m.generator.sent = 280 },
		"where_logins_were_late":     func(m *measurement) { m.generator.late = 20 },
		"where_nothing_was_sent":     func(m *measurement) { m.generator = generator{} },
		"by_slow_logins": func(m *measurement) {
			m.overload.byStatus[200][50], m.overload.byStatus[200][51] = time.Second, time.Second
		},
		"without_a_refusal":            func(m *measurement) { delete(m.overload.byStatus, 503) },
		"without_an_accepted_login":    func(m *measurement) { delete(m.overload.byStatus, 200) },
		"by_a_refusal_that_is_no_503":  func(m *measurement) { m.overload.add(429, time.Millisecond, true) },
		"by_a_login_without_an_answer": func(m *measurement) { m.overload.add(0, time.Millisecond, false) },
		"by_an_improper_503":           func(m *measurement) { m.overload.add(503, time.Millisecond, false) },
		"by_an_update":                 func(m *measurement) { m.updates.add(503, time.Millisecond, true) },
		"by_memory_that_grows":         func(m *measurement) { m.memory[7] = 48 },
		"without_samples_of_memory":    func(m *measurement) { m.memory = m.memory[:2] },
	}
	for name, spoil := range tests {
		t.Run(name, func(t *testing.T) {
			m := soundMeasurement()
			spoil(&m)
			if printVerdicts(&strings.Builder{}, m.verdicts()) {
				t.Error("it passes")
			}
		})
	}
}

func TestDurations_percentile(t *testing.T) {
	var d durations
	for i := range 200 {
		d = append(d, time.Duration(200-i))
	}
	for p, want := range map[int]time.Duration{0: 1, 1: 2, 50: 100, 99: 198, 100: 200} {
		if got := d.percentile(p); got != want {
			t.Errorf("p%d is %d, want %d", p, got, want)
		}
	}
	if got := durations(nil).percentile(99); got != 0 {
		t.Errorf("of none it is %d", got)
	}
}

// A worker is always free here, so that each shot is fired, in order and never before it is due.
func TestFire_keeps_to_the_rate(t *testing.T) {
	shots, early := make(chan shot, 100), 0
	codes := strings.Split(strings.Repeat("c,", 49)+"c", ",")
	start := time.Now()
	kept := fire(t.Context(), codes, 1000, start, shots)
	close(shots)
	if kept.due != 50 || kept.sent != 50 || kept.took < 49*time.Millisecond {
		t.Errorf("%+v", kept)
	}
	for s := range shots {
		if s.due.Before(start) {
			early++
		}
	}
	if early > 0 {
		t.Errorf("%d were due before the start", early)
	}
}

func TestFire_counts_what_no_worker_took(t *testing.T) {
	shots := make(chan shot, 3)
	if kept := fire(t.Context(), make([]string, 10), 10_000, time.Now(), shots); kept.sent != 3 || kept.held() > 0.3 {
		t.Errorf("%+v", kept)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if kept := fire(ctx, make([]string, 10), 10_000, time.Now(), shots); kept.sent != 0 {
		t.Errorf("after the end: %+v", kept)
	}
}

func TestResidentMemory(t *testing.T) {
	if !supported {
		t.Skip("for Linux")
	}
	if kib := residentMemory(os.Getpid()); kib < 1024 {
		t.Errorf("%d KiB", kib)
	}
	if kib := residentMemory(-1); kib != 0 {
		t.Errorf("of nobody: %d KiB", kib)
	}
}
