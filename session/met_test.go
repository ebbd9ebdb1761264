package session

import (
	"log/slog"
	"strings"
	"sync"
	"testing"

	"wxlogin/internal/testenv"
)

// Goroutines that meet the same kind in the same moment write one line. Each round is another moment.
func TestStore_met_is_one_line_for_all_goroutines(t *testing.T) {
	for range 500 {
		var log testenv.Log
		s := &Store{logger: slog.New(slog.NewTextHandler(&log, nil))}
		begin := make(chan struct{})
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				<-begin
				for kind := range foreignTexts {
					s.met(t.Context(), "test", foreign(kind))
				}
			})
		}
		close(begin)
		wg.Wait()
		if n := strings.Count(log.String(), "\n"); n != len(foreignTexts) {
			t.Fatalf("%d lines for %d kinds", n, len(foreignTexts))
		}
	}
}
