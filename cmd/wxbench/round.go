package main

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// round is what one round has cost, or the medians over some of them. All but the first three are of one request.
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

// snapshot is what has been used until a moment.
type snapshot struct {
	work
	cpu            time.Duration
	mallocs, bytes float64
}

func (w *world) snapshot(ctx context.Context, p *process) (s snapshot, err error) {
	heap, err := w.figures(ctx, p, "go_memstats_mallocs_total", "go_memstats_alloc_bytes_total")
	if err != nil {
		return snapshot{}, err
	}
	s.mallocs, s.bytes = heap[0], heap[1]
	if s.work, err = w.storage.done(ctx); err != nil {
		return snapshot{}, err
	}
	s.cpu, err = cpuTime(p.cmd.Process.Pid)
	return s, err
}

// figures asks a server for some of its metrics. One that it does not have is 0.
func (w *world) figures(ctx context.Context, p *process, names ...string) ([]float64, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+p.internal+"/metrics", nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	values := make([]float64, len(names))
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), " ")
		i := slices.Index(names, name)
		if i < 0 {
			continue
		}
		if values[i], err = strconv.ParseFloat(value, 64); err != nil {
			return nil, err
		}
	}
	return values, lines.Err()
}

// measure does one round of a kind on a server.
func (w *world) measure(ctx context.Context, k kind, p *process) (round, error) {
	addr, requests := w.make(k, p)
	before, err := w.snapshot(ctx, p)
	if err != nil {
		return round{}, err
	}
	begin := time.Now()
	took, err := phones{w.connections, w.pause}.drive(ctx, addr, requests, nil)
	if err != nil {
		return round{}, fmt.Errorf("%s, %s: %w", p.name, k, err)
	}
	lasted := time.Since(begin)
	after, err := w.snapshot(ctx, p)
	if err != nil {
		return round{}, err
	}
	slices.Sort(took)
	n := float64(len(requests))
	micros := func(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e3 / n }
	return round{
		PerSecond: n / lasted.Seconds(),
		P50:       quantile(took, .5).Seconds() * 1e3, P99: quantile(took, .99).Seconds() * 1e3,
		CPU: micros(after.cpu - before.cpu), MySQLCPU: micros(after.mysql - before.mysql), RedisCPU: micros(after.redis - before.redis),
		Mallocs: (after.mallocs - before.mallocs) / n, Bytes: (after.bytes - before.bytes) / n,
		Statements: float64(after.statements-before.statements) / n, Commands: float64(after.commands-before.commands) / n,
	}, nil
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

// medians is the median of each figure.
func medians(rounds []round) (m round) {
	for _, c := range columns {
		values := make([]float64, len(rounds))
		for i := range rounds {
			values[i] = *c.of(&rounds[i])
		}
		*c.of(&m) = median(values)
	}
	return m
}

// ratios is the median of the ratios of each pair of rounds.
func ratios(ours, bare []round) (m round) {
	pairs := make([]round, len(ours))
	for i := range ours {
		for _, c := range columns {
			if other := *c.of(&bare[i]); other != 0 {
				*c.of(&pairs[i]) = *c.of(&ours[i]) / other
			}
		}
	}
	return medians(pairs)
}

func median(values []float64) float64 {
	slices.Sort(values)
	middle := len(values) / 2
	if len(values)%2 == 1 {
		return values[middle]
	}
	return (values[middle-1] + values[middle]) / 2
}
