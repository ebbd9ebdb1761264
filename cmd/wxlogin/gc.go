package main

import (
	"os"
	"runtime/debug"
)

// gcPercent is how much the heap grows before it is collected, in percent of what lives. Little lives in this server, so with
// Go's own 100 % it would collect some twenty times a second under load; this takes some tens of megabytes instead.
const gcPercent = 400

// tuneGC sets gcPercent, unless the environment says what is wanted.
func tuneGC() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
}
