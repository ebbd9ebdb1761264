package main

import (
	"runtime/debug"
	"testing"
)

// current returns the percentage and the limit that are set now.
func current() (percent int, limit int64) {
	percent, limit = debug.SetGCPercent(-1), debug.SetMemoryLimit(-1)
	debug.SetGCPercent(percent)
	return percent, limit
}

func TestTuneGC(t *testing.T) {
	percent, limit := current()
	defer func() { debug.SetGCPercent(percent); debug.SetMemoryLimit(limit) }()
	t.Run("leaves what the environment sets", func(t *testing.T) {
		debug.SetGCPercent(77)
		debug.SetMemoryLimit(1 << 40)
		t.Setenv("GOGC", "77")
		t.Setenv("GOMEMLIMIT", "1TiB")
		tuneGC()
		if percent, limit := current(); percent != 77 || limit != 1<<40 {
			t.Errorf("%d %%, %d bytes", percent, limit)
		}
	})
	t.Run("sets its own otherwise", func(t *testing.T) {
		t.Setenv("GOGC", "")
		t.Setenv("GOMEMLIMIT", "")
		tuneGC()
		if percent, limit := current(); percent != gcPercent || limit != memoryLimit {
			t.Errorf("%d %%, %d bytes", percent, limit)
		}
	})
}
