// Package servertest starts the whole server for tests of what stands before it or asks it: a test's own database and Redis,
// the simulator as WeChat, and the real server, all on loopback.
package servertest

import (
	"context"
	"log/slog"
	"net/http/httptest"
	"testing"
	"time"

	"wxlogin/internal/server"
	"wxlogin/internal/testenv"
	"wxlogin/internal/testenv/mysqltest"
	"wxlogin/wechat/wechattest"
)

// AppID and Secret are those of the one mini-program that a Server serves.
const (
	AppID  = wechattest.DemoAppID
	Secret = wechattest.DemoSecret
)

// IdleTTL is how long a session lives without use.
const IdleTTL = time.Hour

// APIKey is the key of the internal listener.
const APIKey = "0123456789abcdef"

// Server is a running server with all that it needs.
type Server struct {
	*server.Server
	DSN       string // of its database, which has the tables
	Redis     *testenv.Redis
	Simulator *wechattest.Simulator
	WeChat    string // the simulator's URL
}

// Start runs a server until the end of the test, or until Stop. Changes of its configuration come last.
func Start(t testing.TB, change ...func(*server.Config)) *Server {
	t.Helper()
	s := &Server{
		DSN: mysqltest.NewWithSchema(t), Redis: testenv.NewRedis(t),
		Simulator: NewSimulator(),
	}
	weChat := httptest.NewServer(s.Simulator)
	t.Cleanup(weChat.Close)
	s.WeChat = weChat.URL
	c := server.Config{
		App: server.SingleApp{AppID: AppID, Secret: Secret}, MySQLDSN: s.DSN, RedisURL: s.Redis.URL, WeChatAPIBase: s.WeChat,
		ListenAddr: "127.0.0.1:0", InternalAddr: "127.0.0.1:0", InternalAPIKey: APIKey,
		SessionIdleTTL: IdleTTL, SessionMaxTTL: 24 * time.Hour, StorageTimeout: time.Minute,
	}
	for _, f := range change {
		f(&c)
	}
	var err error
	if s.Server, err = server.Start(t.Context(), c, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	return s
}

// NewSimulator is WeChat for AppID alone.
func NewSimulator() *wechattest.Simulator {
	return wechattest.New(wechattest.Options{Apps: map[string]string{AppID: Secret}})
}

// Stop ends the server in order. It may be called twice.
func (s *Server) Stop() {
	if s.Server == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), server.ShutdownTimeout)
	defer cancel()
	s.Shutdown(ctx)
	s.Server = nil
}

// Public is the URL of the public listener.
func (s *Server) Public() string { return "http://" + s.PublicAddr() }

// Internal is the URL of the internal listener.
func (s *Server) Internal() string { return "http://" + s.InternalAddr() }
