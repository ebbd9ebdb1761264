package main

import (
	"os"
	"runtime"
	"testing"
	"time"
)

func TestMedians_are_of_each_figure(t *testing.T) {
	m := medians([]round{{CPU: 3, P50: 1}, {CPU: 1, P50: 3}, {CPU: 2, P50: 2}})
	if m.CPU != 2 || m.P50 != 2 {
		t.Errorf("%+v", m)
	}
	if m := medians([]round{{CPU: 1}, {CPU: 2}}); m.CPU != 1.5 {
		t.Errorf("%+v", m)
	}
}

// A machine that is busy for a while disturbs both rounds of a pair, and their ratio stays.
func TestRatios_are_of_pairs(t *testing.T) {
	ours := []round{{CPU: 110}, {CPU: 220}, {CPU: 1100}}
	bare := []round{{CPU: 100}, {CPU: 200}, {CPU: 1000}}
	if m := ratios(ours, bare); m.CPU < 1.09 || m.CPU > 1.11 || m.Commands != 0 {
		t.Errorf("%+v", m)
	}
}

func TestProc_tells_of_this_process(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("there is /proc on Linux alone")
	}
	before, err := cpuTime(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	for begin, now := time.Now(), before; now-before < 2*clockTick; {
		if now, err = cpuTime(os.Getpid()); err != nil || time.Since(begin) > time.Minute {
			t.Fatalf("%v after %v: %v", now-before, time.Since(begin), err)
		}
	}
	now, peak, err := residentMiB(os.Getpid())
	if err != nil || now < 1 || peak < now {
		t.Errorf("%.1f MiB, %.1f at most: %v", now, peak, err)
	}
	if _, err := cpuTime(0); err == nil {
		t.Error("there is a process 0")
	}
}

func TestFigure(t *testing.T) {
	info := "# Stats\r\ntotal_commands_processed:1234\r\nused_cpu_user:1.5\r\n"
	if figure(info, "total_commands_processed") != 1234 || figure(info, "used_cpu_user") != 1.5 || figure(info, "used_cpu") != 0 {
		t.Error("INFO is read wrongly")
	}
}
