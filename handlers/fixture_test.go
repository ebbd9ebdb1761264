package handlers_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	_ "github.com/go-sql-driver/mysql"

	"wxlogin/handlers"
	"wxlogin/internal/avatar"
	"wxlogin/internal/clientip"
	"wxlogin/internal/erasure"
	"wxlogin/internal/ratelimit"
	"wxlogin/internal/testenv"
	"wxlogin/internal/testenv/mysqltest"
	"wxlogin/internal/testenv/redistest"
	"wxlogin/session"
	"wxlogin/store"
	"wxlogin/wechat"
	"wxlogin/wechat/push"
	"wxlogin/wechat/wechattest"
)

// avatarBase is PUBLIC_URL. Tests reach the server under another address.
const avatarBase = "http://127.0.0.1:8080"

const (
	appID       = "wx0123456789abcdef"
	secret      = "5ec2e7a9905ec2e7a9905ec2e7a99099"
	otherAppID  = "wxfedcba9876543210"
	otherSecret = "0the25ec2e70the25ec2e70the25ec2e"
)

// testServer is a server with real dependencies: the real client against the simulator, MySQL, Redis and HTTP. The test
// moves its clock.
type testServer struct {
	t         testing.TB
	public    *httptest.Server
	internal  *httptest.Server
	sim       *wechattest.Simulator
	sessions  *session.Store
	redis     *redistest.Redis
	db        *sql.DB
	dsn       string
	logs      *testenv.Log
	responses *testenv.Log // all responses, with headers
	clock     *testenv.Clock

	avatarDir string
}

// serverConfig is what a test may change before the server starts.
type serverConfig struct {
	wechat       wechat.Options
	session      session.Options
	dsn          string
	apps         map[string]string
	wrapApp      func(handlers.CodeExchanger) handlers.CodeExchanger
	wrapSessions func(handlers.Sessions) handlers.Sessions // of the public listener
	wrapUsers    func(handlers.Users) handlers.Users       // of the public listener
	limits       handlers.Limits
	proxies      clientip.Networks
	apiKeys      []handlers.APIKey
	pushes       map[string]push.Options // by appid; the AppID and the clock are set
	pushForward  string

	noPhoneNumbers bool
	accessTokens   bool
	noAvatars      bool
	avatars        *avatar.Folder

	closing         context.Context
	uploadStopGrace time.Duration
}

func newTestServer(t testing.TB, changes ...func(*serverConfig)) *testServer {
	t.Helper()
	srv := &testServer{t: t, redis: redistest.New(t), logs: &testenv.Log{}, responses: &testenv.Log{}, clock: testenv.NewClock()}
	dsn := mysqltest.NewWithSchema(t)
	srv.dsn = dsn
	cfg := serverConfig{
		dsn: dsn, apps: map[string]string{appID: secret},
		wrapApp:      func(e handlers.CodeExchanger) handlers.CodeExchanger { return e },
		wrapSessions: func(s handlers.Sessions) handlers.Sessions { return s },
		wrapUsers:    func(u handlers.Users) handlers.Users { return u },
	}
	cfg.session.Redis, cfg.session.KeyPrefix = srv.redis.Client, srv.redis.Prefix
	for _, change := range changes {
		change(&cfg)
	}
	srv.avatarDir = filepath.Join(t.TempDir(), "avatars")
	var err error
	cfg.avatars, err = avatar.OpenFolder(srv.avatarDir, avatarBase)
	srv.must(err)
	t.Cleanup(func() { cfg.avatars.Close() })
	srv.sim = wechattest.New(wechattest.Options{Apps: cfg.apps, Now: srv.clock.Now})
	srv.db, err = sql.Open("mysql", dsn)
	srv.must(err)
	t.Cleanup(func() { srv.db.Close() })
	srv.serve(cfg)
	return srv
}

func (srv *testServer) serve(cfg serverConfig) {
	srv.t.Helper()
	logger := slog.New(slog.NewJSONHandler(srv.logs, &slog.HandlerOptions{Level: slog.LevelDebug}))
	metrics := handlers.NewMetrics()
	if cfg.limits.Counter == nil {
		cfg.limits.Counter = ratelimit.New(ratelimit.Options{Window: handlers.RateWindow})
	}
	db, err := store.Open(cfg.dsn, store.Options{Now: srv.clock.Now, Logger: logger})
	srv.must(err)
	srv.t.Cleanup(func() { db.Close() })
	cfg.session.Now = srv.clock.Now
	for id, secret := range cfg.apps {
		cfg.session.Apps = append(cfg.session.Apps, session.App{AppID: id, Secret: secret})
	}
	sessions, err := session.New(cfg.session)
	srv.must(err)
	srv.sessions = sessions
	apps, phones := srv.exchangers(cfg, metrics)
	eraser := &erasure.Eraser{Users: db.Users(), Sessions: sessions, Avatars: cfg.avatars, Logger: logger, Timeout: time.Minute}
	options := handlers.PublicOptions{
		Apps: apps, PhoneNumbers: phones, Sessions: cfg.wrapSessions(sessions), Users: cfg.wrapUsers(db.Users()), Logger: logger, Metrics: metrics,
		Eraser: eraser, Pushes: srv.receivers(cfg), PushForward: cfg.pushForward,
		StorageTimeout:    time.Minute, // the machine may be busy; storage_test.go tests the timeout
		DecryptRetryDelay: time.Nanosecond,
		Limits:            cfg.limits, TrustedProxies: cfg.proxies,
		Closing: cfg.closing, UploadStopGrace: cfg.uploadStopGrace,
	}
	if !cfg.noAvatars {
		options.Avatars, options.OpenAvatar = cfg.avatars, cfg.avatars.Open
	}
	public, err := handlers.NewPublic(options)
	srv.must(err)
	internal, err := handlers.NewInternal(handlers.InternalOptions{
		Checks: []handlers.Check{
			{Name: "mysql", Func: db.Ping},
			{Name: "redis", Func: func(ctx context.Context) error { return cfg.session.Redis.Ping(ctx).Err() }},
		},
		Logger: logger, Metrics: metrics,
		Sessions: sessions, Users: db.Users(), Directory: db.Users(), APIKeys: cfg.apiKeys, StorageTimeout: time.Minute,
		Eraser: eraser, Avatars: options.Avatars, AppIDs: slices.Sorted(maps.Keys(cfg.apps)),
		FailedUpdates: cfg.limits.FailedUpdates, Counter: cfg.limits.Counter, DecryptRetryDelay: time.Nanosecond,
		AccessTokens: srv.accessTokens(cfg, phones),
	})
	srv.must(err)
	srv.public = httptest.NewServer(described(srv.t, publicListener, public))
	srv.internal = httptest.NewServer(described(srv.t, internalListener, internal))
	srv.t.Cleanup(srv.public.Close)
	srv.t.Cleanup(srv.internal.Close)
}

// receivers returns the readers of pushes.
func (srv *testServer) receivers(cfg serverConfig) map[string]*push.Receiver {
	srv.t.Helper()
	receivers := make(map[string]*push.Receiver)
	for id, o := range cfg.pushes {
		o.AppID, o.Now = id, srv.clock.Now
		receiver, err := push.New(o)
		srv.must(err)
		receivers[id] = receiver
	}
	return receivers
}

// exchangers returns a client of the simulator for each app, appID first.
func (srv *testServer) exchangers(cfg serverConfig, metrics *handlers.Metrics) ([]handlers.CodeExchanger, handlers.PhoneNumbers) {
	srv.t.Helper()
	weChat := httptest.NewServer(srv.sim)
	srv.t.Cleanup(weChat.Close)
	var apps []handlers.CodeExchanger
	phones := make(phoneNumbers)
	for _, id := range []string{appID, otherAppID} {
		if cfg.apps[id] == "" {
			continue
		}
		o := cfg.wechat
		o.AppID, o.Secret, o.OnCall = id, wechat.Secret(cfg.apps[id]), metrics.WeChatCall
		if o.BaseURL == "" {
			o.BaseURL = weChat.URL
		}
		client, err := wechat.NewClient(o)
		srv.must(err)
		apps = append(apps, cfg.wrapApp(client))
		phones[id] = client
	}
	if cfg.noPhoneNumbers {
		return apps, nil
	}
	return apps, phones
}

func (srv *testServer) must(err error) {
	srv.t.Helper()
	if err != nil {
		srv.t.Fatal(err)
	}
}

// advance moves the clocks of the server and of Redis.
func (srv *testServer) advance(d time.Duration) {
	srv.t.Helper()
	srv.clock.Advance(d)
	srv.redis.FastForward(srv.t, d)
}

func withTwoApps(cfg *serverConfig) { cfg.apps[otherAppID] = otherSecret }

// device returns a user's phone with the default mini-program.
func (srv *testServer) device(name string) *wechattest.Device {
	return srv.sim.Device(appID, wechattest.User{Name: name})
}

// response is a response with its whole body.
type response struct {
	status int
	header http.Header
	raw    string
	body   body
}

// body has the fields of all responses of the public listener.
type body struct {
	Status          int
	Token           string
	ExpiresIn       int64
	IsNewUser       bool
	ProfileComplete bool
	Anonymous       bool
	PhoneNumber     string
	CountryCode     string
	UserInfo        map[string]any
	AvatarURL       string

	Type, Title, Detail, Code, Action, RequestID string
}

// do sends a request and checks what holds for every response of the public listener.
func (srv *testServer) do(req *http.Request) response {
	srv.t.Helper()
	r := srv.send(req)
	if r.body.Status != r.status {
		srv.t.Errorf("the body says status %d, HTTP says %d", r.body.Status, r.status)
	}
	return r
}

// send sends a request and checks what holds for every response.
func (srv *testServer) send(req *http.Request) response {
	srv.t.Helper()
	res, err := http.DefaultClient.Do(req)
	srv.must(err)
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	srv.must(err)
	fmt.Fprintln(srv.responses, res.Header, string(raw))
	r := response{status: res.StatusCode, header: res.Header, raw: string(raw)}
	err = json.Unmarshal(raw, &r.body)
	if e, ok := errors.AsType[*json.UnmarshalTypeError](err); err != nil && !(ok && strings.EqualFold(e.Field, "status")) { // it may be a user's status
		srv.t.Fatalf("%d: the response is not JSON: %v", r.status, err)
	}
	if res.Header.Get("Cache-Control") != "no-store" || res.Header.Get("X-Request-Id") == "" {
		srv.t.Error("Cache-Control or X-Request-Id is missing")
	}
	return r
}

// request returns a POST like that of wx.request.
func (srv *testServer) request(path, contentType, content string) *http.Request {
	srv.t.Helper()
	req, err := http.NewRequest(http.MethodPost, srv.public.URL+path, strings.NewReader(content))
	srv.must(err)
	req.Header.Set("Content-Type", contentType)
	return req
}

const formType = "application/x-www-form-urlencoded"

// postForm posts fields, names and values in turn.
func (srv *testServer) postForm(path string, fields ...string) response {
	srv.t.Helper()
	values := url.Values{}
	for i := 0; i < len(fields); i += 2 {
		values.Set(fields[i], fields[i+1])
	}
	return srv.do(srv.request(path, formType, values.Encode()))
}

// login logs a device in. The response must be 200.
func (srv *testServer) login(p *wechattest.Device) body {
	srv.t.Helper()
	r := srv.postForm("/onLogin", "code", p.Login(), "appid", p.AppID())
	if r.status != http.StatusOK {
		srv.t.Fatalf("login: %d %s", r.status, r.body.Code)
	}
	return r.body
}

// update sends encrypted data with a token.
func (srv *testServer) update(token string, d wechattest.OpenData) response {
	srv.t.Helper()
	return srv.postForm("/updateUserInfo", "token", token,
		"encryptedData", d.EncryptedData, "iv", d.IV, "rawData", d.RawData, "signature", d.Signature)
}

// mustUpdate is update with a response that must be 200.
func (srv *testServer) mustUpdate(token string, d wechattest.OpenData) body {
	srv.t.Helper()
	r := srv.update(token, d)
	if r.status != http.StatusOK {
		srv.t.Fatalf("update: %d %s", r.status, r.body.Code)
	}
	return r.body
}

// wantProblem checks that the response is a complete problem with these values.
func (srv *testServer) wantProblem(r response, status int, code, action string) {
	srv.t.Helper()
	if r.status != status || r.body.Code != code || r.body.Action != action {
		srv.t.Errorf("got %d %s, %s; want %d %s, %s", r.status, r.body.Code, r.body.Action, status, code, action)
	}
	if ct := r.header.Get("Content-Type"); ct != "application/problem+json; charset=utf-8" {
		srv.t.Errorf("Content-Type is %s", ct)
	}
	b := r.body
	if b.Type != "urn:wxlogin:problem:"+code || b.Title == "" || b.Detail == "" || b.RequestID != r.header.Get("X-Request-Id") {
		srv.t.Errorf("the problem is incomplete: %+v", b)
	}
	if (r.header.Get("Retry-After") != "") != (action == "retry") {
		srv.t.Errorf("action %s, Retry-After %q", action, r.header.Get("Retry-After"))
	}
}

// queryText reads one text from the database. NULL is "".
func (srv *testServer) queryText(query string, args ...any) string {
	srv.t.Helper()
	var v sql.NullString
	srv.must(srv.db.QueryRow(query, args...).Scan(&v))
	return v.String
}

func (srv *testServer) wantUsers(users, identities string) {
	srv.t.Helper()
	gotUsers := srv.queryText("SELECT COUNT(*) FROM users WHERE status <> 3")
	gotIdentities := srv.queryText("SELECT COUNT(*) FROM wechat_identities")
	if gotUsers != users || gotIdentities != identities {
		srv.t.Errorf("%s users with %s identities, want %s with %s", gotUsers, gotIdentities, users, identities)
	}
}

// nickname reads the nickname of an identity from the database.
func (srv *testServer) nickname(appID, openID string) string {
	srv.t.Helper()
	return srv.queryText("SELECT u.nickname FROM users u JOIN wechat_identities i ON i.user_id = u.id WHERE i.appid = ? AND i.openid = ?",
		appID, openID)
}

// metric returns the value of a series in /metrics, or "" if there is none.
func (srv *testServer) metric(series string) string {
	srv.t.Helper()
	for line := range strings.Lines(srv.getInternal("/metrics")) {
		if value, ok := strings.CutPrefix(line, series+" "); ok {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// getInternal returns the body of a GET request to the internal listener.
func (srv *testServer) getInternal(path string) string {
	srv.t.Helper()
	res, err := http.Get(srv.internal.URL + path)
	srv.must(err)
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	srv.must(err)
	return string(b)
}
