package examples_test

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

const (
	buildTimeout = 5 * time.Minute // a first build compiles the embedded MySQL
	startTimeout = time.Minute
	stopTimeout  = 30 * time.Second
)

// addresses are where the demo's parts listen.
type addresses struct{ server, simulator, page string }

// startDemo builds the demo and starts it on free ports. It is stopped when the test ends, and must stop in order.
func startDemo(t *testing.T) addresses {
	t.Helper()
	out := &transcript{printed: make(chan addresses, 1)}
	logFile := filepath.Join(t.TempDir(), "demo.log")
	var log bytes.Buffer // read only when the process has ended
	cmd := exec.Command(buildDemo(t), "-log", logFile)
	cmd.Stdout, cmd.Stderr = out, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()

	select {
	case at := <-out.printed:
		t.Cleanup(func() { stopDemo(t, cmd, ended, logFile) })
		return at
	case err := <-ended:
		t.Fatalf("the demo ended before it told how to go on: %v\n%s", err, log.String())
	case <-time.After(startTimeout):
		cmd.Process.Kill()
		<-ended
		t.Fatalf("the demo did not tell how to go on within %v\n%s", startTimeout, log.String())
	}
	return addresses{}
}

const mostLogLines = 100 // what failed must not be lost among them

// lastWarnings returns the end of a log, without the lines of requests that succeeded.
func lastWarnings(log string) string {
	lines := slices.DeleteFunc(strings.SplitAfter(log, "\n"), func(line string) bool { return strings.Contains(line, " level=INFO ") })
	return strings.Join(lines[max(0, len(lines)-mostLogLines):], "")
}

func buildDemo(t *testing.T) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), buildTimeout)
	defer cancel()
	binary := filepath.Join(t.TempDir(), "demo")
	cmd := exec.CommandContext(ctx, "go", "build", "-buildvcs=false", "-o", binary, "./cmd/demo")
	cmd.Dir = moduleRoot
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build ./cmd/demo: %v\n%s", err, out)
	}
	return binary
}

// stopDemo asks the demo to end as an operator would, and checks that it does so with exit code 0.
func stopDemo(t *testing.T, cmd *exec.Cmd, ended <-chan error, logFile string) {
	cmd.Process.Signal(syscall.SIGTERM) // fails if the process is gone, which Wait reports below
	select {
	case err := <-ended:
		if err != nil {
			t.Errorf("the demo: %v", err)
		}
	case <-time.After(stopTimeout):
		cmd.Process.Kill()
		<-ended
		t.Errorf("the demo did not end within %v of SIGTERM", stopTimeout)
	}
	if t.Failed() {
		log, err := os.ReadFile(logFile)
		t.Logf("the end of the demo's warnings (%v):\n%s", err, redact(lastWarnings(string(log))))
	}
}

// What the demo prints at its end, for going on in a browser and by hand.
var (
	loginCommand = regexp.MustCompile(`(http://\S+)/onLogin -d code=CODE\n`)
	phoneCommand = regexp.MustCompile(`(http://\S+)/sim/login\?user=bob'\n`)
	pageAddress  = regexp.MustCompile(`\n  (http://\S+)/\n`)
)

// transcript reads the demo's output until its addresses have been in it, and lets the rest pass.
type transcript struct {
	text    strings.Builder
	found   bool
	printed chan addresses
}

func (tr *transcript) Write(p []byte) (int, error) {
	if tr.found {
		return len(p), nil
	}
	tr.text.Write(p)
	login := loginCommand.FindStringSubmatch(tr.text.String())
	phone := phoneCommand.FindStringSubmatch(tr.text.String())
	page := pageAddress.FindStringSubmatch(tr.text.String())
	if login != nil && phone != nil && page != nil {
		tr.found = true
		tr.printed <- addresses{server: login[1], simulator: phone[1], page: page[1]}
	}
	return len(p), nil
}

// tokens finds what may be one.
var tokens = regexp.MustCompile(`[A-Za-z0-9_-]{43}`)

func redact(output string) string { return tokens.ReplaceAllString(output, "[token]") }

// watchSources looks at every file that the demo is made of. The go command remembers what a test looked at: without
// this, it would repeat an old result after a change in the server, which this package does not import.
func watchSources(t *testing.T) {
	t.Helper()
	err := filepath.WalkDir(moduleRoot, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist): // another package's test has cleaned up
			return nil
		case err != nil:
			return err
		case entry.IsDir() && strings.HasPrefix(entry.Name(), ".") && path != moduleRoot:
			return filepath.SkipDir
		}
		os.Stat(path)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
