package main

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"runtime/debug"
	"strings"
	"syscall"
	"testing"

	"wxlogin/internal/testenv/mysqltest"
	"wxlogin/wechat/wechattest"
)

// gatedWeChat is a simulator whose exchanges announce themselves and wait for permission to go on.
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

// login returns the status of the response, or 0 if there is none.
func login(public, code string) int {
	res, err := http.PostForm(public+"/onLogin", url.Values{"code": {code}})
	if err != nil {
		return 0
	}
	res.Body.Close()
	return res.StatusCode
}

// pendingLogin is a server with a login in flight, which waits for WeChat.
type pendingLogin struct {
	*process
	weChat *gatedWeChat
	code   string
	status chan int
}

func startPendingLogin(t *testing.T, extra ...string) *pendingLogin {
	t.Helper()
	weChat, base := newGatedWeChat(t)
	env := environ(t, append(extra, "WECHAT_API_BASE="+base)...)
	if code := start(t, env, "migrate").exitCode(); code != exitOK {
		t.Fatalf("migrate: exit code %d", code)
	}
	w := &pendingLogin{process: start(t, env), weChat: weChat, status: make(chan int, 1)}
	public := "http://" + w.wait("serving")["public"].(string)
	w.code = weChat.Device(appID, wechattest.User{Name: "alice"}).Login()
	go func() { w.status <- login(public, w.code) }()
	<-weChat.arrived
	return w
}

// mustFinish lets WeChat respond. The login must succeed and the server must exit.
func (w *pendingLogin) mustFinish() {
	w.t.Helper()
	w.weChat.proceed <- struct{}{}
	if got := <-w.status; got != http.StatusOK {
		w.t.Errorf("the login in flight: %d", got)
	}
	if got := w.exitCode(); got != exitOK {
		w.t.Errorf("exit code %d:\n%s", got, w.log())
	}
}

func TestServe(t *testing.T) {
	t.Run("finishes requests in flight on SIGTERM", func(t *testing.T) {
		p := startPendingLogin(t)
		p.signal(syscall.SIGTERM)
		p.wait("stopping")
		p.mustFinish()
		if strings.Contains(p.log(), p.code) || strings.Contains(p.log(), secret) {
			t.Error("the log contains the code or the AppSecret")
		}
	})

	t.Run("is ready after migrate", func(t *testing.T) {
		env := environ(t)
		p := start(t, env)
		internal := p.wait("serving")["internal"].(string)
		check := func() int {
			return start(t, append(env, "INTERNAL_ADDR="+internal), "healthcheck").exitCode()
		}
		if got := check(); got != exitFailed {
			t.Errorf("healthcheck without tables: exit code %d, want %d", got, exitFailed)
		}
		for range 2 { // a second run is harmless
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
			t.Errorf("healthcheck without a server: exit code %d, want %d", got, exitFailed)
		}
	})

	// MySQL and MariaDB would reject emoji on a latin1 connection, so the server does not start.
	t.Run("rejects a connection that is not utf8mb4", func(t *testing.T) {
		env := environ(t)
		p := start(t, append(env, "MYSQL_DSN="+withCharset(mysqltest.New(t), "latin1")))
		if got := p.exitCode(); got != exitUsage {
			t.Errorf("exit code %d, want %d", got, exitUsage)
		}
		if !strings.Contains(p.log(), "utf8mb4") {
			t.Errorf("output:\n%s", p.log())
		}
	})

	t.Run("rejects an unreadable certificate", func(t *testing.T) {
		p := start(t, environ(t, "TLS_CERT_FILE=/nowhere/tls.crt", "TLS_KEY_FILE=/nowhere/tls.key"))
		if got := p.exitCode(); got != exitUsage {
			t.Errorf("exit code %d, want %d", got, exitUsage)
		}
		if !strings.Contains(p.log(), "TLS_CERT_FILE") {
			t.Errorf("output:\n%s", p.log())
		}
	})

	t.Run("reports every error of the configuration", func(t *testing.T) {
		p := start(t, []string{"WECHAT_SECRET=" + secret, "REDIS_URL=http://:pa55word@h", "LISTEN_ADDR=x"})
		if got := p.exitCode(); got != exitUsage {
			t.Errorf("exit code %d, want %d", got, exitUsage)
		}
		for _, want := range []string{"WECHAT_APPID", "MYSQL_DSN", "REDIS_URL", "LISTEN_ADDR"} {
			if !strings.Contains(p.log(), want) {
				t.Errorf("%s is missing", want)
			}
		}
		if strings.Contains(p.log(), "pa55word") || strings.Contains(p.log(), secret) {
			t.Error("the output contains a secret")
		}
	})
}

func withCharset(dsn, charset string) string {
	if strings.Contains(dsn, "?") {
		return dsn + "&charset=" + charset
	}
	return dsn + "?charset=" + charset
}

// current returns the current GC percentage and memory limit.
func current() (percent int, limit int64) {
	percent, limit = debug.SetGCPercent(-1), debug.SetMemoryLimit(-1)
	debug.SetGCPercent(percent)
	return percent, limit
}

func TestTuneGC(t *testing.T) {
	percent, limit := current()
	defer func() { debug.SetGCPercent(percent); debug.SetMemoryLimit(limit) }()
	t.Run("respects the environment", func(t *testing.T) {
		debug.SetGCPercent(77)
		debug.SetMemoryLimit(1 << 40)
		t.Setenv("GOGC", "77")
		t.Setenv("GOMEMLIMIT", "1TiB")
		tuneGC()
		if percent, limit := current(); percent != 77 || limit != 1<<40 {
			t.Errorf("%d %%, %d bytes", percent, limit)
		}
	})
	t.Run("sets the defaults otherwise", func(t *testing.T) {
		t.Setenv("GOGC", "")
		t.Setenv("GOMEMLIMIT", "")
		tuneGC()
		if percent, limit := current(); percent != gcPercent || limit != memoryLimit {
			t.Errorf("%d %%, %d bytes", percent, limit)
		}
	})
}

// A port in use may become free. An address that can never be valid is an error of the configuration.
func TestServe_Addresses(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	addr := taken.Addr().String()
	for _, variable := range []string{"LISTEN_ADDR", "INTERNAL_ADDR"} {
		for name, tt := range map[string]struct {
			addr string
			code int
			want string
		}{
			"taken":        {addr, exitFailed, addr},
			"no such port": {"127.0.0.1:65536", exitUsage, "65536"},
			"no such host": {"nowhere.invalid:0", exitUsage, "nowhere.invalid"},
		} {
			t.Run(variable+" "+name, func(t *testing.T) {
				p := start(t, environ(t, variable+"="+tt.addr, "INTERNAL_API_KEY=0123456789abcdef"))
				code := p.exitCode()
				if name == "no such host" && code == exitFailed && strings.Contains(p.log(), "server misbehaving") {
					t.Skip("this machine has no working name server")
				}
				if code != tt.code {
					t.Errorf("exit code %d, want %d", code, tt.code)
				}
				if log := p.log(); !strings.Contains(log, variable+": ") || !strings.Contains(log, tt.want) || strings.Contains(log, `"msg":"serving"`) {
					t.Errorf("output:\n%s", log)
				}
			})
		}
	}
	t.Run("both the same", func(t *testing.T) {
		p := start(t, environ(t, "LISTEN_ADDR=127.0.0.1:18080", "INTERNAL_ADDR=127.0.0.1:18080"))
		if code := p.exitCode(); code != exitUsage || !strings.Contains(p.log(), "INTERNAL_ADDR is the same as LISTEN_ADDR") {
			t.Errorf("exit code %d; output:\n%s", code, p.log())
		}
	})
}

func TestServe_UnknownVariables(t *testing.T) {
	const dsn = "wxlogin:pa55word@tcp(127.0.0.1:3306)/wxlogin"
	t.Run("next to the errors", func(t *testing.T) {
		for _, command := range []string{"serve", "migrate", "sweep"} {
			p := start(t, []string{"MYSQL_DNS=" + dsn, "WECHAT_SECRET=" + secret + "\r", "MYSQL_PORT=3306"}, command)
			if got := p.exitCode(); got != exitUsage {
				t.Errorf("%s: exit code %d, want %d", command, got, exitUsage)
			}
			for _, want := range []string{"MYSQL_DSN is not set", "MYSQL_DNS is not a variable of wxlogin: did you mean MYSQL_DSN?"} {
				if strings.Count(p.log(), want) != 1 {
					t.Errorf("%s does not print %q exactly once:\n%s", command, want, p.log())
				}
			}
			if strings.Contains(p.log(), "pa55word") || strings.Contains(p.log(), secret) || strings.Contains(p.log(), "MYSQL_PORT") {
				t.Errorf("%s prints a secret or a foreign variable", command)
			}
		}
	})
	t.Run("once if the server starts", func(t *testing.T) {
		p := start(t, environ(t, "REDIS_URI=redis://:pa55word@h", "REDIS_SERVICE_HOST=10.0.0.7"))
		p.wait("serving")
		p.signal(os.Interrupt)
		if got := p.exitCode(); got != exitOK {
			t.Errorf("exit code %d", got)
		}
		if got := strings.Count(p.log(), "REDIS_URI is not a variable of wxlogin: did you mean REDIS_URL?"); got != 1 {
			t.Errorf("warned %d times:\n%s", got, p.log())
		}
		if strings.Contains(p.log(), "pa55word") || strings.Contains(p.log(), "REDIS_SERVICE_HOST") {
			t.Error("the log contains a secret or a foreign variable")
		}
	})
}

// A write is durable after its response 200, even if the server is killed then, with any global settings of MySQL. The
// account does not have SUPER.
func TestServe_Durability(t *testing.T) {
	const nickName = `Bob "the' \ builder`
	s := mysqltest.RunServer(t)
	weChat := wechattest.New(wechattest.Options{Apps: map[string]string{appID: secret}})
	simulator := httptest.NewServer(weChat)
	defer simulator.Close()
	for i, global := range []string{"autocommit = OFF", "completion_type = 'CHAIN'", "sql_mode = ''", "sql_mode = 'ANSI'",
		"sql_mode = 'NO_BACKSLASH_ESCAPES'", "TRANSACTION ISOLATION LEVEL READ COMMITTED", "TRANSACTION ISOLATION LEVEL SERIALIZABLE"} {
		t.Run(global, func(t *testing.T) {
			s.Exec(t, "SET GLOBAL "+global)
			defer s.Exec(t, "SET GLOBAL autocommit = DEFAULT, completion_type = DEFAULT, sql_mode = DEFAULT",
				"SET GLOBAL TRANSACTION ISOLATION LEVEL REPEATABLE READ")
			dsn := s.NewDatabase(t, fmt.Sprint("app", i), "ALL")
			env := environ(t, "MYSQL_DSN="+dsn, "WECHAT_API_BASE="+simulator.URL)
			if code := start(t, env, "migrate").exitCode(); code != exitOK {
				t.Fatalf("migrate: exit code %d", code)
			}
			p := start(t, env)
			public := "http://" + p.wait("serving")["public"].(string)
			code := weChat.Device(appID, wechattest.User{Name: global}).Login()
			token := p.post(public+"/onLogin", url.Values{"code": {code}})["token"].(string)
			p.post(public+"/updateUserInfo", url.Values{"token": {token}, "nickName": {nickName}})
			p.signal(os.Kill)
			<-p.exit
			db, err := sql.Open("mysql", dsn)
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			var stored string
			if err := db.QueryRow("SELECT nickname FROM users").Scan(&stored); err != nil || stored != nickName {
				t.Errorf("nickname %q, %v", stored, err)
			}
		})
	}
}

// post sends a form. The response must be 200.
func (p *process) post(address string, form url.Values) (body map[string]any) {
	p.t.Helper()
	res, err := http.PostForm(address, form)
	if err != nil {
		p.t.Fatal(withoutURL(err))
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err == nil {
		err = json.Unmarshal(text, &body)
	}
	if err != nil || res.StatusCode != http.StatusOK {
		p.t.Fatalf("%s: %s, %v", address, res.Status, err)
	}
	return body
}
