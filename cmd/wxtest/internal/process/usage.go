package process

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// clockTick is the unit of /proc/PID/stat: Linux shows it as 1/100 s to programs on all its architectures.
const clockTick = 10 * time.Millisecond

// CPU returns the CPU time that a process has used, all threads together (proc_pid_stat(5): utime and stime).
func CPU(pid int) (time.Duration, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	_, rest, _ := bytes.Cut(stat, []byte(") ")) // the name before may contain anything
	fields := strings.Fields(string(rest))
	if len(fields) < 13 {
		return 0, fmt.Errorf("/proc/%d/stat: too short", pid)
	}
	user, userErr := strconv.ParseInt(fields[11], 10, 64)
	system, systemErr := strconv.ParseInt(fields[12], 10, 64)
	return time.Duration(user+system) * clockTick, errors.Join(userErr, systemErr)
}

// Memory returns the resident memory of a process in MiB, now and at most (proc_pid_status(5): VmRSS and VmHWM).
func Memory(pid int) (now, peak float64, err error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, 0, err
	}
	kib, err := Figures(string(status), ":", "VmRSS", "VmHWM")
	return kib[0] / 1024, kib[1] / 1024, err
}

// Metrics returns metrics without labels of a server by the base URL of its internal listener. One that it does not have is 0.
func Metrics(ctx context.Context, transport http.RoundTripper, base string, names ...string) ([]float64, error) {
	text, err := Get(ctx, transport, base+"/metrics", "")
	if err != nil {
		return nil, err
	}
	return Figures(string(text), " ", names...)
}

// Figures returns numbers from lines of a name, a separator, a number and perhaps a unit. One that is not there is 0.
func Figures(text, separator string, names ...string) ([]float64, error) {
	figures, errs := make([]float64, len(names)), []error(nil)
	for line := range strings.Lines(text) {
		name, value, _ := strings.Cut(line, separator)
		i, number := slices.Index(names, name), strings.Fields(value)
		if i < 0 || len(number) == 0 {
			continue
		}
		var err error
		figures[i], err = strconv.ParseFloat(number[0], 64)
		errs = append(errs, err)
	}
	return figures, errors.Join(errs...)
}

// Get requests a URL with a token in Authorization, unless it is empty, and returns the body. A status other than 200 is an
// error.
func Get(ctx context.Context, transport http.RoundTripper, url, bearer string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	if bearer != "" {
		req.Header.Set("Authorization", "Bearer "+bearer)
	}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s answers %s", req.URL.Path, resp.Status)
	}
	return io.ReadAll(resp.Body)
}
