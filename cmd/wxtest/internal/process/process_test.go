package process

import (
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"syscall"
	"testing"
	"time"

	"wxlogin/cmd/wxtest/internal/cli"
)

func newProcess(t *testing.T, script string) *Process {
	t.Helper()
	p := &Process{Name: "child", Path: "/bin/sh", Args: []string{"-c", script}, Log: filepath.Join(t.TempDir(), "log")}
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Kill(); err != nil {
			t.Error(err)
		}
	})
	return p
}

func TestProcess_ends_with_its_exit_code(t *testing.T) {
	p := newProcess(t, "echo said; exit 3")
	if code, err := p.Wait(10 * time.Second); code != 3 || err != nil {
		t.Errorf("exit code %d, %v", code, err)
	}
	if log, err := os.ReadFile(p.Log); string(log) != "said\n" {
		t.Errorf("%q, %v", log, err)
	}
}

func TestProcess_is_killed_while_paused_and_starts_again(t *testing.T) {
	if !Supported {
		t.Skip("for Linux")
	}
	p := newProcess(t, "exec /bin/sleep 60")
	first := p.PID()
	if err := p.Pause(); err != nil {
		t.Fatal(err)
	}
	if err := p.Kill(); err != nil {
		t.Fatal(err)
	}
	if process, err := os.FindProcess(first); err == nil && !errors.Is(process.Signal(syscall.Signal(0)), os.ErrProcessDone) {
		t.Error("it still exists")
	}
	if err := p.Start(); err != nil || p.PID() == first {
		t.Errorf("not started again: %v", err)
	}
}

func TestProcess_that_goes_on_is_reported(t *testing.T) {
	p := newProcess(t, "exec /bin/sleep 60")
	if _, err := p.Wait(time.Millisecond); err == nil {
		t.Error("it has ended")
	}
}

func TestFreeAddr_returns_each_address_once(t *testing.T) {
	seen := map[string]bool{}
	for range 20 {
		addr := FreeAddr()
		listener, err := net.Listen("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		listener.Close()
		seen[addr] = true
	}
	if len(seen) != 20 {
		t.Errorf("%d addresses", len(seen))
	}
}

func TestRequire_names_program_and_package(t *testing.T) {
	if !Supported {
		t.Skip("for Linux")
	}
	packages["no-such-program"] = "mariadb-server"
	defer delete(packages, "no-such-program")
	err := Require("no-such-program", "sh")
	want := "no-such-program is not installed (apt-get install mariadb-server)"
	if !errors.Is(err, cli.ErrMissing) || err.Error() != want {
		t.Error(err)
	}
}

func TestCPU_and_Memory_are_of_the_process(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux has /proc")
	}
	before, err := CPU(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	for begin, now := time.Now(), before; now-before < 2*clockTick; {
		if now, err = CPU(os.Getpid()); err != nil || time.Since(begin) > time.Minute {
			t.Fatalf("%v after %v: %v", now-before, time.Since(begin), err)
		}
	}
	now, peak, err := Memory(os.Getpid())
	if err != nil || now < 1 || peak < now {
		t.Errorf("%.1f MiB, %.1f at most: %v", now, peak, err)
	}
	if _, err := CPU(0); err == nil {
		t.Error("there is a process 0")
	}
	if _, _, err := Memory(-1); err == nil {
		t.Error("there is a process -1")
	}
}

func TestMetrics(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, "# HELP a_total\na_total 3\nb{c=\"d\"} 4\ne_bytes 1.5e+07\n")
	}))
	defer server.Close()
	got, err := Metrics(t.Context(), http.DefaultTransport, server.URL, "e_bytes", "b", "a_total")
	if err != nil || !slices.Equal(got, []float64{1.5e7, 0, 3}) {
		t.Errorf("%v, %v", got, err)
	}
}

func TestFigures(t *testing.T) {
	const info = "# Stats\r\ntotal_commands_processed:1234\r\nused_cpu_user:1.5\r\nunit: 7 kB\nwords: many\nnothing:\n"
	got, err := Figures(info, ":", "total_commands_processed", "used_cpu_user", "used_cpu", "unit", "nothing")
	if err != nil || !slices.Equal(got, []float64{1234, 1.5, 0, 7, 0}) {
		t.Errorf("%v, %v", got, err)
	}
	if _, err := Figures(info, ":", "words"); err == nil {
		t.Error("words are no number")
	}
}
