package testenv_test

import (
	"fmt"
	"runtime"
	"testing"
)

// inner is a test within a test: it may fail, and it ends when the outer one says so.
type fakeT struct {
	testing.TB
	cleanups []func()
	failures []string
}

func (i *fakeT) Cleanup(f func()) { i.cleanups = append(i.cleanups, f) }

func (i *fakeT) Errorf(format string, args ...any) {
	i.failures = append(i.failures, fmt.Sprintf(format, args...))
}

func (i *fakeT) Fatal(args ...any) {
	i.failures = append(i.failures, fmt.Sprint(args...))
	runtime.Goexit()
}

func (i *fakeT) Fatalf(format string, args ...any) {
	i.Errorf(format, args...)
	runtime.Goexit()
}

// run does a part of the inner test, up to its end or its Fatal.
func (i *fakeT) run(part func()) {
	done := make(chan struct{})
	go func() { defer close(done); part() }()
	<-done
}

// end does what is done at the end of a test.
func (i *fakeT) finish() {
	for len(i.cleanups) > 0 {
		last := i.cleanups[len(i.cleanups)-1]
		i.cleanups = i.cleanups[:len(i.cleanups)-1]
		i.run(last)
	}
}
