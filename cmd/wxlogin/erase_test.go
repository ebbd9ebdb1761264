package main

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/redis/go-redis/v9"

	"wxlogin/wechat/wechattest"
)

// killer is a TCP proxy in front of a database that kills a process when a number of further messages have come through.
type killer struct {
	target string
	addr   string
	shared *countdown
}

// countdown is what the killers of one process share.
type countdown struct {
	mu   sync.Mutex
	left int // messages until the kill; 0 = it is not armed
	kill func()
}

func (c *countdown) arm(n int, kill func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.left, c.kill = n, kill
}

// pass counts a message, and reports whether it may go on.
func (c *countdown) pass() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.left == 0 {
		return true
	}
	if c.left--; c.left > 0 {
		return true
	}
	c.kill()
	return false
}

func newKiller(t *testing.T, target string, shared *countdown) *killer {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	k := &killer{target, listener.Addr().String(), shared}
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			go k.serve(client)
		}
	}()
	return k
}

func (k *killer) serve(client net.Conn) {
	defer client.Close()
	server, err := net.Dial("tcp", k.target)
	if err != nil {
		return
	}
	defer server.Close()
	go func() {
		defer client.Close()
		copyAll(client, server, func() bool { return true })
	}()
	copyAll(server, client, k.shared.pass)
}

// copyAll copies what arrives, as far as pass allows.
func copyAll(to, from net.Conn, pass func() bool) {
	buffer := make([]byte, 64<<10)
	for {
		n, err := from.Read(buffer)
		if n > 0 && !pass() {
			return
		}
		if _, writeErr := to.Write(buffer[:n]); err != nil || writeErr != nil {
			return
		}
	}
}

// erasure is a server that is killed during erases, and what it keeps.
type erasure struct {
	t      *testing.T
	wechat *wechattest.Simulator
	env    []string
	kills  *countdown
	server *process
	url    string
	db     *sql.DB
	redis  *redis.Client
}

func newErasure(t *testing.T) *erasure {
	t.Helper()
	sim := wechattest.New(wechattest.Options{Apps: map[string]string{appID: secret}})
	weChat := httptest.NewServer(sim)
	t.Cleanup(weChat.Close)
	e := &erasure{t: t, wechat: sim, kills: &countdown{}, env: environ(t, "WECHAT_API_BASE="+weChat.URL)}
	if code := start(t, e.env, "migrate").exitCode(); code != exitOK {
		t.Fatal("migrate failed")
	}
	for i, variable := range e.env {
		name, value, _ := strings.Cut(variable, "=")
		switch name {
		case "MYSQL_DSN":
			var err error
			if e.db, err = sql.Open("mysql", value); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { e.db.Close() })
			_, rest, _ := strings.Cut(value, "@tcp(")
			target, _, _ := strings.Cut(rest, ")")
			e.env[i] = strings.Replace(variable, target, newKiller(t, target, e.kills).addr, 1)
		case "REDIS_URL":
			options, err := redis.ParseURL(value)
			if err != nil {
				t.Fatal(err)
			}
			e.redis = redis.NewClient(options)
			t.Cleanup(func() { e.redis.Close() })
			e.env[i] = strings.Replace(variable, options.Addr, newKiller(t, options.Addr, e.kills).addr, 1)
		}
	}
	e.start()
	return e
}

func (e *erasure) start() {
	e.t.Helper()
	e.server = start(e.t, e.env)
	e.url = fmt.Sprint("http://", e.server.wait("serving")["public"])
}

// post returns the status of a response, 0 if there is none, and its token, if it has one.
func (e *erasure) post(path string, form url.Values) (status int, token string) {
	res, err := http.PostForm(e.url+path, form)
	if err != nil {
		return 0, ""
	}
	defer res.Body.Close()
	var body struct{ Token string }
	if json.NewDecoder(res.Body).Decode(&body) != nil {
		return 0, ""
	}
	return res.StatusCode, body.Token
}

func (e *erasure) login(device *wechattest.Device) (token string) {
	e.t.Helper()
	status, token := e.post("/onLogin", url.Values{"code": {device.Login()}})
	if status != http.StatusOK {
		e.t.Fatalf("a login returns %d", status)
	}
	return token
}

// count returns a number that a query selects.
func (e *erasure) count(query string, args ...any) (n int) {
	e.t.Helper()
	if err := e.db.QueryRow(query, args...).Scan(&n); err != nil {
		e.t.Fatal(err)
	}
	return n
}

// A server that is killed at any message to MySQL or Redis during an erase leaves the user whole or erased, and after the
// next start the user is erased once, and no session is left.
func TestServe_KillDuringErase(t *testing.T) {
	e := newErasure(t)
	for n := 1; ; n++ {
		device := e.wechat.Device(appID, wechattest.User{Name: fmt.Sprintf("user %d", n)})
		token := e.login(device)
		e.login(device) // another session
		status, _ := e.post("/updateUserInfo", url.Values{"token": {token}, "nickName": {"林"}})
		if status != http.StatusOK {
			t.Fatalf("an update returns %d", status)
		}
		id := e.count("SELECT MAX(id) FROM users")
		e.kills.arm(n, func() { e.server.cmd.Process.Kill() })
		erase := url.Values{"token": {token}, "confirm": {"delete"}}
		status, _ = e.post("/deleteAccount", erase)
		e.kills.arm(0, nil)
		if status == 0 {
			e.server.exitCode()
			e.start()
			if again, _ := e.post("/deleteAccount", erase); again != http.StatusOK && again != http.StatusUnauthorized {
				t.Fatalf("killed at message %d: the next erase returns %d", n, again)
			}
		} else if status != http.StatusOK {
			t.Fatalf("message %d: the erase returns %d", n, status)
		}
		e.wantErased(n, id)
		if status == http.StatusOK {
			if n < 15 {
				t.Errorf("an erase takes only %d messages", n)
			}
			return
		}
	}
}

// wantErased waits until the server has worked off what is left, and checks that the user is erased once.
func (e *erasure) wantErased(n, id int) {
	e.t.Helper()
	waitFor(e.t, "the sessions to end", func() bool { return e.count("SELECT COUNT(*) FROM pending_deletions") == 0 })
	for query, want := range map[string]int{
		"SELECT COUNT(*) FROM users WHERE id = ? AND status = 4 AND nickname = ''": 1,
		"SELECT COUNT(*) FROM wechat_identities WHERE user_id = ?":                 0,
		"SELECT COUNT(*) FROM user_changes WHERE user_id = ? AND kind = 'erased'":  1,
	} {
		if got := e.count(query, id); got != want {
			e.t.Errorf("killed at message %d: %s: %d, want %d", n, query, got, want)
		}
	}
	keys, err := e.redis.Keys(e.t.Context(), "wxlogin:session*").Result()
	if err != nil || len(keys) != 0 {
		e.t.Errorf("killed at message %d: %d keys of sessions are left, %v", n, len(keys), err)
	}
}
