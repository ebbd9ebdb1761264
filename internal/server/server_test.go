package server_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"wxlogin/internal/config"
	"wxlogin/internal/redisclient"
	"wxlogin/internal/server"
	"wxlogin/internal/testenv"
	"wxlogin/internal/testenv/mysqltest"
	"wxlogin/internal/testenv/redistest"
	"wxlogin/session"
	"wxlogin/wechat/wechattest"
)

const testSecret = "5ec2e7a9905ec2e7a9905ec2e7a99099"

func newConfig(t *testing.T) config.Config {
	return config.Config{
		App:      config.SingleApp{AppID: "wx0123456789abcdef", Secret: testSecret},
		MySQLDSN: mysqltest.New(t), RedisURL: redistest.NewServer(t).URL,
		ListenAddr: "127.0.0.1:0", InternalAddr: "127.0.0.1:0", WeChatAPIBase: "http://127.0.0.1:1",
		SessionIdleTTL: time.Hour, SessionMaxTTL: 2 * time.Hour,
	}
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	res, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(b)
}

func TestStart(t *testing.T) {
	t.Run("serves until Shutdown", func(t *testing.T) {
		c := newConfig(t)
		s, err := server.Start(t.Context(), c, server.Options{Logger: config.Log{}.NewLogger(io.Discard)})
		if err != nil {
			t.Fatal(err)
		}
		if status, body := get(t, "http://"+s.InternalAddr()+"/readyz"); status != http.StatusServiceUnavailable {
			t.Errorf("readyz without tables: %d %s", status, body)
		}
		if _, err := server.Migrate(t.Context(), config.Migrate{MySQLDSN: c.MySQLDSN}, slog.New(slog.DiscardHandler)); err != nil {
			t.Fatal(err)
		}
		if status, body := get(t, "http://"+s.InternalAddr()+"/readyz"); status != http.StatusOK {
			t.Errorf("readyz: %d %s", status, body)
		}
		if err := s.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		for _, addr := range []string{s.PublicAddr(), s.InternalAddr()} {
			if c, err := net.Dial("tcp", addr); err == nil {
				c.Close()
				t.Errorf("%s is still open", addr)
			}
		}
	})

	t.Run("names the variable of a port in use and leaves nothing open", func(t *testing.T) {
		taken, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer taken.Close()
		c := newConfig(t)
		c.InternalAddr = taken.Addr().String()
		free, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		c.ListenAddr = free.Addr().String()
		free.Close()
		if _, err := server.Start(t.Context(), c, server.Options{Logger: config.Log{}.NewLogger(io.Discard)}); err == nil || !strings.Contains(err.Error(), "INTERNAL_ADDR") {
			t.Fatalf("Start: %v", err)
		}
		again, err := net.Listen("tcp", c.ListenAddr)
		if err != nil {
			t.Fatalf("the other port is still open: %v", err)
		}
		again.Close()
	})

	t.Run("logs that the database must be migrated", func(t *testing.T) {
		c := newConfig(t)
		for _, want := range []bool{true, false} {
			var log testenv.Log
			s, err := server.Start(t.Context(), c, server.Options{Logger: config.Log{Format: "json"}.NewLogger(&log)})
			if err != nil {
				t.Fatal(err)
			}
			if err := s.Shutdown(context.Background()); err != nil {
				t.Error(err)
			}
			if got := strings.Contains(log.String(), "wxlogin migrate"); got != want {
				t.Errorf("logged %v, want %v:\n%s", got, want, log.String())
			}
			if _, err := server.Migrate(t.Context(), config.Migrate{MySQLDSN: c.MySQLDSN}, slog.New(slog.DiscardHandler)); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// A server starts although its databases are down, so that the order of starts does not matter. It is not ready.
func TestStart_WithoutDatabases(t *testing.T) {
	c := newConfig(t)
	c.MySQLDSN, c.RedisURL = "root@tcp(127.0.0.1:1)/wxlogin", "redis://127.0.0.1:1"
	var log testenv.Log
	logger := config.Log{Format: "json"}.NewLogger(&log)
	redisclient.RouteLogs(logger)
	const oldGo = 1 // the warning about an old Go release
	s, err := server.Start(t.Context(), c, server.Options{Logger: logger})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Shutdown(t.Context())
	status, body := get(t, "http://"+s.InternalAddr()+"/readyz")
	if status != http.StatusServiceUnavailable || !strings.Contains(body, `"mysql":"failed"`) || !strings.Contains(body, `"redis":"failed"`) {
		t.Errorf("readyz: %d %s", status, body)
	}
	if status, _ := get(t, "http://"+s.InternalAddr()+"/healthz"); status != http.StatusOK {
		t.Errorf("healthz: %d", status)
	}
	for range 3 { // further failures are not logged
		get(t, "http://"+s.InternalAddr()+"/readyz")
	}
	for _, part := range []string{"mysql", "redis"} {
		if n := strings.Count(log.String(), part+" is not ready; waiting for it"); n != 1 {
			t.Errorf("the log says %d times that %s is away:\n%s", n, part, log.String())
		}
	}
	if n := strings.Count(log.String(), `"level":"WARN"`) + strings.Count(log.String(), `"level":"ERROR"`); n > 2+oldGo {
		t.Errorf("the log has %d warnings:\n%s", n, log.String())
	}
}

// Start fails if only another configuration of Redis can help. If Redis may become usable, the server starts.
func TestStart_ChecksRedis(t *testing.T) {
	for name, test := range map[string]struct {
		setting, path string
		starts        bool
	}{
		"another database": {"databases 2", "/2", false},
		"without GETEX":    {`rename-command GETEX ""`, "", false},
		"replica":          {"replicaof 127.0.0.1 1", "", true},
	} {
		t.Run(name, func(t *testing.T) {
			c := newConfig(t)
			redis := redistest.RunServer(t, test.setting)
			c.RedisURL = "redis://" + redis.Addr + test.path
			if _, err := server.Migrate(t.Context(), config.Migrate{MySQLDSN: c.MySQLDSN}, slog.New(slog.DiscardHandler)); err != nil {
				t.Fatal(err)
			}
			s, err := server.Start(t.Context(), c, server.Options{Logger: config.Log{}.NewLogger(io.Discard)})
			if !test.starts {
				if !errors.Is(err, server.ErrMisconfigured) || !strings.HasPrefix(err.Error(), "REDIS_URL: ") {
					t.Fatalf("Start: %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			defer s.Shutdown(t.Context())
			status, body := get(t, "http://"+s.InternalAddr()+"/readyz")
			if status != http.StatusServiceUnavailable || !strings.Contains(body, `"redis":"failed"`) {
				t.Errorf("readyz: %d %s", status, body)
			}
		})
	}
}

func TestStart_InvalidConfig(t *testing.T) {
	for name, change := range map[string]func(*config.Config){
		"redis url": func(c *config.Config) { c.RedisURL = "http://x" },
		"dsn":       func(c *config.Config) { c.MySQLDSN = "x" },
		"apps":      func(c *config.Config) { c.App = config.SingleApp{} },
		"secret":    func(c *config.Config) { c.App.Secret = "" },
		"ttl":       func(c *config.Config) { c.SessionIdleTTL = time.Millisecond },
	} {
		t.Run(name, func(t *testing.T) {
			c := newConfig(t)
			change(&c)
			if s, err := server.Start(t.Context(), c, server.Options{Logger: config.Log{}.NewLogger(io.Discard)}); err == nil {
				s.Shutdown(t.Context())
				t.Error("it started")
			}
		})
	}
}

// startServer starts a server and stops it after the test.
func startServer(t *testing.T, c config.Config) *server.Server {
	t.Helper()
	var log testenv.Log
	s, err := server.Start(t.Context(), c, server.Options{Logger: config.Log{Format: "json"}.NewLogger(&log), StorageTimeout: time.Minute})
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

func newSimulator(t *testing.T, c *config.Config) *wechattest.Simulator {
	t.Helper()
	sim := wechattest.New(wechattest.Options{Apps: map[string]string{c.App.AppID: c.App.Secret}})
	server := httptest.NewServer(sim)
	t.Cleanup(server.Close)
	c.WeChatAPIBase = server.URL
	return sim
}

// login logs Alice in. It returns the status of the response and its token.
func login(t *testing.T, s *server.Server, sim *wechattest.Simulator) (status int, token string) {
	t.Helper()
	code := sim.Device("", wechattest.User{Name: "alice"}).Login()
	res, err := http.PostForm("http://"+s.PublicAddr()+"/onLogin", url.Values{"code": {code}})
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var body struct{ Token string }
	if err := json.NewDecoder(res.Body).Decode(&body); err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, body.Token
}

func TestRateLimits(t *testing.T) {
	// The second instance learns of the counts of the first with the next flush. Until then it allows a few more logins, which
	// are counted too.
	t.Run("are shared by instances on one Redis", func(t *testing.T) {
		c := newConfig(t)
		c.MySQLDSN = mysqltest.NewWithSchema(t)
		c.Limits.Logins = 10
		sim := newSimulator(t, &c)
		one, two := startServer(t, c), startServer(t, c)
		for i := range c.Limits.Logins {
			if status, _ := login(t, one, sim); status != http.StatusOK {
				t.Errorf("login %d: %d", i, status)
			}
		}
		if status, _ := login(t, one, sim); status != http.StatusTooManyRequests {
			t.Errorf("the next login: %d", status)
		}
		for more := 0; ; more++ {
			waitForLimits(t, c.RedisURL, c.Limits.Logins+more)
			if status, _ := login(t, two, sim); status == http.StatusTooManyRequests {
				break
			}
			if more == c.Limits.Logins/2 {
				t.Fatalf("the other instance has allowed %d logins", more+1)
			}
		}
	})

	// The limiter does not fail requests.
	t.Run("are counted locally without Redis", func(t *testing.T) {
		c := newConfig(t)
		c.MySQLDSN, c.RedisURL = mysqltest.NewWithSchema(t), "redis://127.0.0.1:1"
		c.Limits.Logins = 2
		sim := newSimulator(t, &c)
		s := startServer(t, c)
		for range 2 {
			if status, _ := login(t, s, sim); status != http.StatusServiceUnavailable { // the session cannot be stored
				t.Errorf("a login without Redis: %d", status)
			}
		}
		if status, _ := login(t, s, sim); status != http.StatusTooManyRequests {
			t.Errorf("the next login: %d", status)
		}
	})
}

// The internal listener's POST /decrypt and the public listener share one limit of failed decryptions, and one store of
// sessions.
func TestFailedUpdateLimit_BothListeners(t *testing.T) {
	c := newConfig(t)
	c.MySQLDSN = mysqltest.NewWithSchema(t)
	c.Limits.FailedUpdates = 2
	sim := newSimulator(t, &c)
	s := startServer(t, c)
	_, token := login(t, s, sim)
	post := func(address string, data wechattest.SealedData) int {
		t.Helper()
		res, err := http.PostForm("http://"+address, url.Values{"token": {token}, "encryptedData": {data.EncryptedData}, "iv": {data.IV}})
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		return res.StatusCode
	}
	good := sim.Device("", wechattest.User{Name: "alice"}).GetWeRunData()
	bad := wechattest.SealedData{EncryptedData: good.IV, IV: good.IV}
	decrypt, update := s.InternalAddr()+"/decrypt", s.PublicAddr()+"/updateUserInfo"
	for i, step := range []struct {
		address string
		data    wechattest.SealedData
		want    int
	}{
		{decrypt, good, 200}, {decrypt, bad, 422}, {update, bad, 422}, {decrypt, good, 429}, {update, bad, 429},
	} {
		if got := post(step.address, step.data); got != step.want {
			t.Errorf("request %d: %d, want %d", i, got, step.want)
		}
	}
}

// waitForLimits waits until the sum of all counts in Redis is want.
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

func TestBreaker_Metrics(t *testing.T) {
	c := newConfig(t)
	sim := newSimulator(t, &c)
	s := startServer(t, c)
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

// Sessions outlive a change of the AppSecret until the previous one is removed.
func TestPreviousSecret(t *testing.T) {
	c := newConfig(t)
	c.MySQLDSN = mysqltest.NewWithSchema(t)
	sim := newSimulator(t, &c)
	_, token := login(t, startServer(t, c), sim)

	update := func(c config.Config) int {
		data := sim.Device("", wechattest.User{Name: "alice"}).GetUserInfo()
		res, err := http.PostForm("http://"+startServer(t, c).PublicAddr()+"/updateUserInfo",
			url.Values{"token": {token}, "encryptedData": {data.EncryptedData}, "iv": {data.IV}})
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		return res.StatusCode
	}
	c.App.Secret, c.App.PreviousSecret = strings.Repeat("f", 32), c.App.Secret
	if status := update(c); status != http.StatusOK {
		t.Errorf("with the previous secret: %d", status)
	}
	c.App.PreviousSecret = ""
	if status := update(c); status != http.StatusUnauthorized {
		t.Errorf("without it: %d", status)
	}
}

// internalKey is the key of the internal listener of twoInstances.
const internalKey = "a-key-that-is-shared"

// twoInstances are two servers on one MySQL, one Redis and one simulator of WeChat.
type twoInstances struct {
	*testing.T
	servers [2]*server.Server
	sim     *wechattest.Simulator
	redis   *redistest.Redis
	phone   *wechattest.Device
	token   string // of the phone's user
}

func startTwo(t *testing.T) *twoInstances {
	t.Helper()
	c, redis := newConfig(t), redistest.NewServer(t)
	c.MySQLDSN, c.RedisURL = mysqltest.NewWithSchema(t), redis.URL
	c.InternalAPIKey, c.AccessTokenAPI = internalKey, true
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
			s.redis.FastForward(t, 10*time.Second) // until WeChat is asked again
			s.want(1, 503, "misconfigured")        // the third fault hits the repeated call
			s.wantCalls(5, 3, 5)
			s.want(1, 200, "")
		})
	}
}
