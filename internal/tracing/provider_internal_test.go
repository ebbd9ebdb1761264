package tracing

import (
	"errors"
	"log/slog"
	"strings"
	"testing"

	"wxlogin/internal/testenv"
)

// A collector that is away fails with every batch, and must not fill the log.
func TestErrorHandler(t *testing.T) {
	var log testenv.Log
	clock := testenv.NewClock()
	f := &errorHandler{logger: slog.New(slog.NewJSONHandler(&log, nil)), now: clock.Now}
	for range 3 {
		f.Handle(errors.New("refused"))
		f.Handle(errors.New("refused"))
		clock.Advance(errorLogInterval)
	}
	if n := strings.Count(log.String(), "traces are lost"); n != 3 {
		t.Errorf("told %d times, want 3:\n%s", n, log.String())
	}
}
