// Package process runs MariaDB, Redis, the simulator and the server as child processes that can be paused, killed and started
// again, and reads what they use of the machine.
package process

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"time"

	"wxlogin/cmd/wxtest/internal/cli"
)

const (
	startTimeout = 60 * time.Second
	killTimeout  = 10 * time.Second
	probeTimeout = time.Second
	poll         = 2 * time.Millisecond
)

// account is the user that a process runs as, if it is not this process's.
type account struct{ uid, gid uint32 }

// Process is a program that can be started again and again. All its output is appended to one file. It is not for concurrent use.
type Process struct {
	Name  string
	Addr  string // what it listens on, if that is one address
	Path  string
	Args  []string
	Env   []string // complete: nothing is inherited
	Log   string   // file
	Probe func(context.Context) error

	owner *account
	cmd   *exec.Cmd     // nil before the first start
	ended chan struct{} // closed after cmd's end
}

// Start starts the program, which must not be running.
func (p *Process) Start() error {
	log, err := os.OpenFile(p.Log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close() // the process has its own copy
	cmd := exec.Command(p.Path, p.Args...)
	cmd.Env, cmd.Stdout, cmd.Stderr, cmd.SysProcAttr = p.Env, log, log, attributes(p.owner)
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("%s: %w", p.Name, err)
	}
	ended := make(chan struct{})
	p.cmd, p.ended = cmd, ended
	go func() {
		cmd.Wait() // the result is in cmd.ProcessState
		close(ended)
	}()
	return nil
}

// StartReady starts the program and waits until it answers. The error has what the program said.
func (p *Process) StartReady(ctx context.Context) error {
	if err := p.Start(); err != nil {
		return err
	}
	err := Await(ctx, p.Name, startTimeout, p.Probe)
	if err != nil {
		said, _ := os.ReadFile(p.Log)
		err = fmt.Errorf("%w: %s", err, bytes.TrimSpace(said))
	}
	return err
}

// Signal sends a signal to the process.
func (p *Process) Signal(s os.Signal) error {
	if p.cmd == nil {
		return fmt.Errorf("%s: not started", p.Name)
	}
	return p.cmd.Process.Signal(s)
}

// Pause stops the process like a machine that hangs: its connections stay open.
func (p *Process) Pause() error { return p.Signal(pauseSignal) }

// Resume continues a paused process.
func (p *Process) Resume() error { return p.Signal(resumeSignal) }

// Kill ends the process at once, paused or not, and waits for it. It is no error if it was never started or has ended.
func (p *Process) Kill() error {
	if p == nil || p.cmd == nil {
		return nil
	}
	if err := p.Signal(os.Kill); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	_, err := p.Wait(killTimeout)
	return err
}

// Wait waits for the end of the process and returns its exit code, -1 after a signal.
func (p *Process) Wait(limit time.Duration) (int, error) {
	select {
	case <-p.ended:
		return p.cmd.ProcessState.ExitCode(), nil
	case <-time.After(limit):
		return 0, fmt.Errorf("%s: has not ended within %v", p.Name, limit)
	}
}

// PID returns the id of the process that was started last.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Await calls a probe until it succeeds.
func Await(ctx context.Context, what string, limit time.Duration, probe func(context.Context) error) error {
	deadline := time.Now().Add(limit)
	for {
		attempt, cancel := context.WithTimeout(ctx, probeTimeout)
		err := probe(attempt)
		cancel()
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case time.Now().After(deadline):
			return fmt.Errorf("%s does not answer after %v: %w", what, limit, err)
		}
		Sleep(ctx, poll)
	}
}

// Sleep waits for d and returns true, or returns false when ctx ends.
func Sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	select {
	case <-time.After(d):
		return true
	case <-ctx.Done():
		return false
	}
}

// Ports are below the range from which systems choose those of outgoing connections: otherwise a client could take the port
// of a server that is down for a moment.
const (
	firstPort = 20000
	ports     = 10000
)

var nextPort atomic.Int32

func init() { nextPort.Store(rand.Int32N(ports)) }

// FreeAddr returns a loopback address on which nothing listens, each time another one. It panics if all ports are taken.
func FreeAddr() string {
	for range ports {
		addr := fmt.Sprint("127.0.0.1:", firstPort+nextPort.Add(1)%ports)
		if listener, err := net.Listen("tcp", addr); err == nil {
			listener.Close()
			return addr
		}
	}
	panic("no free port between 20000 and 30000")
}

// Build builds commands of this module into a folder as releases are built, but with paths: without them all that they import
// would be compiled again.
func Build(ctx context.Context, dir string, packages ...string) error {
	args := append([]string{"build", "-buildvcs=false", "-ldflags=-s -w", "-o", dir + string(filepath.Separator)}, packages...)
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	return run(cmd)
}

// Migrate makes the tables with a wxlogin at a path.
func Migrate(ctx context.Context, path, dsn string) error {
	cmd := exec.CommandContext(ctx, path, "migrate")
	cmd.Env = []string{"MYSQL_DSN=" + dsn}
	return run(cmd)
}

// run runs a command to its end. The error has what the command said.
func run(cmd *exec.Cmd) error {
	out, err := cmd.CombinedOutput()
	if err != nil {
		err = fmt.Errorf("%s: %w\n%s", cmd, err, out)
	}
	return err
}

// packages are the Debian packages of programs.
var packages = map[string]string{
	"mariadbd": "mariadb-server", "mariadb-install-db": "mariadb-server", "redis-server": "redis-server", "go": "golang",
}

// Require returns an error with cli.ErrMissing if this is not Linux or lacks one of the programs.
func Require(programs ...string) error {
	if !Supported {
		return fmt.Errorf("this runs on Linux only: Linux is %w", cli.ErrMissing)
	}
	var missing []error
	for _, name := range programs {
		if lookPath(name) == "" {
			missing = append(missing, fmt.Errorf("%s is %w (apt-get install %s)", name, cli.ErrMissing, packages[name]))
		}
	}
	return errors.Join(missing...)
}

// lookPath also finds daemons if a user's PATH has no sbin; it returns "" if there is no such program.
func lookPath(program string) string {
	for _, candidate := range []string{program, "/usr/sbin/" + program, "/usr/local/sbin/" + program} {
		if path, err := exec.LookPath(candidate); err == nil {
			return path
		}
	}
	return ""
}
