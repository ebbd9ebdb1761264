package mysqltest

import (
	"database/sql"
	"fmt"
	"net"
	"os"
	osexec "os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"wxlogin/internal/testenv"
)

const startTimeout = time.Minute

// Server is a MariaDB or MySQL server that belongs to one test, so that the test may change global settings.
type Server struct {
	Root    *sql.DB // connected as root
	MySQL   bool    // MySQL, not MariaDB
	addr    string
	command string
	options []string
	args    []string // of the last start
	process *osexec.Cmd
}

// RunServer starts a server without databases until the end of the test: the mysqld of Oracle's MySQL that TEST_MYSQLD
// names, or else MariaDB. It skips the test if MariaDB is not installed. args are options of the server.
func RunServer(t testing.TB, args ...string) *Server {
	t.Helper()
	s := &Server{addr: testenv.FreeAddr(t), command: "mariadbd"}
	data := filepath.Join(t.TempDir(), "data")
	// A server deletes all temporary tables when it starts, so servers must not share their folder.
	s.options = []string{"--no-defaults", "--datadir=" + data, "--tmpdir=" + filepath.Dir(data)}
	if os.Getuid() == 0 {
		s.options = append(s.options, "--user=root")
	}
	if mysqld := os.Getenv("TEST_MYSQLD"); mysqld != "" {
		s.MySQL, s.command = true, mysqld
		s.options = append(s.options, "--mysqlx=OFF", "--performance-schema=OFF", "--innodb-redo-log-capacity=16M")
		s.install(t, mysqld, "--initialize-insecure")
	} else {
		s.install(t, "mariadb-install-db", "--auth-root-authentication-method=normal", "--skip-test-db")
	}
	_, port, _ := net.SplitHostPort(s.addr)
	s.options = append(s.options, "--bind-address=127.0.0.1", "--port="+port, "--socket="+filepath.Join(data, "s"),
		"--innodb-buffer-pool-size=16M", "--skip-log-bin")
	s.start(t, args)
	t.Cleanup(func() { s.stop() })
	return s
}

// install creates the data folder. The root account of both servers has no password.
func (s *Server) install(t testing.TB, command string, args ...string) {
	t.Helper()
	if !s.MySQL {
		for _, command := range []string{s.command, command} {
			if _, err := osexec.LookPath(command); err != nil {
				t.Skipf("%s is not installed here; the test needs a server of its own", command)
			}
		}
	}
	install := osexec.CommandContext(t.Context(), command, append(slices.Clone(s.options), args...)...)
	if out, err := install.CombinedOutput(); err != nil {
		t.Fatalf("mysqltest: %s: %v\n%s", command, err, out)
	}
}

// Restart shuts the server down cleanly and starts it with other options.
func (s *Server) Restart(t testing.TB, args ...string) {
	t.Helper()
	s.Exec(t, "SHUTDOWN")
	s.process.Wait()
	s.stop()
	s.start(t, args)
}

// stop kills the process if it is running.
func (s *Server) stop() {
	s.Root.Close()
	s.process.Process.Kill()
	s.process.Wait()
}

// start starts the process and waits until it accepts connections.
func (s *Server) start(t testing.TB, args []string) {
	t.Helper()
	s.args = args
	s.process = osexec.Command(s.command, append(slices.Clone(s.options), args...)...)
	if err := s.process.Start(); err != nil {
		t.Fatalf("mysqltest: %v", err)
	}
	var err error
	if s.Root, err = sql.Open("mysql", s.DSN("root", "", "")); err != nil {
		t.Fatalf("mysqltest: %v", err)
	}
	if err := testenv.Poll(t.Context(), startTimeout, s.Root.PingContext); err != nil {
		t.Fatalf("mysqltest: %s is not ready: %v", s.command, err)
	}
}

// DSN returns the DSN of an account and a database on the server.
func (s *Server) DSN(account, password, database string) string {
	c := mysql.NewConfig()
	c.User, c.Passwd, c.Net, c.Addr, c.DBName = account, password, "tcp", s.addr, database
	return c.FormatDSN()
}

// Exec runs statements as root.
func (s *Server) Exec(t testing.TB, statements ...string) {
	t.Helper()
	for _, statement := range statements {
		if _, err := s.Root.Exec(statement); err != nil {
			t.Fatalf("mysqltest: %s: %v", statement, err)
		}
	}
}

// NewDatabase creates a database and an account with these rights on it, such as "SELECT, INSERT, UPDATE", and returns
// the DSN. Database, account and password all equal name.
func (s *Server) NewDatabase(t testing.TB, name, rights string) (dsn string) {
	t.Helper()
	s.Exec(t, fmt.Sprintf("CREATE DATABASE IF NOT EXISTS %s CHARACTER SET utf8mb4", name),
		fmt.Sprintf("CREATE USER %s@'127.0.0.1' IDENTIFIED BY '%[1]s'", name),
		fmt.Sprintf("GRANT %s ON %s.* TO %[2]s@'127.0.0.1'", rights, name))
	return s.DSN(name, name, name)
}

// RunReplicated starts a server and a read-only replica of it. It skips the test if RunServer would.
func RunReplicated(t testing.TB) (primary, replica *Server) {
	t.Helper()
	// MariaDB ignores the loose options.
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

// Hang suspends the process, like an overloaded or disconnected machine. Its port stays open.
func (s *Server) Hang(t testing.TB) {
	t.Helper()
	if err := testenv.Suspend(t.Context(), s.process.Process.Pid); err != nil {
		t.Fatalf("mysqltest: %v", err)
	}
}

// GoOn resumes the process after Hang.
func (s *Server) GoOn(t testing.TB) {
	t.Helper()
	if err := testenv.Signal("CONT", s.process.Process.Pid); err != nil {
		t.Fatalf("mysqltest: %v", err)
	}
}

// Crash kills the process (SIGKILL).
func (s *Server) Crash() { s.stop() }

// Recover starts the process again with the same options.
func (s *Server) Recover(t testing.TB) {
	t.Helper()
	s.start(t, s.args)
}
