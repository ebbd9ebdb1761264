package main

import (
	"strings"
	"testing"
)

func TestPrintTable_has_a_row_for_each_fault(t *testing.T) {
	var out strings.Builder
	ev := sound(t)
	ev.stalls = []span{{50 * second, 51 * second}}
	printTable(&out, ev)
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	want := []string{
		"fault lasted 200 4xx 503 none slowest recovery",
		"mysql 4.000 s 0 0 1 20 1.000 s 0.000 s",
		"redis 1.000 s 0 0 0 20 0.100 s 0.000 s",
		"stop 1.000 s 3 0 0 21 0.400 s 0.000 s",
		"The machine stood still 1.000 s in all (1 times), which is taken off.",
	}
	if len(lines) != len(want) {
		t.Fatal(out.String())
	}
	for i := range want {
		if got := strings.Join(strings.Fields(lines[i]), " "); got != want[i] {
			t.Errorf("%q, want %q", got, want[i])
		}
	}
}

func TestPrintVerdicts(t *testing.T) {
	many := make([]string, examples+3)
	tests := map[string]struct {
		verdict verdict
		passed  bool
		lines   int
		begins  string
	}{
		"that_holds":         {verdict{claim: "c", count: 3}, true, 1, "ok: c (3)"},
		"of_nothing":         {verdict{claim: "c"}, false, 1, "NOT ok: c (0 of 0)"},
		"that_does_not_hold": {verdict{claim: "c", count: 3, faults: []string{"f"}}, false, 2, "NOT ok: c (1 of 3)\n    f"},
		"with_many_faults":   {verdict{claim: "c", count: 9, faults: many}, false, 1 + examples, "NOT ok: c (8 of 9)"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var out strings.Builder
			passed := printVerdicts(&out, []verdict{test.verdict})
			lines := strings.Count(out.String(), "\n")
			if passed != test.passed || lines != test.lines || !strings.HasPrefix(out.String(), test.begins) {
				t.Errorf("%v: %q", passed, out.String())
			}
		})
	}
}
