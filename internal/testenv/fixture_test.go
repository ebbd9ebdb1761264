package testenv_test

import (
	"fmt"
	"runtime"
	"testing"
)

// inner is a test within a test: it may fail, and it ends when the outer one says so.
type inner struct {
	testing.TB
	cleanups []func()
	failures []string
}

func (i *inner) Cleanup(f func()) { i.cleanups = append(i.cleanups, f) }

func (i *inner) Errorf(format string, args ...any) {
	i.failures = append(i.failures, fmt.Sprintf(format, args...))
}

func (i *inner) Fatal(args ...any) {
	i.failures = append(i.failures, fmt.Sprint(args...))
	runtime.Goexit()
}

func (i *inner) Fatalf(format string, args ...any) {
	i.Errorf(format, args...)
	runtime.Goexit()
}

// run does a part of the inner test, up to its end or its Fatal.
func (i *inner) run(part func()) {
	done := make(chan struct{})
	go func() { defer close(done); part() }()
	<-done
}

// end does what is done at the end of a test.
func (i *inner) end() {
	for len(i.cleanups) > 0 {
		last := i.cleanups[len(i.cleanups)-1]
		i.cleanups = i.cleanups[:len(i.cleanups)-1]
		i.run(last)
	}
}
