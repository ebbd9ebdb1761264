package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"text/tabwriter"
)

// comparison is what was measured of one kind of request.
type comparison struct {
	Kind    string  `json:"kind"`
	WXLogin []round `json:"wxlogin"`
	Bare    []round `json:"bare,omitempty"`
}

// compare measures all kinds on both servers in turns, and prints a table.
func (w *world) compare(ctx context.Context, stdout io.Writer) error {
	if err := w.prepare(ctx); err != nil {
		return err
	}
	stopProfile, countGoroutines := w.startProfile(ctx), w.countGoroutines(ctx)
	var results []comparison
	for _, k := range w.kinds {
		result, err := w.compareKind(ctx, k)
		if err != nil {
			return err
		}
		results = append(results, result)
	}
	w.goroutines = countGoroutines()
	if err := stopProfile(); err != nil {
		return err
	}
	if err := w.writeJSON(results); err != nil {
		return err
	}
	return w.print(stdout, results)
}

// prepare begins the sessions that the kinds need, and warms both servers up.
func (w *world) prepare(ctx context.Context) error {
	if err := w.addSessions(ctx); err != nil {
		return err
	}
	return w.logIn(ctx)
}

func (w *world) compareKind(ctx context.Context, k kind) (comparison, error) {
	result := comparison{Kind: k.String()}
	if k == capped {
		if err := w.fillIndexes(ctx); err != nil {
			return comparison{}, err
		}
	}
	for n := range w.rounds + 1 {
		for _, p := range w.servers() {
			r, err := w.measure(ctx, k, p)
			if err != nil {
				return comparison{}, err
			}
			if n == 0 {
				continue // both have made their connections and statements now
			}
			if p == w.ours {
				result.WXLogin = append(result.WXLogin, r)
			} else {
				result.Bare = append(result.Bare, r)
			}
		}
	}
	w.remark("%s: done", k)
	return result, nil
}

func (w *world) writeJSON(results []comparison) error {
	if w.json == "" {
		return nil
	}
	text, err := json.MarshalIndent(results, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(w.json, append(text, '\n'), 0o644)
}

func (w *world) print(out io.Writer, results []comparison) error {
	fmt.Fprintf(out, "%d connections, %d rounds of %d requests, %d users, WeChat takes %v\n",
		w.connections, w.rounds, w.config.requests, w.users, w.latency)
	_, peak, err := residentMiB(w.ours.cmd.Process.Pid)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "wxlogin: %.1f MB on disk, ready after %d ms, %.1f MiB at rest, %.1f MiB at most, %.0f goroutines at most\n",
		w.idle.megabytes, w.ours.started.Milliseconds(), w.idle.resident, peak, w.goroutines)
	fmt.Fprintf(out, "WeChat: %d connections for %d calls\n\n", w.weChat.connections.Load(), w.weChat.sim.Calls())
	table := newTable(out, "\t")
	for _, r := range results {
		row(table, r.Kind+"\twxlogin", medians(r.WXLogin), "")
		if len(r.Bare) > 0 {
			row(table, "\tbare", medians(r.Bare), "")
			row(table, "\tratio", ratios(r.WXLogin, r.Bare), "%.2f")
		}
	}
	return table.Flush()
}

// newTable begins a table of rounds. head is what stands above the beginnings of its rows.
func newTable(out io.Writer, head string) *tabwriter.Writer {
	table := tabwriter.NewWriter(out, 0, 8, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(table, head, "\t")
	for _, c := range columns {
		fmt.Fprint(table, c.name, "\t")
	}
	fmt.Fprintln(table)
	return table
}

// row adds a round to a table, in a format of its own or, where that is empty, each figure in its column's.
func row(out io.Writer, begin string, r round, format string) {
	fmt.Fprint(out, begin, "\t")
	for _, c := range columns {
		fmt.Fprintf(out, cmp.Or(format, c.format)+"\t", *c.of(&r))
	}
	fmt.Fprintln(out)
}
