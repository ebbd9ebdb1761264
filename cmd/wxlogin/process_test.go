package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"wxlogin/internal/testenv/mysqltest"
	"wxlogin/internal/testenv/redistest"
)

const (
	appID  = "wx0123456789abcdef"
	secret = "5ec2e7a9905ec2e7a9905ec2e7a99099"
)

// binary is the path of the command, built for tests of signals and exit codes.
var binary string

func TestMain(m *testing.M) { os.Exit(buildAndRun(m)) }

func buildAndRun(m *testing.M) int {
	dir, err := os.MkdirTemp("", "wxlogin")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	binary = filepath.Join(dir, "wxlogin")
	if out, err := exec.Command("go", "build", "-buildvcs=false", "-o", binary, ".").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "go build: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// environ returns a configuration with a new database and Redis, on free ports.
func environ(t *testing.T, extra ...string) []string {
	t.Helper()
	return append([]string{
		"WECHAT_APPID=" + appID, "WECHAT_SECRET=" + secret,
		"MYSQL_DSN=" + mysqltest.New(t), "REDIS_URL=" + redistest.NewServer(t).URL,
		"LISTEN_ADDR=127.0.0.1:0", "INTERNAL_ADDR=127.0.0.1:0", "WECHAT_API_BASE=http://127.0.0.1:1",
		"SHUTDOWN_DELAY=0s",
	}, extra...)
}

// process is a running command.
type process struct {
	t     *testing.T
	cmd   *exec.Cmd
	lines chan map[string]any // of the log; closed when the process has ended
	exit  chan error

	mu   sync.Mutex
	text strings.Builder
}

func start(t *testing.T, environ []string, args ...string) *process {
	t.Helper()
	p := &process{t: t, cmd: exec.Command(binary, args...), lines: make(chan map[string]any, 1000), exit: make(chan error, 1)}
	p.cmd.Env = environ
	stderr, err := p.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.cmd.Process.Kill() })
	go p.read(stderr)
	return p
}

func (p *process) read(stderr io.Reader) {
	for s := bufio.NewScanner(stderr); s.Scan(); {
		p.mu.Lock()
		p.text.WriteString(s.Text() + "\n")
		p.mu.Unlock()
		var line map[string]any
		if json.Unmarshal(s.Bytes(), &line) == nil {
			p.lines <- line
		}
	}
	close(p.lines)
	p.exit <- p.cmd.Wait()
}

// wait reads the log up to the line with this message, which must come within a minute.
func (p *process) wait(message string) map[string]any {
	p.t.Helper()
	deadline := time.After(time.Minute)
	for {
		select {
		case line, ok := <-p.lines:
			if !ok {
				p.t.Fatalf("the process ended without logging %q; it logged:\n%s", message, p.log())
			}
			if line["msg"] == message {
				return line
			}
		case <-deadline:
			p.t.Fatalf("the process does not log %q; it logged:\n%s", message, p.log())
		}
	}
}

// signal sends the process a signal.
func (p *process) signal(s os.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatal(err)
	}
}

// log returns everything that the process has written to standard error.
func (p *process) log() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text.String()
}

// exitCode waits for the process and returns its exit code.
func (p *process) exitCode() int {
	p.t.Helper()
	<-p.exit
	return p.cmd.ProcessState.ExitCode()
}

// wantNoWarnings fails if the log has a line above level INFO after the line with this message.
func (p *process) wantNoWarnings(after string) {
	p.t.Helper()
	_, rest, _ := strings.Cut(p.log(), `"msg":"`+after+`"`)
	for line := range strings.Lines(rest) {
		if strings.Contains(line, `"level":"WARN"`) || strings.Contains(line, `"level":"ERROR"`) {
			p.t.Errorf("a warning during an orderly stop: %s", line)
		}
	}
}
