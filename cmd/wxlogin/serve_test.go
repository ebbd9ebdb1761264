package main

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"syscall"
	"testing"

	"wxlogin/internal/testenv/mysqltest"
	"wxlogin/wechat/wechattest"
)

// gatedWeChat is the simulator behind a door: an exchange tells that it has come, and waits until it may go on.
type gatedWeChat struct {
	*wechattest.Simulator
	arrived, proceed chan struct{}
}

func newGatedWeChat(t *testing.T) (*gatedWeChat, string) {
	g := &gatedWeChat{
		Simulator: wechattest.New(wechattest.Options{Apps: map[string]string{appID: secret}}),
		arrived:   make(chan struct{}), proceed: make(chan struct{}),
	}
	server := httptest.NewServer(g)
	t.Cleanup(server.Close)
	return g, server.URL
}

func (g *gatedWeChat) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	g.arrived <- struct{}{}
	<-g.proceed
	g.Simulator.ServeHTTP(w, r)
}

// login tells the status of the answer, or 0 for none.
func login(public, code string) int {
	res, err := http.PostForm(public+"/onLogin", url.Values{"code": {code}})
	if err != nil {
		return 0
	}
	res.Body.Close()
	return res.StatusCode
}

// waiting is a server with a login in flight, which waits at WeChat.
type waiting struct {
	*process
	weChat *gatedWeChat
	code   string
	status chan int
}

func startWaiting(t *testing.T, extra ...string) *waiting {
	t.Helper()
	weChat, base := newGatedWeChat(t)
	env := environ(t, append(extra, "WECHAT_API_BASE="+base)...)
	if code := start(t, env, "migrate").exitCode(); code != exitOK {
		t.Fatalf("migrate: exit code %d", code)
	}
	w := &waiting{process: start(t, env), weChat: weChat, status: make(chan int, 1)}
	public := "http://" + w.wait("serving")["public"].(string)
	w.code = weChat.Device(appID, wechattest.User{Name: "alice"}).Login()
	go func() { w.status <- login(public, w.code) }()
	<-weChat.arrived
	return w
}

// mustFinish lets WeChat answer: so must the server, and end.
func (w *waiting) mustFinish() {
	w.t.Helper()
	w.weChat.proceed <- struct{}{}
	if got := <-w.status; got != http.StatusOK {
		w.t.Errorf("the login in flight was answered %d", got)
	}
	if got := w.exitCode(); got != exitOK {
		w.t.Errorf("exit code %d:\n%s", got, w.log())
	}
}

func TestServe_finishes_requests_in_flight_on_SIGTERM(t *testing.T) {
	p := startWaiting(t)
	p.signal(syscall.SIGTERM)
	p.wait("stopping")
	p.mustFinish()
	if strings.Contains(p.log(), p.code) || strings.Contains(p.log(), secret) {
		t.Error("the log holds the code or the AppSecret")
	}
}

func TestServe_is_ready_after_migrate(t *testing.T) {
	env := environ(t)
	p := start(t, env)
	internal := p.wait("serving")["internal"].(string)
	check := func() int {
		return start(t, append(env, "INTERNAL_ADDR="+internal), "healthcheck").exitCode()
	}
	if got := check(); got != exitFailed {
		t.Errorf("healthcheck without tables: exit code %d, want %d", got, exitFailed)
	}
	for range 2 { // twice in a row does no harm
		if code := start(t, env, "migrate").exitCode(); code != exitOK {
			t.Fatalf("migrate: exit code %d", code)
		}
	}
	if got := check(); got != exitOK {
		t.Errorf("healthcheck: exit code %d, want %d", got, exitOK)
	}
	p.signal(os.Interrupt)
	if got := p.exitCode(); got != exitOK {
		t.Errorf("exit code %d", got)
	}
	if got := check(); got != exitFailed {
		t.Errorf("healthcheck of nobody: exit code %d, want %d", got, exitFailed)
	}
}

// On MySQL and MariaDB a connection in latin1 would refuse emoji; the server does not start with one.
func TestServe_refuses_a_connection_that_is_not_utf8mb4(t *testing.T) {
	env := environ(t)
	p := start(t, append(env, "MYSQL_DSN="+withCharset(mysqltest.New(t), "latin1")))
	if got := p.exitCode(); got != exitUsage {
		t.Errorf("exit code %d, want %d", got, exitUsage)
	}
	if !strings.Contains(p.log(), "utf8mb4") {
		t.Errorf("it said:\n%s", p.log())
	}
}

func withCharset(dsn, charset string) string {
	if strings.Contains(dsn, "?") {
		return dsn + "&charset=" + charset
	}
	return dsn + "?charset=" + charset
}

func TestServe_refuses_a_certificate_that_cannot_be_read(t *testing.T) {
	p := start(t, environ(t, "TLS_CERT_FILE=/nowhere/tls.crt", "TLS_KEY_FILE=/nowhere/tls.key"))
	if got := p.exitCode(); got != exitUsage {
		t.Errorf("exit code %d, want %d", got, exitUsage)
	}
	if !strings.Contains(p.log(), "TLS_CERT_FILE") {
		t.Errorf("it said:\n%s", p.log())
	}
}

func TestServe_reports_a_wrong_configuration(t *testing.T) {
	p := start(t, []string{"WECHAT_SECRET=" + secret, "REDIS_URL=http://:pa55word@h", "LISTEN_ADDR=x"})
	if got := p.exitCode(); got != exitUsage {
		t.Errorf("exit code %d, want %d", got, exitUsage)
	}
	for _, want := range []string{"WECHAT_APPID", "MYSQL_DSN", "REDIS_URL", "LISTEN_ADDR"} {
		if !strings.Contains(p.log(), want) {
			t.Errorf("%s is not told", want)
		}
	}
	if strings.Contains(p.log(), "pa55word") || strings.Contains(p.log(), secret) {
		t.Error("a secret is told")
	}
}
