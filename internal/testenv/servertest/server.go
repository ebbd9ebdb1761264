// Package servertest starts the whole server for tests of its clients and gateways: the real server with a database and
// Redis of the test's own, and the simulator as WeChat, all on loopback.
package servertest

import (
	"context"
	"database/sql"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"wxlogin/internal/config"
	"wxlogin/internal/server"
	"wxlogin/internal/testenv/mysqltest"
	"wxlogin/internal/testenv/redistest"
	"wxlogin/wechat/wechattest"
)

// AppID and Secret belong to the one mini-program that a Server serves.
const (
	AppID  = wechattest.DemoAppID
	Secret = wechattest.DemoSecret
)

// IdleTTL is the sessions' idle time-out.
const IdleTTL = time.Hour

// APIKey is the API key of the internal listener.
const APIKey = "0123456789abcdef"

// Server is a running server with everything it depends on.
type Server struct {
	*server.Server
	DSN       string // of its database
	Redis     *redistest.Redis
	Simulator *wechattest.Simulator
	WeChat    string // the simulator's URL
}

// Start starts a server and stops it at the end of the test, if Stop was not called before. If change is given, it adjusts
// the configuration after all defaults.
func Start(t testing.TB, change ...func(*config.Config)) *Server {
	t.Helper()
	s := &Server{
		DSN: mysqltest.NewWithSchema(t), Redis: redistest.NewServer(t),
		Simulator: NewSimulator(),
	}
	weChat := httptest.NewServer(s.Simulator)
	t.Cleanup(weChat.Close)
	s.WeChat = weChat.URL
	c := config.Config{
		App: config.SingleApp{AppID: AppID, Secret: Secret}, MySQLDSN: s.DSN, RedisURL: s.Redis.URL, WeChatAPIBase: s.WeChat,
		ListenAddr: "127.0.0.1:0", InternalAddr: "127.0.0.1:0", InternalAPIKey: APIKey,
		SessionIdleTTL: IdleTTL, SessionMaxTTL: 24 * time.Hour,
	}
	for _, f := range change {
		f(&c)
	}
	o := server.Options{Logger: slog.New(slog.DiscardHandler), StorageTimeout: time.Minute}
	var err error
	if s.Server, err = server.Start(t.Context(), c, o); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	return s
}

// NewSimulator returns a simulator of WeChat for AppID.
func NewSimulator() *wechattest.Simulator {
	return wechattest.New(wechattest.Options{Apps: map[string]string{AppID: Secret}})
}

// Stop shuts the server down gracefully. Later calls are no-ops.
func (s *Server) Stop() {
	if s.Server == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), server.ShutdownTimeout)
	defer cancel()
	s.Shutdown(ctx)
	s.Server = nil
}

// Public returns the URL of the public listener.
func (s *Server) Public() string { return "http://" + s.PublicAddr() }

// Internal returns the URL of the internal listener.
func (s *Server) Internal() string { return "http://" + s.InternalAddr() }

// Login logs a user in, as a mini-program does, and returns the token.
func (s *Server) Login(t testing.TB, user wechattest.User) (token string) {
	t.Helper()
	code := s.Simulator.Device(AppID, user).Login()
	resp, err := http.PostForm(s.Public()+"/onLogin", url.Values{"code": {code}})
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var body struct{ Token string }
	if err := json.NewDecoder(resp.Body).Decode(&body); err != nil || resp.StatusCode != http.StatusOK || body.Token == "" {
		t.Fatalf("login: status %d, %v", resp.StatusCode, err)
	}
	return body.Token
}

// Logout ends the session of a token.
func (s *Server) Logout(t testing.TB, token string) {
	t.Helper()
	resp, err := http.PostForm(s.Public()+"/logout", url.Values{"token": {token}})
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("logout: status %d", resp.StatusCode)
	}
}

// Exec runs a statement in the server's database.
func (s *Server) Exec(t testing.TB, statement string, args ...any) {
	t.Helper()
	s.withDB(t, func(db *sql.DB) error {
		_, err := db.Exec(statement, args...)
		return err
	})
}

// QueryRow reads one row of the server's database.
func (s *Server) QueryRow(t testing.TB, query string, args []any, into ...any) {
	t.Helper()
	s.withDB(t, func(db *sql.DB) error { return db.QueryRow(query, args...).Scan(into...) })
}

func (s *Server) withDB(t testing.TB, f func(*sql.DB) error) {
	t.Helper()
	db, err := sql.Open("mysql", s.DSN)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := f(db); err != nil {
		t.Fatal(err)
	}
}
