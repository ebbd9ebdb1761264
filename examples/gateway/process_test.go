package gateway_test

import (
	"bufio"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"wxlogin/internal/testenv"
)

const (
	startTimeout = 30 * time.Second
	stopTimeout  = 20 * time.Second
)

// needs skips a test on a machine that lacks a program.
func needs(t *testing.T, programs ...string) {
	t.Helper()
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			t.Skipf("NOTICE: %s is not on this machine, so this was not tested", p)
		}
	}
}

// process is a program that runs until the test ends.
type process struct {
	cmd   *exec.Cmd
	ended chan struct{} // closed then
	log   testenv.Log   // all that it says
}

// run starts a program. stdout, where given, is told each line that it prints.
func run(t *testing.T, cmd *exec.Cmd, stdout func(line string)) *process {
	t.Helper()
	p := &process{cmd: cmd, ended: make(chan struct{})}
	read, write := io.Pipe()
	cmd.Stdout, cmd.Stderr = io.MultiWriter(&p.log, write), &p.log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		for s := bufio.NewScanner(read); s.Scan(); {
			if stdout != nil {
				stdout(s.Text())
			}
		}
	}()
	go func() {
		cmd.Wait()
		write.Close()
		close(p.ended)
	}()
	t.Cleanup(func() {
		p.stop(t)
		if t.Failed() {
			t.Logf("%s says:\n%s", cmd.Path, p.log.String())
		}
	})
	return p
}

// stop ends the program in order; it may have ended before.
func (p *process) stop(t *testing.T) {
	t.Helper()
	p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.ended:
	case <-time.After(stopTimeout):
		p.cmd.Process.Kill()
		<-p.ended
		t.Errorf("%s did not end within %v of SIGTERM", p.cmd.Path, stopTimeout)
	}
}

func (p *process) kill() {
	p.cmd.Process.Kill()
	<-p.ended
}

// awaitPort waits until a program takes connections.
func (p *process) awaitPort(t *testing.T, addr string) {
	t.Helper()
	for deadline := time.Now().Add(startTimeout); ; time.Sleep(10 * time.Millisecond) {
		conn, err := net.Dial("tcp", addr)
		if err == nil {
			conn.Close()
			return
		}
		select {
		case <-p.ended:
			t.Fatalf("%s ended: %v", p.cmd.Path, p.cmd.ProcessState)
		default:
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s does not listen: %v", p.cmd.Path, err)
		}
	}
}

// startNode starts one of the services on a free port, and returns its host:port.
func startNode(t *testing.T, script string, environ ...string) string {
	t.Helper()
	listening := make(chan string, 1)
	cmd := exec.Command("node", script)
	cmd.Env = append(append(os.Environ(), "PORT=0"), environ...)
	p := run(t, cmd, func(line string) {
		if _, addr, found := strings.Cut(line, "listening on http://"); found {
			listening <- addr
		}
	})
	select {
	case addr := <-listening:
		return addr
	case <-p.ended:
		t.Fatalf("node %s ended: %v", script, p.cmd.ProcessState)
	case <-time.After(startTimeout):
		t.Fatalf("node %s does not listen", script)
	}
	return ""
}

// readFile reads a file of this folder.
func readFile(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// replaced puts addresses in the place of those that a documented configuration has: pairs of old and new.
func replaced(t *testing.T, text string, pairs ...string) string {
	t.Helper()
	for i := 0; i < len(pairs); i += 2 {
		if !strings.Contains(text, pairs[i]) {
			t.Fatalf("the configuration does not hold %s", pairs[i])
		}
	}
	return strings.NewReplacer(pairs...).Replace(text)
}
