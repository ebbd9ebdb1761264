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
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"wxlogin/internal/testenv"
	"wxlogin/internal/testenv/mysqltest"
	"wxlogin/wechat/wechattest"
)

const (
	testAppID  = "wx0123456789abcdef"
	testSecret = "5ec2e7a9905ec2e7a9905ec2e7a99099"

	// patience is how long a test waits for what must come at once.
	patience = 10 * time.Second
)

// wire is a whole server, spoken to byte by byte.
type wire struct {
	t         *testing.T
	server    *Server
	log       testenv.Log
	wechat    *wechattest.Simulator
	exchanges atomic.Int64 // calls of WeChat
}

func newWire(t *testing.T, l limits, change ...func(*Config)) *wire {
	t.Helper()
	w := &wire{t: t, wechat: wechattest.New(wechattest.Options{Apps: map[string]string{testAppID: testSecret}})}
	weChat := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		w.exchanges.Add(1)
		w.wechat.ServeHTTP(rw, r)
	}))
	t.Cleanup(weChat.Close)
	c := Config{
		App:      SingleApp{AppID: testAppID, Secret: testSecret},
		MySQLDSN: mysqltest.New(t), RedisURL: testenv.NewRedis(t).URL, WeChatAPIBase: weChat.URL,
		ListenAddr: "127.0.0.1:0", InternalAddr: "127.0.0.1:0",
		SessionIdleTTL: time.Hour, SessionMaxTTL: 2 * time.Hour,
	}
	for _, f := range change {
		f(&c)
	}
	if _, err := Migrate(t.Context(), MigrateConfig{MySQLDSN: c.MySQLDSN}, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	var err error
	if w.server, err = start(t.Context(), c, l, NewLogger(LogConfig{Format: "json"}, &w.log)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.server.Shutdown(t.Context()) }) // a test that stops it looks at the error itself
	return w
}

func (w *wire) dial() *net.TCPConn {
	w.t.Helper()
	conn, err := net.Dial("tcp", w.server.PublicAddr())
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		w.t.Fatal(err)
	}
	return conn.(*net.TCPConn)
}

// code is one that WeChat takes.
func (w *wire) code() string {
	return w.wechat.Device(testAppID, wechattest.User{Name: "alice"}).Login()
}

// reached is how many requests came to the handler: it logs a line each.
func (w *wire) reached() int { return strings.Count(w.log.String(), `"msg":"request"`) }

// answers reads everything until the server closes the connection: a status and a media type each, as in "200
// application/json". Bodies are not shown: they hold tokens. A reset after the answers is an end too.
func (w *wire) answers(conn net.Conn) (got []string) {
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
			return append(got, "no answer")
		}
		mediaType, _, _ := mime.ParseMediaType(res.Header.Get("Content-Type"))
		answer := strings.TrimSpace(fmt.Sprint(res.StatusCode, " ", mediaType))
		if _, err := io.Copy(io.Discard, res.Body); err != nil {
			return append(got, answer+", cut")
		}
		got = append(got, answer)
		w.checkHeader(res)
	}
}

// checkHeader looks for what every answer of the server has. net/http's own refusals are without.
func (w *wire) checkHeader(res *http.Response) {
	w.t.Helper()
	if res.Header.Get("Server") != "" || res.Header.Get("Location") != "" {
		w.t.Errorf("%d has Server or Location: %v", res.StatusCode, res.Header)
	}
	if ours := res.Header.Get("X-Request-Id") != ""; !ours {
		return
	}
	if res.Header.Get("X-Content-Type-Options") != "nosniff" || res.Header.Get("Cache-Control") != "no-store" {
		w.t.Errorf("%d has the header %v", res.StatusCode, res.Header)
	}
}

// wireTest is what goes over one connection, and what must come of it.
type wireTest struct {
	send      string
	answers   []string
	reached   int // requests that came to the handler
	exchanges int // calls of WeChat
}

const (
	ok         = "200 application/json"
	refused    = "400 text/plain" // by net/http, before any handler
	invalid    = "400 application/problem+json"
	notFound   = "404 application/problem+json"
	notAllowed = "405 application/problem+json"
	tooLarge   = "413 application/problem+json"
)

// run sends byte for byte; what is not answered on its own must end the connection.
func (w *wire) run(t *testing.T, tt wireTest) {
	t.Helper()
	on := &wire{t: t, server: w.server}
	reached, exchanges := w.reached(), w.exchanges.Load()
	conn := on.dial()
	if _, err := io.WriteString(conn, tt.send); err != nil {
		t.Fatal(err)
	}
	if got := on.answers(conn); !slices.Equal(got, tt.answers) {
		t.Errorf("the answers are %q, want %q", got, tt.answers)
	}
	if got := w.reached() - reached; got != tt.reached {
		t.Errorf("%d requests came to the handler, want %d", got, tt.reached)
	}
	if got := int(w.exchanges.Load() - exchanges); got != tt.exchanges {
		t.Errorf("%d calls of WeChat, want %d", got, tt.exchanges)
	}
}

// head is a request's header without its end, lines as they come.
func head(line string, fields ...string) string {
	return line + "\r\n" + strings.Join(append(fields, ""), "\r\n")
}

// form is the header of a form of n bytes.
func form(line string, n int, fields ...string) string {
	return head(line, append([]string{
		"Host: x", formType, fmt.Sprint("Content-Length: ", n),
	}, fields...)...)
}

// length is the header of a login whose length is told like this.
func length(value string) string {
	return head(loginLine, "Host: x", formType, "Content-Length: "+value) + end
}

// coded is the header of a login whose body is sent in this transfer coding.
func coded(coding string, fields ...string) string {
	return head(loginLine, append([]string{"Host: x", formType, "Transfer-Encoding: " + coding}, fields...)...) + end
}

// login is a whole request to log in, with a code that WeChat takes.
func (w *wire) login(fields ...string) string {
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

// Whatever frames a request is read in one way, or refused with the connection closed.
func TestWire_framing(t *testing.T) {
	w := newWire(t, listenerLimits)
	body := func() string { return "code=" + w.code() }
	for name, tt := range map[string]wireTest{
		"whole":                       {w.login(last), []string{ok}, 1, 1},
		"pipelined":                   {w.login() + w.login(last), []string{ok, ok}, 2, 2},
		"expect_continue":             {w.login("Expect: 100-continue", last), []string{"100", ok}, 1, 1},
		"expect_other":                {w.login("Expect: 200-ok", last), []string{"417"}, 0, 0},
		"body_larger_than_its_length": {form(loginLine, 3) + end + body() + "\r\n\r\n", []string{invalid, refused}, 1, 0},
		"body_of_a_get":               {form("GET /onLogin HTTP/1.1", 5, last) + end + "code=", []string{notAllowed}, 1, 0},
		"field_twice":                 {form(loginLine, 11, last) + end + "code=a&code", []string{invalid}, 1, 0},
		"method_override":             {form(loginLine, 0, "X-HTTP-Method-Override: GET", last) + end, []string{invalid}, 1, 0},
		"one_length_twice":            {form(loginLine, 5, "Content-Length: 5", last) + end + "code=", []string{invalid}, 1, 0},
		"two_lengths":                 {form(loginLine, 5, "Content-Length: 6") + end + "code=x", []string{refused}, 0, 0},
		"negative_length":             {form(loginLine, -1) + end, []string{refused}, 0, 0},
		"length_with_plus":            {length("+5") + "code=", []string{refused}, 0, 0},
		"length_in_hex":               {length("0x5") + "code=", []string{refused}, 0, 0},
		"length_too_large":            {length("99999999999999999999"), []string{refused}, 0, 0},
		"list_of_lengths":             {length("5, 5") + "code=", []string{refused}, 0, 0},
	} {
		t.Run(name, func(t *testing.T) { w.run(t, tt) })
	}
}

// A body in chunks is read, and ends its connection: what follows it is nobody's request.
func TestWire_chunked(t *testing.T) {
	w := newWire(t, listenerLimits)
	notImplemented := []string{"501 text/plain"}
	good := func() string {
		body := "code=" + w.code()
		return fmt.Sprintf("%x\r\n%s\r\n", len(body), body) + emptyChunk
	}
	for name, tt := range map[string]wireTest{
		"whole":            {coded("chunked") + good(), []string{ok}, 1, 1},
		"followed":         {coded("chunked") + good() + nextLogin, []string{ok}, 1, 1},
		"with_a_length":    {form(loginLine, 3, "Transfer-Encoding: chunked") + end + good() + nextLogin, []string{ok}, 1, 1},
		"twice":            {coded("chunked", "Transfer-Encoding: chunked") + emptyChunk, notImplemented, 0, 0},
		"other_coding":     {coded("xchunked") + emptyChunk, notImplemented, 0, 0},
		"identity":         {coded("identity"), notImplemented, 0, 0},
		"gzip_too":         {coded("gzip, chunked") + emptyChunk, notImplemented, 0, 0},
		"behind_a_control": {coded("\vchunked") + emptyChunk, []string{refused}, 0, 0},
		"size_no_number":   {coded("chunked") + "zz\r\ncode=\r\n" + emptyChunk, []string{invalid}, 1, 0},
		"size_negative":    {coded("chunked") + "-5\r\ncode=\r\n" + emptyChunk, []string{invalid}, 1, 0},
		"size_too_large":   {coded("chunked") + "fffffffffffffffff\r\ncode=\r\n" + emptyChunk, []string{invalid}, 1, 0},
		"longer_than_size": {coded("chunked") + "3\r\ncode=abc\r\n" + emptyChunk, []string{invalid}, 1, 0},
		"over_64_KiB": {coded("chunked") + "20000\r\n" + strings.Repeat("a", 0x20000) + end + emptyChunk,
			[]string{tooLarge}, 1, 0},
		"not_in_http_1_0": {form("POST /onLogin HTTP/1.0", 3, "Transfer-Encoding: chunked") + end + "cod",
			[]string{invalid}, 1, 0},
	} {
		t.Run(name, func(t *testing.T) { w.run(t, tt) })
	}
}

// A header that two readers could read differently is refused.
func TestWire_header(t *testing.T) {
	w := newWire(t, listenerLimits)
	for name, tt := range map[string]wireTest{
		"space_before_colon":  {form(loginLine, 0, "X : y") + end, []string{refused}, 0, 0},
		"space_before_name":   {head(loginLine, " X: y", "Host: x") + end, []string{refused}, 0, 0},
		"no_colon":            {form(loginLine, 0, "X") + end, []string{refused}, 0, 0},
		"empty_name":          {form(loginLine, 0, ": y") + end, []string{refused}, 0, 0},
		"bad_name":            {form(loginLine, 0, "X(: y") + end, []string{refused}, 0, 0},
		"nul":                 {form(loginLine, 0, "X: a\x00b") + end, []string{refused}, 0, 0},
		"bare_cr":             {form(loginLine, 0, "X: a\rb") + end, []string{refused}, 0, 0},
		"bare_lf_is_an_end":   {form(loginLine, 0, "X: a\nContent-Length: 1") + end, []string{refused}, 0, 0},
		"folded_is_one_value": {form(loginLine, 0, "X: a", " Content-Length: 7", last) + end, []string{invalid}, 1, 0},
		"no_host":             {head(loginLine, "Content-Length: 0") + end, []string{refused}, 0, 0},
		"two_hosts":           {form(loginLine, 0, "Host: y") + end, []string{refused}, 0, 0},
		"bad_host":            {head(loginLine, "Host: a/b c", "Content-Length: 0") + end, []string{refused}, 0, 0},
		"http_0_9":            {"GET /onLogin\r\n", []string{refused}, 0, 0},
		"http_1_0":            {form("POST /onLogin HTTP/1.0", 0) + end, []string{invalid}, 1, 0},
		"http_1_0_no_host":    {head("POST /onLogin HTTP/1.0", formType, "Content-Length: 0") + end, []string{invalid}, 1, 0},
		"http_2_0":            {head("GET / HTTP/2.0", "Host: x") + end, []string{"505 text/plain"}, 0, 0},
		"http_2_preface":      {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", []string{notAllowed}, 1, 0},
		"lower_case_protocol": {head("GET / http/1.1", "Host: x") + end, []string{refused}, 0, 0},
		"no_http":             {"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", []string{refused}, 0, 0},
		"too_large":           {form(loginLine, 0, "X: "+strings.Repeat("a", 20<<10)) + end, []string{"431 text/plain"}, 0, 0},
		"too_many":            {form(loginLine, 0, strings.Repeat("X: y\r\n", 4<<10)) + end, []string{"431 text/plain"}, 0, 0},
		"path_too_long":       {form("POST /"+strings.Repeat("a", 20<<10)+" HTTP/1.1", 0) + end, []string{"431 text/plain"}, 0, 0},
		"just_small_enough":   {form(loginLine, 0, "X: "+strings.Repeat("a", 15<<10), last) + end, []string{invalid}, 1, 0},
		"bad_method":          {form("PO(ST /onLogin HTTP/1.1", 0) + end, []string{refused}, 0, 0},
		"lower_case_method":   {form("post /onLogin HTTP/1.1", 0, last) + end, []string{notAllowed}, 1, 0},
	} {
		t.Run(name, func(t *testing.T) { w.run(t, tt) })
	}
}

// A path is one of ours letter by letter, or there is nothing; nobody is sent elsewhere.
func TestWire_targets(t *testing.T) {
	w := newWire(t, listenerLimits)
	for target, want := range map[string]string{
		"/onLogin": invalid, "http://elsewhere.example/onLogin": invalid, "/onLogin?code=x&next=//evil": invalid,
		"/": notFound, "/onlogin": notFound, "/onLogin/": notFound, "//onLogin": notFound, "/./onLogin": notFound,
		"/x/../onLogin": notFound, "/onLogin%2f": notFound, "/%6fnLogin": notFound, "/onLogin%00": notFound,
		"/onLogin;x": notFound, "/onLogin%3f": notFound, `/\onLogin`: notFound, "/.%2e/onLogin": notFound,
		"/healthz": notFound, "/readyz": notFound, "/metrics": notFound, "*": notFound,
		"/%zz": refused, "onLogin": refused, "": refused, "/on Login": refused,
	} {
		t.Run(strings.ReplaceAll(target, "/", "|"), func(t *testing.T) {
			tt := wireTest{send: form("POST "+target+" HTTP/1.1", 0, last) + end, answers: []string{want}, reached: 1}
			if want == refused {
				tt.reached = 0
			}
			w.run(t, tt)
		})
	}
	for line, want := range map[string]string{
		"GET /onLogin": notAllowed, "PUT /onLogin": notAllowed, "TRACE /onLogin": notAllowed, "OPTIONS /onLogin": notAllowed,
		"OPTIONS *": notFound, "CONNECT elsewhere.example:443": notFound, "CONNECT /onLogin": notAllowed,
		"MADEUP /onLogin": notAllowed,
	} {
		t.Run(strings.ReplaceAll(line, "/", "|"), func(t *testing.T) {
			w.run(t, wireTest{send: form(line+" HTTP/1.1", 0, last) + end, answers: []string{want}, reached: 1})
		})
	}
}
