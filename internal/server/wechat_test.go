package server_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"wxlogin/internal/server"
	"wxlogin/internal/testenv"
	"wxlogin/internal/testenv/mysqltest"
	"wxlogin/wechat/wechattest"
)

// twoInstances are two servers on one MySQL, one Redis and one simulator of WeChat.
type twoInstances struct {
	*testing.T
	servers [2]*server.Server
	sim     *wechattest.Simulator
	redis   *testenv.Redis
	phone   *wechattest.Device
	token   string // of the phone's user
}

func startTwo(t *testing.T) *twoInstances {
	t.Helper()
	c, redis := newConfig(t), testenv.NewRedis(t)
	c.MySQLDSN, c.RedisURL = mysqltest.NewWithSchema(t), redis.URL
	s := &twoInstances{T: t, redis: redis, sim: newSimulator(t, &c)}
	for i := range s.servers {
		s.servers[i] = startServer(t, c)
	}
	s.phone = s.sim.Device("", wechattest.User{Name: "alice"})
	_, s.token = login(t, s.servers[0], s.sim)
	return s
}

// bind sends a new phone code to one of the servers and returns the status and the error code of the response.
func (s *twoInstances) bind(server int) (int, string) {
	s.Helper()
	res, err := http.PostForm("http://"+s.servers[server].PublicAddr()+"/bindPhone",
		url.Values{"token": {s.token}, "code": {s.phone.PhoneCode()}})
	if err != nil {
		s.Error(err)
		return 0, ""
	}
	defer res.Body.Close()
	var body struct{ Code string }
	if err := json.NewDecoder(res.Body).Decode(&body); err != nil {
		s.Error(err)
	}
	return res.StatusCode, body.Code
}

func (s *twoInstances) want(server, status int, code string) {
	s.Helper()
	if gotStatus, gotCode := s.bind(server); gotStatus != status || gotCode != code {
		s.Errorf("got %d %s, want %d %s", gotStatus, gotCode, status, code)
	}
}

// wantCalls checks the numbers of calls of stable_token, of tokens it made, and of calls of getuserphonenumber.
func (s *twoInstances) wantCalls(tokenCalls, tokensMade, phoneCalls int) {
	s.Helper()
	if got := s.sim.Stats(); got.TokenCalls != tokenCalls || got.TokensMade != tokensMade || got.PhoneCalls != phoneCalls {
		s.Errorf("calls %+v, want %d for %d tokens, and %d for numbers", got, tokenCalls, tokensMade, phoneCalls)
	}
}

func TestPhoneNumbers(t *testing.T) {
	t.Run("share one access_token over all instances", func(t *testing.T) {
		s := startTwo(t)
		s.wantCalls(0, 0, 0) // a login needs none
		s.want(0, 200, "")
		s.want(1, 200, "")
		s.wantCalls(1, 1, 2)
		if dump := fmt.Sprint(s.redis.Dump(t)); strings.Contains(dump, s.sim.AccessTokens("")[0]) {
			t.Error("Redis shows the access_token")
		}

		s.sim.ExpireAccessTokens()
		var group sync.WaitGroup
		for server := range 2 {
			group.Go(func() { s.want(server, 200, "") })
		}
		group.Wait()
		s.want(0, 200, "")
		if got := s.sim.Stats(); got.TokenCalls != 2 || got.TokensMade != 2 {
			t.Errorf("%d calls for %d tokens, want 2 for 2: one refresh by one instance", got.TokenCalls, got.TokensMade)
		}
	})

	t.Run("fail without an access_token", func(t *testing.T) {
		s := startTwo(t)
		s.sim.FailAPI(wechattest.Tokens, wechattest.ErrCode(40125), wechattest.BadGateway)
		s.want(0, 503, "misconfigured")
		s.want(1, 503, "wechat_unavailable")
		s.wantCalls(2, 0, 0)
		if status, _ := login(t, s.servers[0], s.sim); status != http.StatusOK {
			t.Errorf("a login: %d", status)
		}
		s.want(0, 200, "")
	})

	// Logins go on because phone numbers have a separate circuit breaker.
	t.Run("do not stop logins if they fail", func(t *testing.T) {
		s := startTwo(t)
		s.want(0, 200, "")
		before := s.sim.Stats().PhoneCalls
		for range 12 {
			s.sim.FailAPI(wechattest.PhoneNumbers, wechattest.Dropped)
			s.want(0, 503, "wechat_unavailable")
		}
		if n := s.sim.Stats().PhoneCalls - before; n >= 12 {
			t.Errorf("%d calls: the breaker did not open", n)
		}
		if status, _ := login(t, s.servers[0], s.sim); status != http.StatusOK {
			t.Errorf("a login: %d", status)
		}
	})
}

// If WeChat refuses a token, it is replaced once and the call repeated once. There is no loop.
func TestPhoneNumbers_RefusedToken(t *testing.T) {
	for _, errCode := range []int{40001, 40014, 42001} {
		t.Run(fmt.Sprint(errCode), func(t *testing.T) {
			s := startTwo(t)
			s.sim.FailAPI(wechattest.PhoneNumbers, wechattest.ErrCode(errCode))
			s.want(0, 200, "")
			s.wantCalls(3, 2, 2) // normal mode returned the refused token, so a new one was forced

			s.sim.FailAPI(wechattest.PhoneNumbers, slices.Repeat([]wechattest.Fault{wechattest.ErrCode(errCode)}, 3)...)
			s.want(0, 503, "misconfigured")
			s.wantCalls(4, 2, 3) // a token may not be forced again so soon
			s.sim.ExpireAccessTokens()
			s.want(1, 503, "misconfigured") // the third fault hits the repeated call
			s.wantCalls(5, 3, 5)
			s.want(1, 200, "")
		})
	}
}
