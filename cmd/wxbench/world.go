package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"

	"wxlogin/wechat/wechattest"
)

const (
	appID  = "wx00000000000bench"
	secret = "benchsecret000000000000000000000"
)

// world is everything that a measurement needs: storage, WeChat, and the servers.
type world struct {
	config
	out     io.Writer // remarks
	dir     string
	storage *storage
	weChat  *weChat
	people  []*wechattest.Device
	ours    *process
	bare    *process // nil where it takes no part

	bareFile string

	idle  idle   // of wxlogin
	key   string // of its internal listener
	asked int    // new users so far

	goroutines float64 // of wxlogin, at most

	tokens map[*process][]string
}

// idle is wxlogin when it has just begun.
type idle struct {
	megabytes float64 // of the binary
	resident  float64 // MiB, at rest
}

func newWorld(ctx context.Context, c config, out io.Writer) (_ *world, err error) {
	var random [16]byte
	rand.Read(random[:])
	w := &world{config: c, out: out, key: hex.EncodeToString(random[:]), tokens: map[*process][]string{}}
	defer func() {
		if err != nil {
			err = errors.Join(err, w.close())
		}
	}()
	if w.dir, err = os.MkdirTemp("", "wxbench"); err != nil {
		return nil, err
	}
	if w.storage, err = openStorage(ctx, c); err != nil {
		return nil, err
	}
	if w.weChat, err = playWeChat(c); err != nil {
		return nil, err
	}
	if err := w.build(ctx); err != nil {
		return nil, err
	}
	if err := w.fill(ctx); err != nil {
		return nil, err
	}
	return w, w.start(ctx)
}

func (w *world) remark(format string, args ...any) { fmt.Fprintf(w.out, format+"\n", args...) }

// build builds the two servers, and makes the tables.
func (w *world) build(ctx context.Context) error {
	var err error
	if w.wxlogin == "" {
		if w.wxlogin, err = w.goBuild(ctx, "wxlogin/cmd/wxlogin"); err != nil {
			return err
		}
	}
	if w.compares() {
		if w.bareFile, err = w.goBuild(ctx, "wxlogin/cmd/wxbench/bare"); err != nil {
			return err
		}
	}
	migrate := exec.CommandContext(ctx, w.wxlogin, "migrate")
	migrate.Env = w.environment(w.storage.dsn)
	if out, err := migrate.CombinedOutput(); err != nil {
		return fmt.Errorf("wxlogin migrate: %w: %s", err, out)
	}
	return w.storage.makeTables(ctx)
}

// goBuild builds a command as releases are built, but with paths in it: without them all that it imports is built once more.
func (w *world) goBuild(ctx context.Context, source string) (file string, err error) {
	file = filepath.Join(w.dir, filepath.Base(source))
	cmd := exec.CommandContext(ctx, "go", "build", "-ldflags=-s -w", "-o", file, source)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build %s: %w: %s", source, err, out)
	}
	return file, nil
}

// compares tells whether the bare handler takes part.
func (w *world) compares() bool { return !w.alone && len(w.growth) == 0 }

// fill makes the users, and those of them who take part: every so many-th, so that they are all over the tables.
func (w *world) fill(ctx context.Context) error {
	users := w.users
	if len(w.growth) > 0 {
		users = w.growth[0]
	}
	if err := w.storage.fill(ctx, 0, users, w.compares()); err != nil {
		return err
	}
	w.choosePeople(users)
	return nil
}

func (w *world) choosePeople(users int) {
	w.people = w.people[:0]
	for i := range w.config.people {
		n := i * (users / w.config.people)
		w.people = append(w.people, w.weChat.sim.Device(appID, wechattest.User{Name: fmt.Sprintf("user %d", n), OpenID: openIDOf(n)}))
	}
}

// environment is what both servers are told. wxlogin's limits are those that it has by itself.
func (w *world) environment(dsn string) []string {
	return []string{
		"WECHAT_APPID=" + appID, "WECHAT_SECRET=" + secret, "WECHAT_API_BASE=http://" + w.weChat.addr,
		"MYSQL_DSN=" + dsn, "REDIS_URL=" + w.redis,
		"LISTEN_ADDR=" + freeAddr(), "INTERNAL_ADDR=" + freeAddr(), "INTERNAL_API_KEY=" + w.key,
		"TRUSTED_PROXIES=127.0.0.1",
		fmt.Sprint("MAX_LOGINS_IN_FLIGHT=", max(256, w.connections)),
		"GOMEMLIMIT=" + os.Getenv("GOMEMLIMIT"), "GOGC=" + os.Getenv("GOGC"), "GODEBUG=" + os.Getenv("GODEBUG"),
	}
}

func (w *world) start(ctx context.Context) (err error) {
	if w.ours, err = startProcess(ctx, "wxlogin", w.wxlogin, filepath.Join(w.dir, "wxlogin.log"), w.environment(w.storage.dsn)); err != nil {
		return err
	}
	if err := w.look(); err != nil || !w.compares() {
		return err
	}
	w.bare, err = startProcess(ctx, "bare", w.bareFile, filepath.Join(w.dir, "bare.log"), w.environment(w.storage.dsn))
	return err
}

// look notes what wxlogin is before it has done anything.
func (w *world) look() error {
	stat, err := os.Stat(w.wxlogin)
	if err != nil {
		return err
	}
	w.idle.megabytes = float64(stat.Size()) / 1e6
	w.idle.resident, _, err = residentMiB(w.ours.cmd.Process.Pid)
	return err
}

// servers are those to measure, in turns.
func (w *world) servers() []*process {
	if w.bare == nil {
		return []*process{w.ours}
	}
	return []*process{w.ours, w.bare}
}

func (w *world) close() error {
	errs := []error{w.ours.stop(), w.bare.stop()}
	if w.weChat != nil {
		errs = append(errs, w.weChat.server.Close())
	}
	if w.storage != nil {
		errs = append(errs, w.storage.close())
	}
	if w.dir != "" {
		errs = append(errs, os.RemoveAll(w.dir))
	}
	return errors.Join(errs...)
}

// weChat is the simulator, and how many connections it has been asked over.
type weChat struct {
	sim         *wechattest.Simulator
	server      *http.Server
	addr        string
	connections atomic.Int64
}

func playWeChat(c config) (*weChat, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	w := &weChat{
		sim:  wechattest.New(wechattest.Options{Apps: map[string]string{appID: secret}, Latency: c.latency, MinKeyAge: keyAge}),
		addr: listener.Addr().String(),
	}
	w.server = &http.Server{Handler: w.sim, ConnState: func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			w.connections.Add(1)
		}
	}}
	go func() { _ = w.server.Serve(listener) }() // until close
	return w, nil
}

// freeAddr is a loopback address on which nobody listens.
func freeAddr() string {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "127.0.0.1:0"
	}
	defer listener.Close()
	return listener.Addr().String()
}
