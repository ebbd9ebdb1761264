package main

import (
	"fmt"
	"io"
	"text/tabwriter"
)

func printMeasurement(w io.Writer, m measurement) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "answers\tcount\ta second\tp50\tp99\tslowest\t")
	row := func(name string, o outcomes, status int) {
		d := o.of(status)
		fmt.Fprintf(t, "%s\t%d\t%.1f\t%s\t%s\t%s\t\n", name, len(d), o.rate(status),
			milliseconds(d.percentile(50)), milliseconds(d.percentile(99)), milliseconds(d.percentile(100)))
	}
	row("unloaded, 200", m.unloaded, 200)
	row("sustained, 200", m.sustained, 200)
	row("overload, accepted 200", m.overload, 200)
	row("overload, refused 503", m.overload, 503)
	for _, status := range sortedKeys(m.overload.byStatus) {
		if status != 200 && status != 503 {
			row("overload, other: "+statusName(status), m.overload, status)
		}
	}
	row("updates, 200", m.updates, 200)
	t.Flush()
	g := m.generator
	fmt.Fprintf(w, "generator: %d logins due, %d sent in %.1f s (%.0f a second), %d of them more than %s late (at most %s)\n",
		g.due, g.sent, g.took.Seconds(), float64(g.sent)/g.took.Seconds(), g.late, milliseconds(lateness), milliseconds(g.latest))
	fmt.Fprintf(w, "RSS of the server in MiB, %d samples:", len(m.memory))
	for _, kib := range m.memory {
		fmt.Fprintf(w, " %.0f", float64(kib)/1024)
	}
	fmt.Fprintln(w)
}
