package bench

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"wxlogin/cmd/wxtest/internal/process"
	"wxlogin/session"
	"wxlogin/wechat/wechattest"
)

const (
	appID  = "wx00000000000bench"
	secret = "benchsecret000000000000000000000"

	// keyAge keeps WeChat from replacing a session_key meanwhile.
	keyAge = 24 * time.Hour
)

// env is everything that a measurement needs.
type env struct {
	options
	log      io.Writer
	dir      string
	storage  *storage
	wechat   *wechat
	devices  []*wechattest.Device // of the users who take part
	server   *process.Server
	baseline *process.Server // nil if it takes no part
	tokens   map[*process.Server][]string

	key      string // of the internal listeners
	newcomer int    // users and nicknames so far

	binary     float64       // wxlogin's size, in MB
	started    time.Duration // until it was ready
	atRest     float64       // its memory after that, in MiB
	goroutines float64       // at most
}

func (e *env) logf(format string, args ...any) { fmt.Fprintf(e.log, format+"\n", args...) }

// start starts everything.
func (e *env) start(ctx context.Context) (err error) {
	e.key = rand.Text()
	if e.dir, err = os.MkdirTemp("", "wxtest"); err != nil {
		return err
	}
	if e.storage, err = openStorage(ctx, e.options); err != nil {
		return err
	}
	if e.wechat, err = startWeChat(e.latency); err != nil {
		return err
	}
	if err := e.build(ctx); err != nil {
		return err
	}
	rows := e.rows
	if len(e.growth) > 0 {
		rows = e.growth[0]
	}
	if err := e.storage.fill(ctx, 0, rows, e.compares()); err != nil {
		return err
	}
	e.chooseUsers(rows)
	begun := time.Now()
	if e.server, err = e.startServer(ctx, "wxlogin", e.wxlogin); err != nil {
		return err
	}
	e.started = time.Since(begun)
	if e.atRest, _, err = process.Memory(e.server.PID()); err != nil || !e.compares() {
		return err
	}
	e.baseline, err = e.startServer(ctx, "baseline", filepath.Join(e.dir, "baseline"))
	return err
}

// build builds the two servers, and makes the tables.
func (e *env) build(ctx context.Context) error {
	var packages []string
	if e.wxlogin == "" {
		packages, e.wxlogin = append(packages, "wxlogin/cmd/wxlogin"), filepath.Join(e.dir, "wxlogin")
	}
	if e.compares() {
		packages = append(packages, "wxlogin/cmd/wxtest/baseline")
	}
	if len(packages) > 0 {
		if err := process.Build(ctx, e.dir, packages...); err != nil {
			return err
		}
	}
	stat, err := os.Stat(e.wxlogin)
	if err != nil {
		return err
	}
	e.binary = float64(stat.Size()) / 1e6
	if err := process.Migrate(ctx, e.wxlogin, e.storage.dsn); err != nil {
		return err
	}
	return e.storage.makeTables(ctx)
}

// startServer starts a server with the limits that wxlogin has by default.
func (e *env) startServer(ctx context.Context, name, path string) (*process.Server, error) {
	return process.StartServer(ctx, e.dir, name, path,
		"WECHAT_APPID="+appID, "WECHAT_SECRET="+secret, "WECHAT_API_BASE=http://"+e.wechat.addr,
		"MYSQL_DSN="+e.storage.dsn, "REDIS_URL="+e.redis, "INTERNAL_API_KEY="+e.key, "TRUSTED_PROXIES=127.0.0.1",
		fmt.Sprint("MAX_LOGINS_IN_FLIGHT=", max(256, e.connections)),
		"GOMEMLIMIT="+os.Getenv("GOMEMLIMIT"), "GOGC="+os.Getenv("GOGC"), "GODEBUG="+os.Getenv("GODEBUG"))
}

// compares reports whether the bare handler takes part.
func (e *env) compares() bool { return !e.alone && len(e.growth) == 0 }

// servers are those to measure, in turns.
func (e *env) servers() []*process.Server {
	if e.baseline == nil {
		return []*process.Server{e.server}
	}
	return []*process.Server{e.server, e.baseline}
}

// chooseUsers chooses the users who take part, evenly among all rows.
func (e *env) chooseUsers(rows int) {
	e.devices = e.devices[:0]
	for i := range e.users {
		n := i * (rows / e.users)
		e.devices = append(e.devices, e.wechat.Device(appID, wechattest.User{Name: fmt.Sprintf("user %d", n), OpenID: openIDOf(n)}))
	}
}

func (e *env) close() error {
	var errs []error
	for _, s := range []*process.Server{e.server, e.baseline} {
		if s != nil {
			errs = append(errs, s.Kill())
		}
	}
	if e.wechat != nil {
		errs = append(errs, e.wechat.server.Close())
	}
	if e.storage != nil {
		errs = append(errs, e.storage.close())
	}
	return errors.Join(append(errs, os.RemoveAll(e.dir))...)
}

// wechat is the simulator, and how many connections were made to it.
type wechat struct {
	*wechattest.Simulator
	server      *http.Server
	addr        string
	connections atomic.Int64
}

func startWeChat(latency time.Duration) (*wechat, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	w := &wechat{addr: listener.Addr().String(), Simulator: wechattest.New(wechattest.Options{
		Apps: map[string]string{appID: secret}, Latency: latency, MinKeyAge: keyAge,
	})}
	w.server = &http.Server{Handler: w.Simulator, ConnState: func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			w.connections.Add(1)
		}
	}}
	go w.server.Serve(listener) // until close
	return w, nil
}

// sessionKey is that of the sessions that the benchmark itself makes.
const sessionKey = "AAAAAAAAAAAAAAAAAAAAAA=="

// makeSessions makes n sessions as wxlogin does.
func (e *env) makeSessions(ctx context.Context, n int, openID func(i int) string) error {
	store, err := session.New(session.Options{
		Redis: e.storage.redis, Apps: []session.App{{AppID: appID, Secret: secret}}, AutoPipeline: true,
	})
	if err != nil {
		return err
	}
	return inParallel(n, func(i int) error {
		_, err := store.Create(ctx, session.Session{AppID: appID, OpenID: openID(i), SessionKey: sessionKey})
		return err
	})
}

// addSessions makes the sessions that exist before the measurement, of users who take no part in it.
func (e *env) addSessions(ctx context.Context) error {
	if e.sessions == 0 {
		return nil
	}
	e.logf("making %d sessions", e.sessions)
	return e.makeSessions(ctx, e.sessions, func(i int) string { return fmt.Sprintf("o%027d", i/2) })
}

// loginsPerCapped is how often a user at the cap logs in in a round, so that a round has the average of the logins that end
// other sessions and those that do not.
const loginsPerCapped = 40

// cappedUsers are those who log in so often that they are at the cap. No two connections play the same one.
func (e *env) cappedUsers() []*wechattest.Device {
	n := max(e.connections, e.requests/loginsPerCapped)
	return e.devices[max(0, len(e.devices)-n):]
}

// fillCaps makes as many sessions of each of these users as a user may have.
func (e *env) fillCaps(ctx context.Context) error {
	n := len(e.cappedUsers())
	first := len(e.devices) - n
	return e.makeSessions(ctx, n*session.DefaultMaxPerUser, func(i int) string {
		return openIDOf((first + i%n) * (e.rows / len(e.devices)))
	})
}

// inParallel does a job for each number below n, some of them at a time, until one fails.
func inParallel(n int, job func(i int) error) error {
	group, ctx := errgroup.WithContext(context.Background())
	group.SetLimit(32)
	for i := 0; i < n && ctx.Err() == nil; i++ {
		group.Go(func() error { return job(i) })
	}
	return group.Wait()
}
