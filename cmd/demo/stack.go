package main

import (
	"context"
	"database/sql"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"time"

	_ "github.com/go-sql-driver/mysql" // the driver that database/sql needs by name
	"github.com/redis/go-redis/v9"

	"wxlogin/examples"
	"wxlogin/internal/clientip"
	"wxlogin/internal/config"
	"wxlogin/internal/demopage"
	"wxlogin/internal/embedded"
	"wxlogin/internal/redisclient"
	"wxlogin/internal/server"
	"wxlogin/session"
	"wxlogin/wechat/wechattest"
)

const (
	stopTimeout = 5 * time.Second

	// The second mini-program of the page's phone.
	secondAppID  = "wx000000000001demo"
	secondSecret = "demosecret0000000000000000000001"

	// What both mini-programs have in their consoles for messages that WeChat pushes.
	pushToken = "demopushtoken"
	pushKey   = "demopushkey00000000000000000000000000000000" // 43 characters

	// loginsPerMinute is the limit by address. The page uses it up on purpose, each time from an address of its own.
	loginsPerMinute = 2000
)

// stack is everything that runs.
type stack struct {
	mysql    *embedded.MySQL
	redis    *embedded.Redis
	wechat   *wechattest.Simulator
	wxsimURL string
	server   *server.Server
	storage  demopage.Storage
	pageURL  string

	closers []func() error // of what was started, in order
}

// startStack starts everything, or nothing.
func startStack(ctx context.Context, o options, log io.Writer) (*stack, error) {
	s := new(stack)
	if err := s.start(ctx, o, slog.New(slog.NewTextHandler(log, nil))); err != nil {
		return nil, errors.Join(err, s.stop())
	}
	return s, nil
}

func (s *stack) onStop(closer func() error) { s.closers = append(s.closers, closer) }

// stop ends what was started, in any state of start, the last one first.
func (s *stack) stop() error {
	var errs []error
	for i := len(s.closers) - 1; i >= 0; i-- {
		errs = append(errs, s.closers[i]())
	}
	return errors.Join(errs...)
}

func (s *stack) start(ctx context.Context, o options, logger *slog.Logger) error {
	redisclient.RouteLogs(logger)
	if err := s.startStorage(ctx, o, logger); err != nil {
		return err
	}
	mysqlLine, err := s.openLine(s.mysql.Addr())
	if err != nil {
		return err
	}
	redisLine, err := s.openLine(s.redis.Addr())
	if err != nil {
		return err
	}
	wire, err := s.startWeChat(o.wxsim)
	if err != nil {
		return err
	}
	pageListener, err := net.Listen("tcp", o.page) // before the server, which has to know where pictures are
	if err != nil {
		return err
	}
	s.onStop(func() error { pageListener.Close(); return nil }) // the page's server may have closed it
	s.pageURL = "http://" + pageListener.Addr().String()
	avatarDir, err := os.MkdirTemp("", "wxlogin-demo-")
	if err != nil {
		return err
	}
	s.onStop(func() error { return os.RemoveAll(avatarDir) })
	c := s.config(o, avatarDir, mysqlLine.via(s.mysql.DSN()), redisLine.via(s.redis.URL()))
	if s.server, err = server.Start(ctx, c, server.Options{
		Logger:         logger,
		StorageTimeout: 10 * time.Second, // the embedded MySQL serves one statement at a time
	}); err != nil {
		return err
	}
	s.onStop(func() error {
		ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
		defer cancel()
		return s.server.Shutdown(ctx)
	})
	page, err := demopage.New(demopage.Options{
		Wire: wire, WeChat: s.wechat, Server: &url.URL{Scheme: "http", Host: s.server.PublicAddr()},
		Storage: s.storage, CutMySQL: mysqlLine.cut, CutRedis: redisLine.cut,
		AppIDs:  []string{wechattest.DemoAppID, secondAppID},
		Push:    demopage.PushSettings{Token: pushToken, EncodingAESKey: pushKey},
		Scripts: []fs.FS{examples.Client(), examples.Phone()},
	})
	if err != nil {
		return err
	}
	s.serve(pageListener, page)
	return nil
}

// serve serves HTTP until the stack stops; streams of events end with it.
func (s *stack) serve(l net.Listener, handler http.Handler) {
	web := &http.Server{Handler: handler, ReadHeaderTimeout: stopTimeout}
	s.onStop(web.Close)
	go web.Serve(l) // ends with http.ErrServerClosed
}

// startStorage starts both databases, and opens them as an administrator would.
func (s *stack) startStorage(ctx context.Context, o options, logger *slog.Logger) (err error) {
	if s.mysql, err = embedded.StartMySQL(embedded.MySQLOptions{Addr: o.mysql}); err != nil {
		return err
	}
	s.onStop(s.mysql.Close)
	if _, err := server.Migrate(ctx, config.Migrate{MySQLDSN: s.mysql.DSN()}, logger); err != nil {
		return err
	}
	if s.redis, err = embedded.StartRedis(embedded.RedisOptions{Addr: o.redis}); err != nil {
		return err
	}
	s.onStop(s.redis.Close)
	if s.storage.MySQL, err = sql.Open("mysql", s.mysql.DSN()); err != nil {
		return err
	}
	s.onStop(s.storage.MySQL.Close)
	s.storage.Redis = redis.NewClient(&redis.Options{Addr: s.redis.Addr()})
	s.onStop(s.storage.Redis.Close)
	return nil
}

func (s *stack) openLine(target string) (*line, error) {
	l, err := newLine(target)
	if err == nil {
		s.onStop(l.Close)
	}
	return l, err
}

// startWeChat starts the simulator behind the Wire that records the server's calls.
func (s *stack) startWeChat(addr string) (*demopage.Wire, error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, err
	}
	s.wechat = wechattest.New(wechattest.Options{Apps: map[string]string{
		wechattest.DemoAppID: wechattest.DemoSecret, secondAppID: secondSecret,
	}})
	s.wxsimURL = "http://" + l.Addr().String()
	wire := demopage.NewWire()
	s.serve(l, wire.Watch(s.wechat))
	return wire, nil
}

// config is what the environment of cmd/wxlogin would say.
func (s *stack) config(o options, avatarDir, mysqlDSN, redisURL string) config.Config {
	return config.Config{
		App:  config.SingleApp{AppID: wechattest.DemoAppID, Secret: wechattest.DemoSecret},
		Apps: []config.App{{AppID: secondAppID, Secret: secondSecret}},
		Pushes: []config.Push{
			{AppID: wechattest.DemoAppID, Token: pushToken, EncodingAESKey: pushKey},
			{AppID: secondAppID, Token: pushToken, EncodingAESKey: pushKey},
		},
		MySQLDSN: mysqlDSN, RedisURL: redisURL, WeChatAPIBase: s.wxsimURL,
		ListenAddr: o.public, InternalAddr: o.internal,
		TrustedProxies: clientip.Networks{netip.MustParsePrefix("127.0.0.1/32")}, // the page, which gives each phone an address of its own
		Limits:         config.Limits{Logins: loginsPerMinute},
		Avatars:        config.Avatars{Dir: avatarDir, PublicURL: s.pageURL},
		SessionIdleTTL: session.DefaultIdleTTL, SessionMaxTTL: session.DefaultMaxLifetime,
	}
}
