package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"time"
)

// account is the user that a child runs as, where not as this process's.
type account struct{ uid, gid uint32 }

// child is a process that can be started again and again. All that it says is in one file.
type child struct {
	name  string
	path  string
	args  []string
	env   []string // whole: nothing is inherited
	owner *account
	log   string // file

	mu    sync.Mutex
	cmd   *exec.Cmd
	ended chan struct{} // closed after cmd's end
}

// start starts the process, which must not be running.
func (c *child) start() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	log, err := os.OpenFile(c.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close() // the child has its own copy
	cmd := exec.Command(c.path, c.args...)
	cmd.Env, cmd.Stdout, cmd.Stderr = c.env, log, log
	cmd.SysProcAttr = childAttributes(c.owner)
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("%s: %w", c.name, err)
	}
	ended := make(chan struct{})
	go func() {
		cmd.Wait() // what it ended with is in cmd.ProcessState
		close(ended)
	}()
	c.cmd, c.ended = cmd, ended
	return nil
}

func (c *child) signal(s os.Signal) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cmd == nil {
		return fmt.Errorf("%s: not started", c.name)
	}
	return c.cmd.Process.Signal(s)
}

// kill ends the process at once, paused or not, and waits for it. One that has ended already is no fault.
func (c *child) kill() error {
	if err := c.signal(os.Kill); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	_, err := c.wait(10 * time.Second)
	return err
}

// wait waits for the end of the process and returns its exit code, -1 after a signal.
func (c *child) wait(limit time.Duration) (int, error) {
	c.mu.Lock()
	cmd, ended := c.cmd, c.ended
	c.mu.Unlock()
	select {
	case <-ended:
		return cmd.ProcessState.ExitCode(), nil
	case <-time.After(limit):
		return 0, fmt.Errorf("%s: has not ended within %v", c.name, limit)
	}
}

// pid is the number of the process that runs now.
func (c *child) pid() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.cmd.Process.Pid
}

func (c *child) started() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.cmd != nil
}
