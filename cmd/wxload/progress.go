package main

import (
	"fmt"
	"io"
	"time"
)

// tellProgress writes a line at each interval until done is closed.
func (l *load) tellProgress(w io.Writer, from time.Time, done <-chan struct{}) {
	if l.config.progress <= 0 {
		<-done
		return
	}
	ticker := time.NewTicker(l.config.progress)
	defer ticker.Stop()
	for {
		select {
		case now := <-ticker.C:
			fmt.Fprintln(w, l.progress(now.Sub(from)))
		case <-done:
			return
		}
	}
}

// progress is a line about the interval that has just ended.
func (l *load) progress(elapsed time.Duration) string {
	t, p50, p99 := l.recorder.lap()
	if elapsed < 0 {
		return fmt.Sprintf("%6.0fs  warming up", elapsed.Seconds())
	}
	rate := float64(t.requests) / min(l.config.progress, elapsed).Seconds()
	return fmt.Sprintf("%6.0fs  %8.1f/s  p50 %s ms  p99 %s ms  errors %d  wrong %d",
		elapsed.Seconds(), rate, ms(p50), ms(p99), t.errors, t.wrong)
}
