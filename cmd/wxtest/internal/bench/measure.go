package bench

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"text/tabwriter"
	"time"

	"wxlogin/cmd/wxtest/internal/process"
	"wxlogin/cmd/wxtest/internal/report"
)

// round is what one round cost, or the medians of several. All but the first three are of one request.
type round struct {
	PerSecond  float64 `json:"perSecond"`
	P50        float64 `json:"p50Ms"`
	P99        float64 `json:"p99Ms"`
	CPU        float64 `json:"cpuUs"`
	MySQLCPU   float64 `json:"mysqlCpuUs"`
	RedisCPU   float64 `json:"redisCpuUs"`
	Mallocs    float64 `json:"allocations"`
	Bytes      float64 `json:"allocatedBytes"`
	Statements float64 `json:"statements"`
	Commands   float64 `json:"redisCommands"`
}

// columns are the figures of a round, in the table's order.
var columns = []struct {
	name   string
	format string
	of     func(*round) *float64
}{
	{"req/s", "%.0f", func(r *round) *float64 { return &r.PerSecond }},
	{"p50 ms", "%.2f", func(r *round) *float64 { return &r.P50 }},
	{"p99 ms", "%.2f", func(r *round) *float64 { return &r.P99 }},
	{"CPU µs", "%.1f", func(r *round) *float64 { return &r.CPU }},
	{"MySQL µs", "%.1f", func(r *round) *float64 { return &r.MySQLCPU }},
	{"Redis µs", "%.1f", func(r *round) *float64 { return &r.RedisCPU }},
	{"allocs", "%.0f", func(r *round) *float64 { return &r.Mallocs }},
	{"bytes", "%.0f", func(r *round) *float64 { return &r.Bytes }},
	{"SQL", "%.2f", func(r *round) *float64 { return &r.Statements }},
	{"Redis cmds", "%.2f", func(r *round) *float64 { return &r.Commands }},
}

// newTable begins a table of rounds. head is above the beginnings of its rows.
func newTable(out io.Writer, head string) *tabwriter.Writer {
	table := report.Table(out)
	fmt.Fprint(table, head, "\t")
	for _, c := range columns {
		fmt.Fprint(table, c.name, "\t")
	}
	fmt.Fprintln(table)
	return table
}

// printRow adds a round to a table, in one format or, if that is empty, each figure in its column's.
func printRow(out io.Writer, begin string, r round, format string) {
	fmt.Fprint(out, begin, "\t")
	for _, c := range columns {
		fmt.Fprintf(out, cmp.Or(format, c.format)+"\t", *c.of(&r))
	}
	fmt.Fprintln(out)
}

// medians returns the median of each figure.
func medians(rounds []round) (m round) {
	for _, c := range columns {
		values := make([]float64, len(rounds))
		for i := range rounds {
			values[i] = *c.of(&rounds[i])
		}
		slices.Sort(values)
		n := len(values)
		*c.of(&m) = (values[(n-1)/2] + values[n/2]) / 2
	}
	return m
}

// ratios returns the median of the ratios of each pair of rounds.
func ratios(server, baseline []round) round {
	pairs := make([]round, len(server))
	for i := range server {
		for _, c := range columns {
			if other := *c.of(&baseline[i]); other != 0 {
				*c.of(&pairs[i]) = *c.of(&server[i]) / other
			}
		}
	}
	return medians(pairs)
}

// used returns what has been used until now, in the fields of a round that are of one request.
func (e *env) used(ctx context.Context, s *process.Server) (r round, err error) {
	heap, err := process.Metrics(ctx, http.DefaultTransport, "http://"+s.Internal, "go_memstats_mallocs_total", "go_memstats_alloc_bytes_total")
	if err != nil {
		return round{}, err
	}
	r.Mallocs, r.Bytes = heap[0], heap[1]
	if err := e.storage.used(ctx, &r); err != nil {
		return round{}, err
	}
	cpu, err := process.CPU(s.PID())
	r.CPU = micros(cpu)
	return r, err
}

func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

// measure does one round of a kind on a server.
func (e *env) measure(ctx context.Context, k kind, s *process.Server) (round, error) {
	addr, requests := e.makeRequests(k, s)
	before, err := e.used(ctx, s)
	if err != nil {
		return round{}, err
	}
	begun := time.Now()
	took, err := connections{e.connections, e.pause}.drive(ctx, addr, requests, nil)
	if err != nil {
		return round{}, fmt.Errorf("%s, %s: %w", s.Name, k, err)
	}
	lasted := time.Since(begun)
	r, err := e.used(ctx, s)
	if err != nil {
		return round{}, err
	}
	latencies, n := report.NewHistogram(), float64(len(requests))
	for _, d := range took {
		latencies.Add(d)
	}
	for _, c := range columns {
		*c.of(&r) = (*c.of(&r) - *c.of(&before)) / n
	}
	r.PerSecond, r.P50, r.P99 = n/lasted.Seconds(), latencies.Millis(50), latencies.Millis(99)
	return r, nil
}

// profileSeconds is how long a CPU profile is taken.
const profileSeconds = 15

// saveProfile takes a CPU profile of wxlogin if one is wanted.
func (e *env) saveProfile(ctx context.Context) error {
	if e.profile == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, 2*profileSeconds*time.Second)
	defer cancel()
	url := fmt.Sprintf("http://%s/debug/pprof/profile?seconds=%d", e.server.Internal, profileSeconds)
	text, err := process.Get(ctx, http.DefaultTransport, url, e.key)
	if err != nil {
		return fmt.Errorf("the profile: %w", err)
	}
	return os.WriteFile(e.profile, text, 0o644)
}

// countEvery is how often wxlogin's goroutines are counted: rarely, because counting costs CPU too.
const countEvery = 500 * time.Millisecond

// countGoroutines counts wxlogin's goroutines until ctx ends.
func (e *env) countGoroutines(ctx context.Context) {
	for process.Sleep(ctx, countEvery) {
		if values, err := process.Metrics(ctx, http.DefaultTransport, "http://"+e.server.Internal, "go_goroutines"); err == nil {
			e.goroutines = max(e.goroutines, values[0])
		}
	}
}
