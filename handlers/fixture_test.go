package handlers_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	_ "github.com/go-sql-driver/mysql"

	"wxlogin/handlers"
	"wxlogin/internal/avatar"
	"wxlogin/internal/testenv"
	"wxlogin/internal/testenv/mysqltest"
	"wxlogin/session"
	"wxlogin/store"
	"wxlogin/wechat"
	"wxlogin/wechat/wechattest"
)

// avatarBase is where clients would reach the server; tests reach it elsewhere.
const avatarBase = "http://127.0.0.1:8080"

const (
	appID       = "wx0123456789abcdef"
	secret      = "5ec2e7a9905ec2e7a9905ec2e7a99099"
	otherAppID  = "wxfedcba9876543210"
	otherSecret = "0the25ec2e70the25ec2e70the25ec2e"
)

// world is a server with everything it needs, all real: the simulator behind the real client, MySQL, Redis, HTTP. Its
// clock is moved by the test.
type world struct {
	t        testing.TB
	public   *httptest.Server
	internal *httptest.Server
	sim      *wechattest.Simulator
	sessions *session.Store
	redis    *testenv.Redis
	db       *sql.DB
	logs     *testenv.Log
	answers  *testenv.Log // all that do was answered, headers included
	clock    *testenv.Clock

	avatarDir string
}

// setup is what a test may change before the world begins.
type setup struct {
	wechat   wechat.Options
	session  session.Options
	dsn      string
	apps     map[string]string
	exchange func(handlers.CodeExchanger) handlers.CodeExchanger
	sessions func(handlers.Sessions) handlers.Sessions
	limits   handlers.Limits
	proxies  []string
	apiKey   string // of the internal listener

	noPhoneNumbers bool
	noAvatars      bool
	avatars        *avatar.Folder

	closing         context.Context
	uploadStopGrace time.Duration
}

func newWorld(t testing.TB, changes ...func(*setup)) *world {
	t.Helper()
	w := &world{t: t, redis: testenv.NewRedis(t), logs: &testenv.Log{}, answers: &testenv.Log{}, clock: testenv.NewClock()}
	dsn := mysqltest.NewWithSchema(t)
	su := setup{
		dsn: dsn, apps: map[string]string{appID: secret},
		exchange: func(e handlers.CodeExchanger) handlers.CodeExchanger { return e },
		sessions: func(s handlers.Sessions) handlers.Sessions { return s },
	}
	su.session.Redis = w.redis.Client
	for _, change := range changes {
		change(&su)
	}
	w.avatarDir = filepath.Join(t.TempDir(), "avatars")
	var err error
	su.avatars, err = avatar.OpenFolder(w.avatarDir, avatarBase)
	w.must(err)
	t.Cleanup(func() { su.avatars.Close() })
	w.sim = wechattest.New(wechattest.Options{Apps: su.apps, Now: w.clock.Now})
	w.db, err = sql.Open("mysql", dsn)
	w.must(err)
	t.Cleanup(func() { w.db.Close() })
	w.serve(su)
	return w
}

func (w *world) serve(su setup) {
	w.t.Helper()
	logger := slog.New(slog.NewJSONHandler(w.logs, &slog.HandlerOptions{Level: slog.LevelDebug}))
	metrics := handlers.NewMetrics()
	db, err := store.Open(su.dsn, store.Options{Now: w.clock.Now, Logger: logger})
	w.must(err)
	w.t.Cleanup(func() { db.Close() })
	su.session.Now = w.clock.Now
	for id, secret := range su.apps {
		su.session.Apps = append(su.session.Apps, session.App{AppID: id, Secret: secret})
	}
	sessions, err := session.New(su.session)
	w.must(err)
	w.sessions = sessions
	apps, phones := w.exchangers(su, metrics)
	options := handlers.PublicOptions{
		Apps: apps, PhoneNumbers: phones, Sessions: su.sessions(sessions), Users: db.Users(), Logger: logger, Metrics: metrics,
		StorageTimeout: time.Minute, // the machine may be busy; what hangs is another test's business
		LateLoginWait:  time.Nanosecond,
		Limits:         su.limits, TrustedProxies: su.proxies,
		Closing: su.closing, UploadStopGrace: su.uploadStopGrace,
	}
	if !su.noAvatars {
		options.Avatars, options.OpenAvatar = su.avatars, su.avatars.Open
	}
	public, err := handlers.NewPublic(options)
	w.must(err)
	internal, err := handlers.NewInternal(handlers.InternalOptions{
		Checks: []handlers.Check{
			{Name: "mysql", Func: db.Ping},
			{Name: "redis", Func: func(ctx context.Context) error { return su.session.Redis.Ping(ctx).Err() }},
		},
		Logger: logger, Metrics: metrics,
		Sessions: sessions, Users: db.Users(), APIKey: su.apiKey, StorageTimeout: time.Minute,
	})
	w.must(err)
	w.public, w.internal = httptest.NewServer(public), httptest.NewServer(internal)
	w.t.Cleanup(w.public.Close)
	w.t.Cleanup(w.internal.Close)
}

// exchangers makes a client of the simulator for each app, appID first.
func (w *world) exchangers(su setup, metrics *handlers.Metrics) ([]handlers.CodeExchanger, handlers.PhoneNumbers) {
	w.t.Helper()
	weChat := httptest.NewServer(w.sim)
	w.t.Cleanup(weChat.Close)
	var apps []handlers.CodeExchanger
	phones := make(phoneNumbers)
	for _, id := range []string{appID, otherAppID} {
		if su.apps[id] == "" {
			continue
		}
		o := su.wechat
		o.AppID, o.Secret, o.OnCall = id, su.apps[id], metrics.WeChatCall
		if o.BaseURL == "" {
			o.BaseURL = weChat.URL
		}
		client, err := wechat.NewClient(o)
		w.must(err)
		apps = append(apps, su.exchange(client))
		phones[id] = client
	}
	if su.noPhoneNumbers {
		return apps, nil
	}
	return apps, phones
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// pass lets time pass for everybody.
func (w *world) pass(d time.Duration) {
	w.t.Helper()
	w.clock.Advance(d)
	w.redis.FastForward(w.t, d)
}

func twoApps(su *setup) { su.apps[otherAppID] = otherSecret }

// phone is a person's phone with the default app open.
func (w *world) phone(name string) *wechattest.Device {
	return w.sim.Device(appID, wechattest.User{Name: name})
}

// response is an answer, read whole.
type response struct {
	status int
	header http.Header
	raw    string
	body   body
}

// body has the fields of every answer of the public listener.
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

// do sends a request and checks what holds for every answer of the public listener.
func (w *world) do(req *http.Request) response {
	w.t.Helper()
	r := w.send(req)
	if r.body.Status != r.status {
		w.t.Errorf("the body says status %d, HTTP says %d", r.body.Status, r.status)
	}
	return r
}

// send sends a request and checks what holds for every answer.
func (w *world) send(req *http.Request) response {
	w.t.Helper()
	res, err := http.DefaultClient.Do(req)
	w.must(err)
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	w.must(err)
	fmt.Fprintln(w.answers, res.Header, string(raw))
	r := response{status: res.StatusCode, header: res.Header, raw: string(raw)}
	if err := json.Unmarshal(raw, &r.body); err != nil {
		w.t.Fatalf("%d: the answer is not JSON: %v", r.status, err)
	}
	if res.Header.Get("Cache-Control") != "no-store" || res.Header.Get("X-Request-Id") == "" {
		w.t.Error("Cache-Control or X-Request-Id is missing")
	}
	return r
}

// request makes a POST as wx.request does.
func (w *world) request(path, contentType, content string) *http.Request {
	w.t.Helper()
	req, err := http.NewRequest(http.MethodPost, w.public.URL+path, strings.NewReader(content))
	w.must(err)
	req.Header.Set("Content-Type", contentType)
	return req
}

const formType = "application/x-www-form-urlencoded"

// form posts fields, names and values in turn.
func (w *world) form(path string, fields ...string) response {
	w.t.Helper()
	values := url.Values{}
	for i := 0; i < len(fields); i += 2 {
		values.Set(fields[i], fields[i+1])
	}
	return w.do(w.request(path, formType, values.Encode()))
}

// login logs a phone in and returns the answer, which must be 200.
func (w *world) login(p *wechattest.Device) body {
	w.t.Helper()
	r := w.form("/onLogin", "code", p.Login(), "appid", p.AppID())
	if r.status != http.StatusOK {
		w.t.Fatalf("login: %d %s", r.status, r.body.Code)
	}
	return r.body
}

// update sends open data with a token.
func (w *world) update(token string, d wechattest.OpenData) response {
	w.t.Helper()
	return w.form("/updateUserInfo", "token", token,
		"encryptedData", d.EncryptedData, "iv", d.IV, "rawData", d.RawData, "signature", d.Signature)
}

// mustUpdate is update that must be answered 200.
func (w *world) mustUpdate(token string, d wechattest.OpenData) body {
	w.t.Helper()
	r := w.update(token, d)
	if r.status != http.StatusOK {
		w.t.Fatalf("update: %d %s", r.status, r.body.Code)
	}
	return r.body
}

// wantProblem fails unless the answer is this problem, in full.
func (w *world) wantProblem(r response, status int, code, action string) {
	w.t.Helper()
	if r.status != status || r.body.Code != code || r.body.Action != action {
		w.t.Errorf("got %d %s, %s; want %d %s, %s", r.status, r.body.Code, r.body.Action, status, code, action)
	}
	if ct := r.header.Get("Content-Type"); ct != "application/problem+json; charset=utf-8" {
		w.t.Errorf("Content-Type is %s", ct)
	}
	b := r.body
	if b.Type != "urn:wxlogin:problem:"+code || b.Title == "" || b.Detail == "" || b.RequestID != r.header.Get("X-Request-Id") {
		w.t.Errorf("the problem is not whole: %+v", b)
	}
	if (r.header.Get("Retry-After") != "") != (action == "retry") {
		w.t.Errorf("action %s, Retry-After %q", action, r.header.Get("Retry-After"))
	}
}

// one reads one text from the database.
func (w *world) one(query string, args ...any) string {
	w.t.Helper()
	var v sql.NullString
	w.must(w.db.QueryRow(query, args...).Scan(&v))
	return v.String
}

func (w *world) wantUsers(users, identities string) {
	w.t.Helper()
	gotUsers := w.one("SELECT COUNT(*) FROM users WHERE status <> 3")
	gotIdentities := w.one("SELECT COUNT(*) FROM wechat_identities")
	if gotUsers != users || gotIdentities != identities {
		w.t.Errorf("%s users with %s identities, want %s with %s", gotUsers, gotIdentities, users, identities)
	}
}

// nickname reads whose nickname the database has for an identity.
func (w *world) nickname(appID, openID string) string {
	w.t.Helper()
	return w.one("SELECT u.nickname FROM users u JOIN wechat_identities i ON i.user_id = u.id WHERE i.appid = ? AND i.openid = ?",
		appID, openID)
}

// metric reads one line of /metrics: the value behind a series, "" where there is none.
func (w *world) metric(series string) string {
	w.t.Helper()
	for line := range strings.Lines(w.get("/metrics")) {
		if value, ok := strings.CutPrefix(line, series+" "); ok {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// get reads a page of the internal listener.
func (w *world) get(path string) string {
	w.t.Helper()
	res, err := http.Get(w.internal.URL + path)
	w.must(err)
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	w.must(err)
	return string(b)
}
