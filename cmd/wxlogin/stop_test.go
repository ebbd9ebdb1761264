package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"wxlogin/wechat/wechattest"
)

// loginLoad has clients that log in repeatedly, each as another user, until the server accepts no more connections.
type loginLoad struct {
	t         *testing.T
	wechat    *wechattest.Simulator
	url       string
	clients   sync.WaitGroup
	succeeded atomic.Int64 // complete responses with 200
	closing   atomic.Int64 // those that closed their connection
}

// run is one client. Only connecting may fail: a request that was sent must get a complete response.
func (l *loginLoad) run(user string, keepAlive bool) {
	transport := &http.Transport{DisableKeepAlives: !keepAlive}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport}
	phone := l.wechat.Device(appID, wechattest.User{Name: user})
	for {
		res, err := client.PostForm(l.url, url.Values{"code": {phone.Login()}})
		if dial, ok := errors.AsType[*net.OpError](err); ok && dial.Op == "dial" {
			return
		}
		if err == nil {
			err = l.read(res, keepAlive)
		}
		if err != nil {
			l.t.Errorf("%s: a request was cut off: %v", user, withoutURL(err))
			return
		}
	}
}

// read reads a response to its end.
func (l *loginLoad) read(res *http.Response, keepAlive bool) error {
	defer res.Body.Close()
	var body struct{ Status int }
	if err := json.NewDecoder(res.Body).Decode(&body); err != nil {
		return err
	}
	if res.StatusCode != http.StatusOK || body.Status != http.StatusOK {
		return fmt.Errorf("the response is %s", res.Status)
	}
	l.succeeded.Add(1)
	if keepAlive && res.Close {
		l.closing.Add(1)
	}
	return nil
}

// withoutURL returns the cause of a client's error.
func withoutURL(err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		return e.Err
	}
	return err
}

// waitFor polls until done returns true.
func waitFor(t *testing.T, what string, done func() bool) {
	t.Helper()
	ticker := time.NewTicker(time.Millisecond)
	defer ticker.Stop()
	for deadline := time.Now().Add(30 * time.Second); !done(); <-ticker.C {
		if time.Now().After(deadline) {
			t.Fatalf("not within 30 s: %s", what)
		}
	}
}

func TestServe_StopUnderLoad(t *testing.T) {
	weChat := wechattest.New(wechattest.Options{Apps: map[string]string{appID: secret}})
	simulator := httptest.NewServer(weChat)
	defer simulator.Close()
	env := environ(t, "WECHAT_API_BASE="+simulator.URL, "SHUTDOWN_DELAY=600ms", "LOGIN_RATE_LIMIT=0", "MAX_LOGINS_IN_FLIGHT=0")
	if code := start(t, env, "migrate").exitCode(); code != exitOK {
		t.Fatalf("migrate: exit code %d", code)
	}
	p := start(t, env)
	serving := p.wait("serving")

	l := &loginLoad{t: t, wechat: weChat, url: "http://" + serving["public"].(string) + "/onLogin"}
	for i := range 4 {
		l.clients.Go(func() { l.run(fmt.Sprintf("keeps-%d", i), true) })
		l.clients.Go(func() { l.run(fmt.Sprintf("fresh-%d", i), false) })
	}
	waitFor(t, "the load is on", func() bool { return l.succeeded.Load() > 50 })
	p.signal(syscall.SIGTERM)
	p.wait("stopping")
	before := l.succeeded.Load()
	waitFor(t, "readyz is 503", func() bool {
		res, err := http.Get("http://" + serving["internal"].(string) + "/readyz")
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		return res.StatusCode == http.StatusServiceUnavailable
	})
	l.clients.Wait()
	if got := p.exitCode(); got != exitOK {
		t.Errorf("exit code %d", got)
	}
	p.wantNoWarnings("stopping")
	if during := l.succeeded.Load() - before; during == 0 || l.closing.Load() == 0 {
		t.Errorf("%d logins were served during the stop, %d of them closed their connection", during, l.closing.Load())
	}
}

func TestServe_Stop(t *testing.T) {
	// Requests in flight keep their time.
	t.Run("ends the delay on a second signal", func(t *testing.T) {
		p := startPendingLogin(t, "SHUTDOWN_DELAY=1m")
		p.signal(syscall.SIGTERM)
		p.wait("stopping")
		p.signal(syscall.SIGINT)
		p.wait("closing listeners")
		p.mustFinish()
	})

	t.Run("stops while it waits for MySQL", func(t *testing.T) {
		addr, accepted := silentMySQL(t)
		p := start(t, environ(t, "MYSQL_DSN=root@tcp("+addr+")/wxlogin", "SHUTDOWN_DELAY=1m"))
		conn := <-accepted
		defer conn.Close()
		p.signal(syscall.SIGTERM)
		p.wait("stopped during startup")
		if got := p.exitCode(); got != exitOK {
			t.Errorf("exit code %d", got)
		}
	})
}

// silentMySQL accepts one connection and sends nothing. accepted receives the connection.
func silentMySQL(t *testing.T) (addr string, accepted <-chan net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	first := make(chan net.Conn, 1)
	go func() {
		if conn, err := l.Accept(); err == nil {
			first <- conn
		}
	}()
	return l.Addr().String(), first
}
