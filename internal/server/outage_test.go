package server

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"wxlogin/handlers"
	"wxlogin/internal/config"
	"wxlogin/internal/testenv"
)

// logLines returns the lines of a JSON log from a level on, each as "LEVEL message".
func logLines(t *testing.T, log string, from slog.Level) (got []string) {
	t.Helper()
	for line := range strings.Lines(log) {
		var l struct {
			Level slog.Level
			Msg   string
		}
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			t.Fatalf("the log has a line that is not JSON: %s", line)
		}
		if l.Level >= from {
			got = append(got, l.Level.String()+" "+l.Msg)
		}
	}
	return got
}

func TestLogOutages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log testenv.Log
		var away, other atomic.Bool
		check := func(away *atomic.Bool) func(context.Context) error {
			return func(ctx context.Context) error {
				if !away.Load() {
					return nil
				}
				<-ctx.Done() // it hangs
				return errors.Join(errors.New("no response"), ctx.Err())
			}
		}
		wants := func(want ...string) {
			t.Helper()
			synctest.Wait()
			if got := logLines(t, log.String(), slog.LevelDebug); strings.Join(got, "\n") != strings.Join(want, "\n") {
				t.Errorf("the log says %q, want %q", got, want)
			}
		}
		away.Store(true)
		stop := logOutages([]handlers.Check{{Name: "mysql", Func: check(&away)}, {Name: "redis", Func: check(&other)}},
			config.Log{Format: "json"}.NewLogger(&log))
		wants("WARN mysql is not ready; waiting for it") // immediately
		time.Sleep(time.Hour)
		wants("WARN mysql is not ready; waiting for it")
		away.Store(false)
		time.Sleep(outageInterval + outageTimeout)
		wants("WARN mysql is not ready; waiting for it", "INFO mysql is ready again")
		if !strings.Contains(log.String(), `"awaySeconds":360`) {
			t.Errorf("the log has no awaySeconds:\n%s", log.String())
		}
		time.Sleep(time.Hour)
		other.Store(true)
		time.Sleep(time.Hour)
		other.Store(false)
		time.Sleep(time.Minute)
		away.Store(true)
		time.Sleep(time.Minute)
		wants("WARN mysql is not ready; waiting for it", "INFO mysql is ready again",
			"WARN redis is not ready; waiting for it", "INFO redis is ready again", "WARN mysql is not ready; waiting for it")
		began := time.Now()
		stop()
		if took := time.Since(began); took > 0 {
			t.Errorf("stop took %v", took)
		}
		before := log.String()
		time.Sleep(time.Hour)
		if log.String() != before {
			t.Error("a check ran after stop")
		}
	})
}
