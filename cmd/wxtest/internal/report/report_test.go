package report

import (
	"errors"
	"strings"
	"testing"
	"time"

	"wxlogin/cmd/wxtest/internal/cli"
)

func TestHistogram_Percentile(t *testing.T) {
	h := NewHistogram()
	if h.Percentile(99) != 0 || h.Max() != 0 {
		t.Error("an empty histogram has percentiles")
	}
	for i := range 200 {
		h.Add(time.Duration(200-i) * time.Microsecond)
	}
	for p, want := range map[float64]time.Duration{0: 1, 0.5: 1, 1: 2, 50: 100, 99: 198, 100: 200} {
		if got := h.Percentile(p); got != want*time.Microsecond {
			t.Errorf("p%v is %v, want %d µs", p, got, want)
		}
	}
	if h.Max() != 200*time.Microsecond {
		t.Errorf("at most %v", h.Max())
	}
	if h.Reset(); h.Percentile(50) != 0 || h.Max() != 0 {
		t.Error("not empty after Reset")
	}
}

func TestPrintChecks(t *testing.T) {
	for name, test := range map[string]struct {
		check  Check
		passed bool
		lines  int
		begins string
	}{
		"that_holds":         {Check{Claim: "c", Count: 3}, true, 1, "ok: c (3)"},
		"of_nothing":         {Check{Claim: "c"}, false, 1, "NOT ok: c (0 of 0)"},
		"that_does_not_hold": {Check{Claim: "c", Count: 3, Failures: []string{"f"}}, false, 2, "NOT ok: c (1 of 3)\n    f"},
		"with_many_failures": {
			Check{Claim: "c", Count: 9, Failures: make([]string, MaxExamples+3)}, false, 1 + MaxExamples, "NOT ok: c (8 of 9)",
		},
	} {
		t.Run(name, func(t *testing.T) {
			var out strings.Builder
			passed := PrintChecks(&out, []Check{test.check})
			lines := strings.Count(out.String(), "\n")
			if passed != test.passed || lines != test.lines || !strings.HasPrefix(out.String(), test.begins) {
				t.Errorf("%v: %q", passed, out.String())
			}
			err := Conclude(&out, []Check{test.check}, time.Now())
			word := map[bool]string{true: "PASSED in", false: "FAILED in"}[passed]
			if (err == nil) != passed || err != nil && !errors.Is(err, cli.ErrFailed) || !strings.Contains(out.String(), word) {
				t.Errorf("%v: %q", err, out.String())
			}
		})
	}
}
