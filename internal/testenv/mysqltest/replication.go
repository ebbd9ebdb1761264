package mysqltest

import (
	"fmt"
	"net"
	osexec "os/exec"
	"strconv"
	"testing"
)

// RunReplicated starts a server and a read-only replica of it. It skips the test as RunServer does.
func RunReplicated(t testing.TB) (primary, replica *Server) {
	t.Helper()
	// MariaDB does not know what is loose here.
	options := []string{"--log-bin=bin", "--loose-gtid-mode=ON", "--loose-enforce-gtid-consistency=ON"}
	primary = RunServer(t, append(options, "--server-id=1")...)
	replica = RunServer(t, append(options, "--server-id=2", "--read-only", "--loose-super-read-only")...)
	_, port, _ := net.SplitHostPort(primary.addr)
	follow := "CHANGE MASTER TO MASTER_HOST='127.0.0.1', MASTER_PORT=%s, MASTER_USER='root', MASTER_USE_GTID=slave_pos"
	if primary.MySQL {
		follow = "CHANGE REPLICATION SOURCE TO SOURCE_HOST='127.0.0.1', SOURCE_PORT=%s, SOURCE_USER='root', " +
			"SOURCE_AUTO_POSITION=1, GET_SOURCE_PUBLIC_KEY=1"
	}
	replica.Exec(t, fmt.Sprintf(follow, port), "START REPLICA")
	return primary, replica
}

// Hang stops the process from doing anything, as an overloaded or cut off machine does. Its port stays open.
func (s *Server) Hang(t testing.TB) { s.signal(t, "-STOP") }

// GoOn ends what Hang began.
func (s *Server) GoOn(t testing.TB) { s.signal(t, "-CONT") }

func (s *Server) signal(t testing.TB, signal string) {
	t.Helper()
	if err := osexec.Command("kill", signal, strconv.Itoa(s.process.Process.Pid)).Run(); err != nil {
		t.Fatalf("mysqltest: kill %s: %v", signal, err)
	}
}

// Crash kills the process.
func (s *Server) Crash() { s.stop() }

// Recover starts the process again, with the options that it had.
func (s *Server) Recover(t testing.TB) {
	t.Helper()
	s.start(t, s.args)
}
