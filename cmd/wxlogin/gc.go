package main

import (
	"os"
	"runtime/debug"
)

const (
	// gcPercent is how much the heap grows before it is collected, in percent of what lives. Little lives in this server, so
	// with Go's own 100 % it would collect some twenty times a second under load; this takes some tens of megabytes instead.
	gcPercent = 400

	// memoryLimit is how much memory Go takes before it collects regardless of gcPercent: pictures make hundreds of megabytes
	// of garbage. It is less than four fifths of the documented size of an instance, because a picture may take 128 MiB at
	// once, and because sockets and the program itself take some too.
	memoryLimit = 400 << 20
)

// tuneGC sets gcPercent and memoryLimit, unless the environment says what is wanted.
func tuneGC() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(memoryLimit)
	}
}
