package main

import (
	"runtime/debug"
	"testing"
)

// current is the percentage that is set now.
func current() int {
	percent := debug.SetGCPercent(-1)
	debug.SetGCPercent(percent)
	return percent
}

func TestTuneGC(t *testing.T) {
	defer debug.SetGCPercent(current())
	debug.SetGCPercent(77)
	t.Setenv("GOGC", "77")
	if tuneGC(); current() != 77 {
		t.Errorf("%d %%, want what GOGC says", current())
	}
	t.Setenv("GOGC", "")
	if tuneGC(); current() != gcPercent {
		t.Errorf("%d %%, want %d", current(), gcPercent)
	}
}
