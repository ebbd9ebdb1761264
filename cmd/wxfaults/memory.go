package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"time"
)

// sampleMemory reads a process's resident memory every 5 s, or 12 times in a shorter run, in KiB. A reading that fails is 0.
func sampleMemory(ctx context.Context, pid int, length time.Duration) (samples []int) {
	every := min(5*time.Second, length/12)
	for range int(length / every) {
		sleep(ctx, every)
		if ctx.Err() != nil {
			break
		}
		samples = append(samples, residentMemory(pid))
	}
	return samples
}

func residentMemory(pid int) (kib int) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	for lines := bufio.NewScanner(bytes.NewReader(status)); lines.Scan(); {
		if _, err := fmt.Sscanf(lines.Text(), "VmRSS: %d kB", &kib); err == nil {
			return kib
		}
	}
	return 0
}
