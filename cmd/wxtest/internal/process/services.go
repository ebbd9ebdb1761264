package process

import (
	"bufio"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"

	"github.com/go-sql-driver/mysql"
)

// Server is a wxlogin, or a server with the same listeners.
type Server struct {
	*Process
	Public, Internal string // addresses
}

// StartServer starts a server that logs to a file in dir, and waits until it is ready. It adds the listeners to the environment.
// With an error it returns the server too, which may run.
func StartServer(ctx context.Context, dir, name, path string, env ...string) (*Server, error) {
	public, internal := FreeAddr(), FreeAddr()
	s := &Server{Public: public, Internal: internal, Process: &Process{
		Name: name, Path: path, Env: append(env, "LISTEN_ADDR="+public, "INTERNAL_ADDR="+internal),
		Log: filepath.Join(dir, name+".log"), Probe: getOK("http://" + internal + "/readyz"),
	}}
	return s, s.StartReady(ctx)
}

// NewSimulator returns the simulator as a process.
func NewSimulator(dir, path, appID, secret string) *Process {
	addr := FreeAddr()
	return &Process{
		Name: "wxsim", Addr: addr, Path: path, Args: []string{"-addr", addr, "-appid", appID, "-secret", secret},
		Log: filepath.Join(dir, "wxsim.log"), Probe: getOK("http://" + addr + "/sim/healthz"),
	}
}

// getOK returns a probe that succeeds if a URL answers 200 on a new connection.
func getOK(url string) func(context.Context) error {
	transport := &http.Transport{DisableKeepAlives: true}
	return func(ctx context.Context) error {
		_, err := Get(ctx, transport, url, "")
		return err
	}
}

// NewRedis returns a Redis that keeps nothing when it ends.
func NewRedis(dir string) *Process {
	addr := FreeAddr()
	host, port, _ := net.SplitHostPort(addr)
	return &Process{
		Name: "redis-server", Addr: addr, Path: lookPath("redis-server"), Log: filepath.Join(dir, "redis.log"),
		Args:  []string{"--bind", host, "--port", port, "--dir", dir, "--save", "", "--appendonly", "no"},
		Probe: func(ctx context.Context) error { return ping(ctx, addr) },
	}
}

// ping asks Redis on a new connection.
func ping(ctx context.Context, addr string) error {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	deadline, _ := ctx.Deadline()
	conn.SetDeadline(deadline)
	fmt.Fprint(conn, "PING\r\n")
	answer, err := bufio.NewReader(conn).ReadString('\n')
	if err == nil && answer != "+PONG\r\n" {
		err = errors.New("redis does not answer PONG")
	}
	return err
}

// MaxConnections of a MariaDB is a little more than what the pools of two servers may hold.
const MaxConnections = 120

// MariaDB is a database server that loses no commit when it is killed.
type MariaDB struct {
	*Process
	Root *sql.DB
}

// NewMariaDB makes the data folder in dir. It needs mariadbd and mariadb-install-db.
func NewMariaDB(ctx context.Context, dir string) (*MariaDB, error) {
	addr := FreeAddr()
	host, port, _ := net.SplitHostPort(addr)
	home := filepath.Join(dir, "mysql")
	if err := os.Mkdir(home, 0o700); err != nil {
		return nil, err
	}
	owner, err := databaseAccount(home)
	if err != nil {
		return nil, err
	}
	install := exec.CommandContext(ctx, lookPath("mariadb-install-db"),
		"--no-defaults", "--datadir="+filepath.Join(home, "data"), "--skip-test-db", "--auth-root-authentication-method=normal")
	install.Dir, install.SysProcAttr = home, attributes(owner)
	if err := run(install); err != nil {
		return nil, err
	}
	mysql.SetLogger(log.New(io.Discard, "", 0)) // connections are meant to break
	m := &MariaDB{Process: &Process{
		Name: "mariadbd", Addr: addr, Path: lookPath("mariadbd"), owner: owner, Log: filepath.Join(dir, "mysql.log"),
		Args: []string{
			"--no-defaults", "--datadir=" + filepath.Join(home, "data"), "--socket=" + filepath.Join(home, "socket"),
			"--pid-file=" + filepath.Join(home, "pid"), "--tmpdir=" + home, "--bind-address=" + host, "--port=" + port,
			"--skip-name-resolve", "--character-set-server=utf8mb4", "--max-connections=" + strconv.Itoa(MaxConnections),
			"--innodb-flush-log-at-trx-commit=1", "--innodb-buffer-pool-size=64M", "--innodb-log-file-size=32M",
		},
	}}
	m.Probe = m.probeAs("root")
	m.Root, err = sql.Open("mysql", m.DSN("root", "")+"?timeout=1s")
	return m, err
}

// databaseAccount returns the account that MariaDB runs as: it refuses to run as root.
func databaseAccount(home string) (*account, error) {
	if os.Getuid() != 0 {
		return nil, nil
	}
	u, err := user.Lookup("mysql")
	if err != nil {
		return nil, fmt.Errorf("MariaDB cannot run as root: %w", err)
	}
	uid, uidErr := strconv.Atoi(u.Uid)
	gid, gidErr := strconv.Atoi(u.Gid)
	return &account{uint32(uid), uint32(gid)}, errors.Join(uidErr, gidErr, os.Chown(home, uid, gid))
}

// DSN returns the DSN of an account (name or name:password) for a database.
func (m *MariaDB) DSN(account, database string) string {
	return account + "@tcp(" + m.Addr + ")/" + database
}

// Prepare makes the database wxlogin and its account, which the Probe uses from then on, and the other accounts without
// password and rights.
func (m *MariaDB) Prepare(ctx context.Context, password string, others ...string) error {
	statements := []string{
		"CREATE DATABASE wxlogin CHARACTER SET utf8mb4",
		"CREATE USER wxlogin@'%' IDENTIFIED BY '" + password + "'",
		"GRANT ALL ON wxlogin.* TO wxlogin@'%'",
	}
	for _, other := range others {
		statements = append(statements, "CREATE USER "+other+"@'%'")
	}
	for _, statement := range statements {
		if _, err := m.Root.ExecContext(ctx, statement); err != nil {
			return fmt.Errorf("preparing MariaDB: %w", err)
		}
	}
	m.Probe = m.probeAs("wxlogin:" + password)
	return nil
}

// probeAs asks the database on a new connection, as a server would.
func (m *MariaDB) probeAs(account string) func(context.Context) error {
	return func(ctx context.Context) error {
		db, err := sql.Open("mysql", m.DSN(account, "")+"?timeout=500ms&readTimeout=500ms")
		if err != nil {
			return err
		}
		defer db.Close()
		return db.PingContext(ctx)
	}
}
