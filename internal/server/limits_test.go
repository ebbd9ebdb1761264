package server_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"wxlogin/internal/server"
	"wxlogin/internal/testenv"
	"wxlogin/internal/testenv/mysqltest"
	"wxlogin/session"
	"wxlogin/wechat/wechattest"
)

// startWithLimits starts a server with tables and a simulator.
func startWithLimits(t *testing.T, c server.Config) *server.Server {
	t.Helper()
	var log testenv.Log
	s, err := server.Start(t.Context(), c, server.NewLogger(server.LogConfig{Format: "json"}, &log))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return s
}

func newSimulator(t *testing.T, c *server.Config) *wechattest.Simulator {
	t.Helper()
	sim := wechattest.New(wechattest.Options{Apps: map[string]string{c.App.AppID: c.App.Secret}})
	server := httptest.NewServer(sim)
	t.Cleanup(server.Close)
	c.WeChatAPIBase = server.URL
	return sim
}

// login logs Alice in, and tells the status of the answer and the token in it.
func login(t *testing.T, s *server.Server, sim *wechattest.Simulator) (status int, token string) {
	t.Helper()
	code := sim.Device("", wechattest.User{Name: "alice"}).Login()
	res, err := http.PostForm("http://"+s.PublicAddr()+"/onLogin", url.Values{"code": {code}})
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var answer struct{ Token string }
	if err := json.NewDecoder(res.Body).Decode(&answer); err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, answer.Token
}

// What one has let in, the other soon knows. Until then it lets a few more in, which are counted too.
func TestRateLimits_are_shared_by_instances_on_one_Redis(t *testing.T) {
	c := config(t)
	c.MySQLDSN = mysqltest.NewWithSchema(t)
	c.Limits.Logins = 10
	sim := newSimulator(t, &c)
	one, two := startWithLimits(t, c), startWithLimits(t, c)
	for i := range c.Limits.Logins {
		if status, _ := login(t, one, sim); status != http.StatusOK {
			t.Errorf("login %d: %d", i, status)
		}
	}
	if status, _ := login(t, one, sim); status != http.StatusTooManyRequests {
		t.Errorf("one login more: %d", status)
	}
	for more := 0; ; more++ {
		waitForLimits(t, c.RedisURL, c.Limits.Logins+more)
		if status, _ := login(t, two, sim); status == http.StatusTooManyRequests {
			break
		}
		if more == c.Limits.Logins/2 {
			t.Fatalf("the other instance has let %d in", more+1)
		}
	}
}

// waitForLimits waits until so many events are counted in Redis.
func waitForLimits(t *testing.T, url string, want int) {
	t.Helper()
	o, err := redis.ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	client := redis.NewClient(o)
	defer client.Close()
	for deadline := time.Now().Add(10 * time.Second); ; {
		sum := 0
		for _, key := range client.Keys(t.Context(), session.DefaultKeyPrefix+"rate:*").Val() {
			n, _ := client.Get(t.Context(), key).Int()
			sum += n
		}
		if sum == want {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d events are counted in Redis, want %d", sum, want)
		}
	}
}

// Without Redis each instance counts for itself, and it is not the limiter that fails a request.
func TestRateLimits_without_Redis(t *testing.T) {
	c := config(t)
	c.MySQLDSN, c.RedisURL = mysqltest.NewWithSchema(t), "redis://127.0.0.1:1"
	c.Limits.Logins = 2
	sim := newSimulator(t, &c)
	s := startWithLimits(t, c)
	for range 2 {
		if status, _ := login(t, s, sim); status != http.StatusServiceUnavailable { // the session cannot be kept
			t.Errorf("a login without Redis: %d", status)
		}
	}
	if status, _ := login(t, s, sim); status != http.StatusTooManyRequests {
		t.Errorf("one login more: %d", status)
	}
}

func TestBreaker_state_is_in_the_metrics(t *testing.T) {
	c := config(t)
	sim := newSimulator(t, &c)
	s := startWithLimits(t, c)
	metrics := func() string {
		_, body := get(t, "http://"+s.InternalAddr()+"/metrics")
		return body
	}
	if !strings.Contains(metrics(), `wxlogin_wechat_breaker_state{appid="`+c.App.AppID+`",state="closed"} 1`) {
		t.Error("the breaker is not closed")
	}
	for range 5 {
		sim.Fail(wechattest.Dropped)
		login(t, s, sim)
	}
	if text := metrics(); !strings.Contains(text, `wxlogin_wechat_breaker_state{appid="`+c.App.AppID+`",state="closed"} 0`) {
		t.Error("the breaker is still closed")
	}
}
