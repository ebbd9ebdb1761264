package main

import (
	"context"
	"database/sql"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"time"

	"github.com/go-sql-driver/mysql"
)

const (
	// maxConnections is little more than what two servers' pools may hold, so that it can be filled.
	maxConnections = 120

	databasePassword = "pw-of-the-fault-suite"
	fillerDSN        = "filler@tcp(%s)/?timeout=1s"
	rootDSN          = "root@tcp(%s)/wxlogin?timeout=1s&parseTime=true"
	serverDSN        = "wxlogin:" + databasePassword + "@tcp(%s)/wxlogin"
)

// mariadb is the suite's own database server.
type mariadb struct {
	child
	addr string
	root *sql.DB
}

// newMariaDB makes the data folder. It needs mariadbd and mariadb-install-db.
func newMariaDB(ctx context.Context, dir, addr string) (*mariadb, error) {
	home := filepath.Join(dir, "mysql")
	if err := os.Mkdir(home, 0o700); err != nil {
		return nil, err
	}
	owner, err := databaseAccount(home)
	if err != nil {
		return nil, err
	}
	m := &mariadb{addr: addr, child: child{
		name: "mariadbd", path: lookPath("mariadbd"), owner: owner, log: filepath.Join(dir, "mysql.log"),
		args: mariadbArgs(home, addr),
	}}
	install := exec.CommandContext(ctx, lookPath("mariadb-install-db"),
		"--no-defaults", "--datadir="+filepath.Join(home, "data"), "--skip-test-db", "--auth-root-authentication-method=normal")
	install.SysProcAttr = childAttributes(owner)
	install.Dir = home
	if out, err := install.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("mariadb-install-db: %w\n%s", err, out)
	}
	mysql.SetLogger(log.New(io.Discard, "", 0)) // that connections break is what we are here for
	m.root, err = sql.Open("mysql", fmt.Sprintf(rootDSN, addr))
	return m, err
}

// mariadbArgs make a small server that loses no commit when it is killed.
func mariadbArgs(home, addr string) []string {
	host, port, _ := net.SplitHostPort(addr)
	return []string{
		"--no-defaults", "--datadir=" + filepath.Join(home, "data"), "--socket=" + filepath.Join(home, "socket"),
		"--pid-file=" + filepath.Join(home, "pid"), "--tmpdir=" + home, "--bind-address=" + host, "--port=" + port,
		"--skip-name-resolve", "--character-set-server=utf8mb4", "--max-connections=" + strconv.Itoa(maxConnections),
		"--innodb-flush-log-at-trx-commit=1", "--innodb-buffer-pool-size=64M", "--innodb-log-file-size=32M",
	}
}

// databaseAccount is whom MariaDB runs as: it refuses to be root.
func databaseAccount(home string) (*account, error) {
	if os.Getuid() != 0 {
		return nil, nil
	}
	u, err := user.Lookup("mysql")
	if err != nil {
		return nil, fmt.Errorf("MariaDB cannot run as root: %w", err)
	}
	uid, err := strconv.Atoi(u.Uid)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.Atoi(u.Gid)
	if err != nil {
		return nil, err
	}
	return &account{uint32(uid), uint32(gid)}, os.Chown(home, uid, gid)
}

// prepare makes the database, the servers' account and the one that fills all connections.
func (m *mariadb) prepare(ctx context.Context) error {
	bootstrap, err := sql.Open("mysql", "root@tcp("+m.addr+")/")
	if err != nil {
		return err
	}
	defer bootstrap.Close()
	for _, statement := range []string{
		"CREATE DATABASE wxlogin CHARACTER SET utf8mb4",
		"CREATE USER wxlogin@'%' IDENTIFIED BY '" + databasePassword + "'",
		"GRANT ALL ON wxlogin.* TO wxlogin@'%'",
		"CREATE USER filler@'%'",
	} {
		if _, err := bootstrap.ExecContext(ctx, statement); err != nil {
			return fmt.Errorf("preparing MariaDB: %w", err)
		}
	}
	return nil
}

// probe asks the database over a new connection, as a server would.
func (m *mariadb) probe(ctx context.Context) error {
	db, err := sql.Open("mysql", "wxlogin:"+databasePassword+"@tcp("+m.addr+")/?timeout=500ms&readTimeout=500ms")
	if err != nil {
		return err
	}
	defer db.Close()
	return db.PingContext(ctx)
}

// probeRoot is probe before prepare.
func (m *mariadb) probeRoot(ctx context.Context) error {
	db, err := sql.Open("mysql", "root@tcp("+m.addr+")/?timeout=500ms&readTimeout=500ms")
	if err != nil {
		return err
	}
	defer db.Close()
	return db.PingContext(ctx)
}

// await waits until a probe succeeds, and returns when that was.
func await(ctx context.Context, what string, limit time.Duration, probe func(context.Context) error) error {
	deadline := time.Now().Add(limit)
	for {
		attempt, cancel := context.WithTimeout(ctx, time.Second)
		err := probe(attempt)
		cancel()
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%s does not answer after %v: %w", what, limit, err)
		}
		time.Sleep(10 * time.Millisecond)
	}
}
