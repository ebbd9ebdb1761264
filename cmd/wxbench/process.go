package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

const (
	startTimeout = 20 * time.Second
	startPoll    = 2 * time.Millisecond

	// clockTick is the unit of /proc/PID/stat: Linux shows it as 1/100 s to programs on all its architectures.
	clockTick = 10 * time.Millisecond
)

// process is a server under measurement.
type process struct {
	name     string
	cmd      *exec.Cmd
	public   string // address
	internal string // address
	started  time.Duration
}

// startProcess starts a server and waits until it is ready.
func startProcess(ctx context.Context, name, file, log string, env []string) (*process, error) {
	p := &process{name: name, public: variable(env, "LISTEN_ADDR"), internal: variable(env, "INTERNAL_ADDR")}
	out, err := os.Create(log)
	if err != nil {
		return nil, err
	}
	defer out.Close() // the process has its own copy
	p.cmd = exec.Command(file)
	p.cmd.Env, p.cmd.Stdout, p.cmd.Stderr = env, out, out
	begin := time.Now()
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if err := p.awaitReady(ctx); err != nil {
		said, _ := os.ReadFile(log)
		return nil, errors.Join(fmt.Errorf("%s: %w: %s", name, err, bytes.TrimSpace(said)), p.stop())
	}
	p.started = time.Since(begin)
	return p, nil
}

// variable finds a variable.
func variable(env []string, name string) string {
	for _, entry := range env {
		if value, ok := strings.CutPrefix(entry, name+"="); ok {
			return value
		}
	}
	return ""
}

func (p *process) awaitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	for {
		resp, err := http.Get("http://" + p.internal + "/readyz")
		if err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return nil
			}
		}
		if wait(ctx, startPoll); ctx.Err() != nil {
			return fmt.Errorf("is not ready: %w", ctx.Err())
		}
	}
}

// stop ends the process and waits for its end.
func (p *process) stop() error {
	if p == nil {
		return nil
	}
	if err := p.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	_ = p.cmd.Wait() // which says that it was killed
	return nil
}

// cpuTime is what a process has used so far, its threads together (proc_pid_stat(5): utime and stime).
func cpuTime(pid int) (time.Duration, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	_, rest, _ := bytes.Cut(stat, []byte(") ")) // the name before may hold anything
	fields := strings.Fields(string(rest))
	if len(fields) < 13 {
		return 0, fmt.Errorf("/proc/%d/stat: too short", pid)
	}
	user, userErr := strconv.ParseInt(fields[11], 10, 64)
	system, systemErr := strconv.ParseInt(fields[12], 10, 64)
	return time.Duration(user+system) * clockTick, errors.Join(userErr, systemErr)
}

// residentMiB is how much memory a process has now (proc_pid_status(5): VmRSS), and had at most (VmHWM).
func residentMiB(pid int) (now, peak float64, err error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, 0, err
	}
	for line := range strings.Lines(string(status)) {
		name, value, _ := strings.Cut(line, ":")
		kib, _ := strconv.ParseFloat(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 64)
		switch name {
		case "VmRSS":
			now = kib / 1024
		case "VmHWM":
			peak = kib / 1024
		}
	}
	return now, peak, nil
}
