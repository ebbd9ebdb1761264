package main

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"text/tabwriter"
)

// examples is how many faults of a claim are shown.
const examples = 5

// printTable writes a row for each fault.
func printTable(w io.Writer, ev evidence) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "fault\tlasted\t200\t4xx\t503\tnone\tslowest\trecovery\t")
	for _, r := range ev.results {
		s := ev.summarize(r)
		fmt.Fprintf(t, "%s\t%s\t%d\t%d\t%d\t%d\t%s\t%s\t\n", r.name, seconds(r.returned-r.began),
			s.count200, s.count4xx, s.count5xx, s.none, seconds(s.slowestTook), seconds(s.recovery))
	}
	t.Flush()
	if n := len(ev.stalls); n > 0 {
		sum := ev.stalled(0, ev.stalls[n-1].to)
		fmt.Fprintf(w, "The machine stood still %s in all (%d times), which is taken off.\n", seconds(sum), n)
	}
}

// printVerdicts writes a line for each claim, and examples of what speaks against it. It reports whether all hold.
func printVerdicts(w io.Writer, verdicts []verdict) bool {
	passed := true
	for _, v := range verdicts {
		if len(v.faults) == 0 && v.count > 0 {
			fmt.Fprintf(w, "ok: %s (%d)\n", v.claim, v.count)
			continue
		}
		passed = false
		fmt.Fprintf(w, "NOT ok: %s (%d of %d)\n", v.claim, len(v.faults), v.count)
		for _, fault := range v.faults[:min(len(v.faults), examples)] {
			fmt.Fprintf(w, "    %s\n", fault)
		}
	}
	return passed
}

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }
