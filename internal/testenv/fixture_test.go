package testenv_test

import (
	"fmt"
	"runtime"
	"testing"
)

// fakeT is a test within a test: it records failures, and its cleanups run when the outer test calls finish.
type fakeT struct {
	testing.TB
	cleanups []func()
	failures []string
}

func (f *fakeT) Cleanup(fn func()) { f.cleanups = append(f.cleanups, fn) }

func (f *fakeT) Errorf(format string, args ...any) {
	f.failures = append(f.failures, fmt.Sprintf(format, args...))
}

func (f *fakeT) Fatal(args ...any) {
	f.failures = append(f.failures, fmt.Sprint(args...))
	runtime.Goexit()
}

func (f *fakeT) Fatalf(format string, args ...any) {
	f.Errorf(format, args...)
	runtime.Goexit()
}

// run runs a part of the test in a new goroutine, so that Fatal can end it.
func (f *fakeT) run(part func()) {
	done := make(chan struct{})
	go func() { defer close(done); part() }()
	<-done
}

// finish runs the cleanups, like the end of a test.
func (f *fakeT) finish() {
	for len(f.cleanups) > 0 {
		last := f.cleanups[len(f.cleanups)-1]
		f.cleanups = f.cleanups[:len(f.cleanups)-1]
		f.run(last)
	}
}
