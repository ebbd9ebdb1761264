package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"
)

const startLimit = 60 * time.Second

// system is all that runs, and the folder it runs in.
type system struct {
	dir    string
	keep   bool
	taken  map[string]bool // addresses
	mysql  *mariadb
	redis  *redis
	wechat *simulator

	serverNames []string
	servers     map[string]*server
}

var errMissing = errors.New("not installed")

// needed are the programs that are not ours, and the Debian packages that have them.
var needed = []struct{ program, packet string }{
	{"mariadbd", "mariadb-server"}, {"mariadb-install-db", "mariadb-server"},
	{"redis-server", "redis-server"}, {"go", "golang"},
}

func checkInstalled() error {
	var missing []error
	for _, n := range needed {
		if lookPath(n.program) == "" {
			missing = append(missing, fmt.Errorf("%s is %w (apt-get install %s)", n.program, errMissing, n.packet))
		}
	}
	return errors.Join(missing...)
}

// lookPath also finds daemons where a user's PATH has no sbin; "" where there is none.
func lookPath(program string) string {
	for _, candidate := range []string{program, "/usr/sbin/" + program, "/usr/local/sbin/" + program} {
		if path, err := exec.LookPath(candidate); err == nil {
			return path
		}
	}
	return ""
}

// startSystem builds and starts everything. Where it fails, nothing is left.
func startSystem(ctx context.Context, keep bool, latency time.Duration, servers map[string][]string) (*system, error) {
	dir, err := os.MkdirTemp("", "wxfaults")
	if err != nil {
		return nil, err
	}
	s := &system{dir: dir, keep: keep, taken: map[string]bool{}, servers: map[string]*server{}}
	if err := s.start(ctx, latency, servers); err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

func (s *system) start(ctx context.Context, latency time.Duration, servers map[string][]string) error {
	if err := os.Chmod(s.dir, 0o755); err != nil { // the database runs as another user
		return err
	}
	if err := s.makeParts(ctx, latency, servers); err != nil {
		return err
	}
	for _, c := range []*child{&s.mysql.child, &s.redis.child, &s.wechat.child} {
		if err := c.start(); err != nil {
			return err
		}
	}
	if err := s.awaitParts(ctx); err != nil {
		return err
	}
	if err := s.migrate(ctx); err != nil {
		return err
	}
	for name, server := range s.servers {
		if err := server.start(); err != nil {
			return err
		}
		if err := await(ctx, "server "+name, startLimit, server.probe); err != nil {
			return err
		}
	}
	return nil
}

// makeParts builds our programs and prepares the database's folder, at the same time.
func (s *system) makeParts(ctx context.Context, latency time.Duration, servers map[string][]string) error {
	var mysqlAddr, redisAddr, wechatAddr string
	for _, addr := range []*string{&mysqlAddr, &redisAddr, &wechatAddr} {
		var err error
		if *addr, err = freeAddr(s.taken); err != nil {
			return err
		}
	}
	var building sync.WaitGroup
	var buildErr, mysqlErr error
	building.Go(func() { buildErr = build(ctx, s.dir) })
	s.mysql, mysqlErr = newMariaDB(ctx, s.dir, mysqlAddr)
	building.Wait()
	if err := errors.Join(buildErr, mysqlErr); err != nil {
		return err
	}
	s.redis = newRedis(s.dir, redisAddr)
	s.wechat = newSimulator(s.dir, wechatAddr, latency)
	for name, env := range servers {
		server, err := s.newServer(name, env...)
		if err != nil {
			return err
		}
		s.servers[name] = server
	}
	s.serverNames = sortedKeys(s.servers)
	return nil
}

func build(ctx context.Context, dir string) error {
	cmd := exec.CommandContext(ctx, "go", "build", "-buildvcs=false", "-o", dir+string(filepath.Separator),
		"wxlogin/cmd/wxlogin", "wxlogin/cmd/wxsim")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go build: %w\n%s", err, out)
	}
	return nil
}

func (s *system) awaitParts(ctx context.Context) error {
	return errors.Join(
		await(ctx, "MariaDB", startLimit, s.mysql.probeRoot),
		await(ctx, "Redis", startLimit, s.redis.probe),
		await(ctx, "the simulator", startLimit, s.wechat.probe),
	)
}

// migrate runs `wxlogin migrate`, as an operator would before the first start.
func (s *system) migrate(ctx context.Context) error {
	if err := s.mysql.prepare(ctx); err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, filepath.Join(s.dir, "wxlogin"), "migrate")
	cmd.Env = []string{"MYSQL_DSN=" + fmt.Sprintf(serverDSN, s.mysql.addr)}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("wxlogin migrate: %w\n%s", err, out)
	}
	return nil
}

// children are the processes that there are, in any state of start.
func (s *system) children() []*child {
	var all []*child
	for _, server := range s.servers {
		all = append(all, &server.child)
	}
	if s.wechat != nil {
		all = append(all, &s.wechat.child)
	}
	if s.redis != nil {
		all = append(all, &s.redis.child)
	}
	if s.mysql != nil {
		all = append(all, &s.mysql.child)
	}
	return all
}

// close ends everything and removes the folder.
func (s *system) close() error {
	var errs []error
	for _, c := range s.children() {
		if c.started() {
			errs = append(errs, c.kill())
		}
	}
	if s.mysql != nil && s.mysql.root != nil {
		errs = append(errs, s.mysql.root.Close())
	}
	if s.keep {
		fmt.Println("logs and data are kept in", s.dir)
		return errors.Join(errs...)
	}
	return errors.Join(append(errs, os.RemoveAll(s.dir))...)
}
