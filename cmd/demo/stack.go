package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"

	"wxlogin/internal/config"
	"wxlogin/internal/demopage"
	"wxlogin/internal/embedded"
	"wxlogin/internal/redisclient"
	"wxlogin/internal/server"
	"wxlogin/session"
	"wxlogin/wechat/wechattest"
)

const stopTimeout = 5 * time.Second

// stack is everything that runs.
type stack struct {
	mysql    *embedded.MySQL
	redis    *embedded.Redis
	wechat   *wechattest.Simulator
	wxsim    *http.Server
	wxsimURL string
	server   *server.Server
	logLevel *slog.LevelVar

	storage   demopage.Storage
	wire      *demopage.Wire // between server and WeChat
	page      page
	pageURL   string
	avatarDir string
}

// startStack starts everything, or nothing.
func startStack(ctx context.Context, o options, stderr io.Writer) (*stack, error) {
	s := &stack{logLevel: new(slog.LevelVar)}
	s.logLevel.Set(slog.LevelError) // the walk provokes refusals on purpose and prints them itself
	if err := s.start(ctx, o, stderr); err != nil {
		return nil, errors.Join(err, s.stop())
	}
	return s, nil
}

func (s *stack) start(ctx context.Context, o options, stderr io.Writer) (err error) {
	logger := slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: s.logLevel}))
	redisclient.RouteLogs(logger)
	if s.mysql, err = embedded.StartMySQL(embedded.MySQLOptions{Addr: o.mysql}); err != nil {
		return err
	}
	if _, err := server.Migrate(ctx, config.Migrate{MySQLDSN: s.mysql.DSN()}, logger); err != nil {
		return err
	}
	if s.redis, err = embedded.StartRedis(embedded.RedisOptions{Addr: o.redis}); err != nil {
		return err
	}
	if err := s.openStorage(); err != nil {
		return err
	}
	if err := s.startWeChat(o.wxsim); err != nil {
		return err
	}
	if err := s.listenForPage(o.page); err != nil {
		return err
	}
	if s.avatarDir, err = os.MkdirTemp("", "wxlogin-demo-"); err != nil {
		return err
	}
	if s.server, err = server.Start(ctx, s.config(o), server.Options{
		Logger:         logger,
		StorageTimeout: 10 * time.Second, // the embedded MySQL serves one statement at a time
	}); err != nil {
		return err
	}
	return s.servePage()
}

// config is what the environment of cmd/wxlogin would say.
func (s *stack) config(o options) config.Config {
	return config.Config{
		App:      config.SingleApp{AppID: wechattest.DemoAppID, Secret: wechattest.DemoSecret},
		Apps:     []config.App{{AppID: secondAppID, Secret: secondSecret}},
		MySQLDSN: s.mysql.DSN(), RedisURL: s.redis.URL(), WeChatAPIBase: s.wxsimURL,
		ListenAddr: o.public, InternalAddr: o.internal,
		Avatars:        config.Avatars{Dir: s.avatarDir, PublicURL: s.pageURL},
		SessionIdleTTL: session.DefaultIdleTTL, SessionMaxTTL: session.DefaultMaxLifetime,
	}
}

func (s *stack) startWeChat(addr string) error {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	s.wechat = wechattest.New(wechattest.Options{Apps: map[string]string{
		wechattest.DemoAppID: wechattest.DemoSecret, secondAppID: secondSecret,
	}})
	s.wire = demopage.NewWire()
	s.wxsim = &http.Server{Handler: s.wire.Watch(s.wechat), ReadHeaderTimeout: stopTimeout}
	s.wxsimURL = "http://" + l.Addr().String()
	go s.wxsim.Serve(l) // ends with http.ErrServerClosed in stop
	return nil
}

// showRequests lets the server log its requests: from now on they are the reader's own.
func (s *stack) showRequests() { s.logLevel.Set(slog.LevelInfo) }

// stop ends what was started, in any state of start.
func (s *stack) stop() error {
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	errs := []error{s.page.close()}
	if s.server != nil {
		errs = append(errs, s.server.Shutdown(ctx))
	}
	if s.wxsim != nil {
		errs = append(errs, s.wxsim.Close())
	}
	errs = append(errs, closeStorage(s.storage))
	if s.redis != nil {
		errs = append(errs, s.redis.Close())
	}
	if s.mysql != nil {
		errs = append(errs, s.mysql.Close())
	}
	if s.avatarDir != "" {
		errs = append(errs, os.RemoveAll(s.avatarDir))
	}
	return errors.Join(errs...)
}
