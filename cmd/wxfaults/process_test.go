package main

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

func newChild(t *testing.T, script string) *child {
	t.Helper()
	c := &child{name: "child", path: "/bin/sh", args: []string{"-c", script}, log: filepath.Join(t.TempDir(), "log")}
	if err := c.start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.kill(); err != nil {
			t.Error(err)
		}
	})
	return c
}

func TestChild_ends_with_its_exit_code(t *testing.T) {
	c := newChild(t, "echo said; exit 3")
	if code, err := c.wait(10 * time.Second); code != 3 || err != nil {
		t.Errorf("exit code %d, %v", code, err)
	}
	if log, err := os.ReadFile(c.log); string(log) != "said\n" {
		t.Errorf("%q, %v", log, err)
	}
}

func TestChild_is_killed_while_paused_and_starts_again(t *testing.T) {
	if !supported {
		t.Skip("for Linux")
	}
	c := newChild(t, "exec /bin/sleep 60")
	first := c.pid()
	if err := c.signal(pauseSignal); err != nil {
		t.Fatal(err)
	}
	if err := c.kill(); err != nil {
		t.Fatal(err)
	}
	if process, err := os.FindProcess(first); err == nil && !errors.Is(process.Signal(syscall.Signal(0)), os.ErrProcessDone) {
		t.Error("it is there still")
	}
	if err := c.start(); err != nil || c.pid() == first {
		t.Errorf("not started again: %v", err)
	}
}

func TestChild_that_goes_on_is_reported(t *testing.T) {
	c := newChild(t, "exec /bin/sleep 60")
	if _, err := c.wait(time.Millisecond); err == nil {
		t.Error("it has ended")
	}
}

func TestFreeAddr_gives_each_address_once(t *testing.T) {
	taken := map[string]bool{}
	for range 20 {
		addr, err := freeAddr(taken)
		if err != nil {
			t.Fatal(err)
		}
		listener, err := net.Listen("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		listener.Close()
	}
	if len(taken) != 20 {
		t.Errorf("%d addresses", len(taken))
	}
}
