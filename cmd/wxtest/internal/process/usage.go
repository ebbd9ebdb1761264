package process

import (
	"bytes"
	"errors"
	"fmt"
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
