package tracing

import (
	"errors"
	"log/slog"
	"strings"
	"testing"

	"wxlogin/internal/testenv"
)

// If the collector is unreachable, every batch fails. This must not flood the log.
func TestErrorHandler(t *testing.T) {
	var log testenv.Log
	clock := testenv.NewClock()
	h := &errorHandler{logger: slog.New(slog.NewJSONHandler(&log, nil)), now: clock.Now}
	for range 3 {
		h.Handle(errors.New("refused"))
		h.Handle(errors.New("refused"))
		clock.Advance(errorLogInterval)
	}
	if n := strings.Count(log.String(), "tracing error, spans may be lost"); n != 3 {
		t.Errorf("%d log entries, want 3:\n%s", n, log.String())
	}
}
