package server

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"wxlogin/internal/config"
	"wxlogin/internal/testenv"
	"wxlogin/internal/testenv/mysqltest"
	"wxlogin/internal/testenv/redistest"
	"wxlogin/wechat/wechattest"
)

const (
	testAppID  = "wx0123456789abcdef"
	testSecret = "5ec2e7a9905ec2e7a9905ec2e7a99099"

	// testTimeout is how long a test waits for an event that should come immediately.
	testTimeout = 10 * time.Second
)

// testServer is a whole server to which tests write bytes.
type testServer struct {
	t         *testing.T
	server    *Server
	log       testenv.Log
	wechat    *wechattest.Simulator
	exchanges atomic.Int64 // calls of WeChat
}

func newTestServer(t *testing.T, change ...func(*config.Config, *Options)) *testServer {
	t.Helper()
	w := &testServer{t: t, wechat: wechattest.New(wechattest.Options{Apps: map[string]string{testAppID: testSecret}})}
	weChat := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		w.exchanges.Add(1)
		w.wechat.ServeHTTP(rw, r)
	}))
	t.Cleanup(weChat.Close)
	c := config.Config{
		App:      config.SingleApp{AppID: testAppID, Secret: testSecret},
		MySQLDSN: mysqltest.New(t), RedisURL: redistest.NewServer(t).URL, WeChatAPIBase: weChat.URL,
		ListenAddr: "127.0.0.1:0", InternalAddr: "127.0.0.1:0",
		SessionIdleTTL: time.Hour, SessionMaxTTL: 2 * time.Hour,
	}
	o := Options{Logger: config.Log{Format: "json"}.NewLogger(&w.log)}
	for _, f := range change {
		f(&c, &o)
	}
	if _, err := Migrate(t.Context(), config.Migrate{MySQLDSN: c.MySQLDSN}, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	var err error
	if w.server, err = Start(t.Context(), c, o); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.server.Shutdown(t.Context()) }) // a test that stops it checks the error
	return w
}

func (w *testServer) dial() *net.TCPConn {
	w.t.Helper()
	conn, err := net.Dial("tcp", w.server.PublicAddr())
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(testTimeout)); err != nil {
		w.t.Fatal(err)
	}
	return conn.(*net.TCPConn)
}

// code returns a valid login code.
func (w *testServer) code() string {
	return w.wechat.Device(testAppID, wechattest.User{Name: "alice"}).Login()
}

// handled returns the number of requests that reached the handler, which logs a line for each.
func (w *testServer) handled() int { return strings.Count(w.log.String(), `"msg":"request"`) }

// responses reads responses until the server closes the connection. Each is returned as its status and media type, such as
// "200 application/json", without the body, which contains tokens. A reset after the responses counts as a close.
func (w *testServer) responses(conn net.Conn) (got []string) {
	w.t.Helper()
	all, err := io.ReadAll(conn)
	if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
		defer func() { w.t.Errorf("the connection is not closed after %q", got) }()
	}
	for r := bufio.NewReader(bytes.NewReader(all)); ; {
		if _, err := r.Peek(1); err != nil {
			return got
		}
		res, err := http.ReadResponse(r, nil)
		if err != nil {
			return append(got, "no response")
		}
		mediaType, _, _ := mime.ParseMediaType(res.Header.Get("Content-Type"))
		text := strings.TrimSpace(fmt.Sprint(res.StatusCode, " ", mediaType))
		if _, err := io.Copy(io.Discard, res.Body); err != nil {
			return append(got, text+", cut")
		}
		got = append(got, text)
		w.checkHeader(res)
	}
}

// checkHeader checks the headers that every response has, except those of net/http itself.
func (w *testServer) checkHeader(res *http.Response) {
	w.t.Helper()
	if res.Header.Get("Server") != "" || res.Header.Get("Location") != "" {
		w.t.Errorf("%d has Server or Location: %v", res.StatusCode, res.Header)
	}
	if fromHandler := res.Header.Get("X-Request-Id") != ""; !fromHandler {
		return
	}
	if res.Header.Get("X-Content-Type-Options") != "nosniff" || res.Header.Get("Cache-Control") != "no-store" {
		w.t.Errorf("%d has the header %v", res.StatusCode, res.Header)
	}
}

// rawTest is the input of one connection and its expected effects.
type rawTest struct {
	send      string
	responses []string
	handled   int // requests that reached the handler
	exchanges int // calls of WeChat
}

const (
	ok         = "200 application/json"
	refused    = "400 text/plain" // by net/http, before the handler
	invalid    = "400 application/problem+json"
	notFound   = "404 application/problem+json"
	notAllowed = "405 application/problem+json"
	tooLarge   = "413 application/problem+json"
)

// run sends the bytes of a test and compares the effects. The last response must close the connection.
func (w *testServer) run(t *testing.T, tt rawTest) {
	t.Helper()
	on := &testServer{t: t, server: w.server}
	reached, exchanges := w.handled(), w.exchanges.Load()
	conn := on.dial()
	if _, err := io.WriteString(conn, tt.send); err != nil {
		t.Fatal(err)
	}
	if got := on.responses(conn); !slices.Equal(got, tt.responses) {
		t.Errorf("the responses are %q, want %q", got, tt.responses)
	}
	if got := w.handled() - reached; got != tt.handled {
		t.Errorf("%d requests reached the handler, want %d", got, tt.handled)
	}
	if got := int(w.exchanges.Load() - exchanges); got != tt.exchanges {
		t.Errorf("%d calls of WeChat, want %d", got, tt.exchanges)
	}
}

// head returns a request's header without the empty line.
func head(line string, fields ...string) string {
	return line + "\r\n" + strings.Join(append(fields, ""), "\r\n")
}

// form returns the header of a form of n bytes.
func form(line string, n int, fields ...string) string {
	return head(line, append([]string{
		"Host: x", formType, fmt.Sprint("Content-Length: ", n),
	}, fields...)...)
}

// length returns the header of a login with this Content-Length.
func length(value string) string {
	return head(loginLine, "Host: x", formType, "Content-Length: "+value) + end
}

// coded returns the header of a login with this transfer coding.
func coded(coding string, fields ...string) string {
	return head(loginLine, append([]string{"Host: x", formType, "Transfer-Encoding: " + coding}, fields...)...) + end
}

// login returns a complete login request with a valid code.
func (w *testServer) login(fields ...string) string {
	body := "code=" + w.code()
	return form("POST /onLogin HTTP/1.1", len(body), fields...) + "\r\n" + body
}

const (
	last       = "Connection: close"
	formType   = "Content-Type: application/x-www-form-urlencoded"
	loginLine  = "POST /onLogin HTTP/1.1"
	end        = "\r\n"
	nextLogin  = "POST /onLogin HTTP/1.1\r\nHost: smuggled\r\n\r\n"
	emptyChunk = "0\r\n\r\n"
)

// status returns the status of a path of the internal listener.
func (w *testServer) status(path string) int {
	w.t.Helper()
	res, err := http.Get("http://" + w.server.InternalAddr() + path)
	if err != nil {
		w.t.Fatal(err)
	}
	res.Body.Close()
	return res.StatusCode
}

// waitUntil polls until done returns true.
func waitUntil(t *testing.T, what string, done func() bool) {
	t.Helper()
	ticker := time.NewTicker(time.Millisecond)
	defer ticker.Stop()
	for deadline := time.Now().Add(testTimeout); !done(); <-ticker.C {
		if time.Now().After(deadline) {
			t.Fatalf("not after %[2]v: %[1]s", what, testTimeout)
		}
	}
}

// inBackground runs f and returns a channel that is closed when it is done.
func inBackground(f func()) <-chan struct{} {
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	return done
}

func delay(d time.Duration) func(*config.Config, *Options) {
	return func(c *config.Config, _ *Options) { c.ShutdownDelay = d }
}

// metrics returns the text of /metrics.
func (w *testServer) metrics() string {
	w.t.Helper()
	res, err := http.Get("http://" + w.server.InternalAddr() + "/metrics")
	if err != nil {
		w.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return string(text)
}

// wantMetrics fails for each series that is missing or whose value does not match.
func (w *testServer) wantMetrics(metrics string, want map[string]string) {
	w.t.Helper()
	for series, value := range want {
		line := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(series) + ` (.*)$`).FindStringSubmatch(metrics)
		if line == nil || !regexp.MustCompile("^("+value+")$").MatchString(line[1]) {
			w.t.Errorf("%s is %q, want %s", series, line, value)
		}
	}
}

// withLimits changes the limits of the listeners, so that a test can wait for one of them.
func withLimits(change func(*limits)) func(*config.Config, *Options) {
	return func(_ *config.Config, o *Options) { o.limits = changedLimits(change) }
}

func changedLimits(change func(*limits)) limits {
	l := defaultLimits
	change(&l)
	return l
}
