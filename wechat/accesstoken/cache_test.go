package accesstoken_test

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"wxlogin/internal/testenv"
	"wxlogin/wechat"
	"wxlogin/wechat/accesstoken"
	"wxlogin/wechat/wechattest"
)

const (
	appID  = "wx0123456789abcdef"
	secret = "5ec2e7a9905ec2e7a9905ec2e7a99099"

	tokenKey = "wxlogin:access_token:" + appID
	lockKey  = tokenKey + ":lock"
)

// fixture is a simulator of WeChat and a Redis, whose time the test moves.
type fixture struct {
	*testing.T
	sim    *wechattest.Simulator
	client *wechat.Client
	redis  *testenv.Redis
	clock  *testenv.Clock
}

func newFixture(t *testing.T) *fixture {
	f := &fixture{T: t, redis: testenv.NewRedis(t), clock: testenv.NewClock()}
	f.sim = wechattest.New(wechattest.Options{Apps: map[string]string{appID: secret}, Now: f.clock.Now})
	server := httptest.NewServer(f.sim)
	t.Cleanup(server.Close)
	var err error
	if f.client, err = wechat.NewClient(wechat.Options{AppID: appID, Secret: secret, BaseURL: server.URL}); err != nil {
		t.Fatal(err)
	}
	return f
}

// cache makes one instance's cache.
func (f *fixture) cache(changes ...func(*accesstoken.Options)) *accesstoken.Cache {
	f.Helper()
	o := accesstoken.Options{
		Redis: f.redis.NewClient(f), AppID: appID, Secret: secret, Fetch: f.client.StableToken,
		MaxWait: 20 * time.Second, // the machine may be busy
	}
	for _, change := range changes {
		change(&o)
	}
	c, err := accesstoken.New(o)
	if err != nil {
		f.Fatal(err)
	}
	return c
}

func (f *fixture) pass(d time.Duration) {
	f.Helper()
	f.clock.Advance(d)
	f.redis.FastForward(f, d)
}

func (f *fixture) token(c *accesstoken.Cache, refused string) string {
	f.Helper()
	token, err := c.Token(f.Context(), refused)
	if err != nil {
		f.Fatal(err)
	}
	return token
}

// wantCalls fails unless WeChat was asked so often and made so many tokens.
func (f *fixture) wantCalls(calls, made int) {
	f.Helper()
	if s := f.sim.Stats(); s.TokenCalls != calls || s.TokensMade != made {
		f.Errorf("%d calls and %d tokens, want %d and %d", s.TokenCalls, s.TokensMade, calls, made)
	}
}

// together asks two instances 16 times each, at the same moment, and returns what tokens they get.
func (f *fixture) together(refused string) []string {
	f.Helper()
	instances := []*accesstoken.Cache{f.cache(), f.cache()}
	var got sync.Map
	var group sync.WaitGroup
	for n := range 32 {
		group.Go(func() {
			t, err := instances[n%2].Token(f.Context(), refused)
			if err != nil {
				f.Error(err)
			}
			got.Store(t, true)
		})
	}
	group.Wait()
	var tokens []string
	for t := range got.Range {
		tokens = append(tokens, t.(string))
	}
	return tokens
}

// oneTogether is together that must give one token to all.
func (f *fixture) oneTogether(refused string) string {
	f.Helper()
	tokens := f.together(refused)
	if len(tokens) != 1 {
		f.Fatalf("%d different tokens", len(tokens))
	}
	return tokens[0]
}

func TestToken_is_fetched_once_for_all_instances(t *testing.T) {
	f := newFixture(t)
	token := f.oneTogether("")
	f.wantCalls(1, 1)
	if f.token(f.cache(), "") != token {
		t.Error("a later instance gets another token")
	}
	f.wantCalls(1, 1)
	if left := f.redis.TTL(t, tokenKey); left > 119*time.Minute || left < 118*time.Minute {
		t.Errorf("kept for %s, want a minute less than WeChat's two hours", left)
	}
	if n := f.redis.TTL(t, lockKey); n != -2 {
		t.Error("the lock is still there")
	}
}

func TestToken_is_renewed_5_minutes_before_its_end(t *testing.T) {
	f := newFixture(t)
	c := f.cache()
	first := f.token(c, "")
	f.pass(114 * time.Minute)
	if f.token(c, "") != first {
		t.Error("renewed too early")
	}
	f.wantCalls(1, 1)
	f.pass(time.Minute + time.Second)
	f.together("") // one renews it, others may use the first one meanwhile
	f.wantCalls(2, 2)
	if f.oneTogether("") == first {
		t.Error("not renewed")
	}
	f.wantCalls(2, 2)
}

func TestToken_that_cannot_be_renewed_is_used_on(t *testing.T) {
	f := newFixture(t)
	c := f.cache()
	first := f.token(c, "")
	f.pass(116 * time.Minute)
	f.sim.FailAPI(wechattest.Tokens, wechattest.BadGateway)
	if f.token(c, "") != first {
		t.Error("another token")
	}
	f.wantCalls(2, 1)
	if f.token(c, "") == first {
		t.Error("the next call does not renew it")
	}
	f.wantCalls(3, 2)
}

func TestToken_that_another_instance_renews_is_used_meanwhile(t *testing.T) {
	f := newFixture(t)
	c := f.cache()
	first := f.token(c, "")
	f.pass(116 * time.Minute)
	f.lock()
	if f.token(c, "") != first {
		t.Error("another token")
	}
	f.wantCalls(1, 1)
}

// lock takes the lock as another instance would.
func (f *fixture) lock() {
	f.Helper()
	if err := f.redis.Client.Set(f.Context(), lockKey, "another", time.Hour).Err(); err != nil {
		f.Fatal(err)
	}
}

func isWeChatError(err error) bool {
	e, ok := errors.AsType[*wechat.Error](err)
	return ok && e.Kind == wechat.KindUnavailable && e.API == "stable_token"
}

func TestToken_waits_for_another_instance_for_a_bounded_time(t *testing.T) {
	f := newFixture(t)
	f.lock()
	c := f.cache(func(o *accesstoken.Options) { o.MaxWait = 50 * time.Millisecond })
	if _, err := c.Token(t.Context(), ""); !errors.Is(err, accesstoken.ErrBusy) || !isWeChatError(err) {
		t.Errorf("got %v, want ErrBusy and an error of package wechat", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(10*time.Millisecond, cancel)
	if _, err := f.cache().Token(ctx, ""); !errors.Is(err, context.Canceled) || !isWeChatError(err) {
		t.Errorf("got %v, want the end of the caller and an error of package wechat", err)
	}
	f.wantCalls(0, 0)
	f.pass(time.Hour) // the other one is dead, its lock ends
	f.token(c, "")
	f.wantCalls(1, 1)
}

func TestToken_after_a_failed_fetch_asks_again(t *testing.T) {
	f := newFixture(t)
	c := f.cache()
	f.sim.FailAPI(wechattest.Tokens, wechattest.ErrCode(40125))
	if _, err := c.Token(t.Context(), ""); wechat.KindOf(err) != wechat.KindMisconfigured {
		t.Errorf("got %v, want WeChat's error", err)
	}
	f.token(c, "")
	f.wantCalls(2, 1)
}

func TestToken_refused_because_it_expired_is_renewed_once_for_all_instances(t *testing.T) {
	f := newFixture(t)
	first := f.token(f.cache(), "")
	f.sim.ExpireAccessTokens()
	next := f.oneTogether(first)
	if next == first {
		t.Error("the refused token again")
	}
	f.wantCalls(2, 2)
	if f.token(f.cache(), first) != next || f.token(f.cache(), "") != next {
		t.Error("an instance that is late gets another token")
	}
	f.wantCalls(2, 2)
}

func TestToken_refused_although_WeChat_gives_it_is_forced_at_most_20_times_a_day(t *testing.T) {
	f := newFixture(t)
	first := f.token(f.cache(), "")
	forced := f.oneTogether(first)
	f.wantCalls(3, 2) // in normal mode it gave the refused one again
	if _, err := f.cache().Token(t.Context(), forced); !errors.Is(err, accesstoken.ErrRefused) {
		t.Errorf("forced again at once: %v", err)
	}
	f.wantCalls(4, 2)
	token := forced
	for range 25 { // more than a day
		f.pass(72*time.Minute + time.Second)
		next := f.token(f.cache(), token)
		if next == token {
			t.Fatal("the refused token again")
		}
		token = next
	}
	if s := f.sim.Stats(); len(s.ErrCodes) != 0 {
		t.Errorf("WeChat's limit was met: %v", s.ErrCodes)
	}
}

func TestToken_without_Redis_is_unavailable_and_asks_nobody(t *testing.T) {
	f := newFixture(t)
	c := f.cache(func(o *accesstoken.Options) {
		o.Redis = redis.NewClient(&redis.Options{Addr: "127.0.0.1:1", MaxRetries: -1, DialerRetries: 1})
	})
	if _, err := c.Token(t.Context(), ""); !errors.Is(err, accesstoken.ErrUnavailable) {
		t.Errorf("got %v", err)
	}
	f.wantCalls(0, 0)
}

func TestToken_is_sealed_in_Redis(t *testing.T) {
	f := newFixture(t)
	c := f.cache()
	token := f.token(c, "")
	dump := fmt.Sprint(f.redis.Dump(t))
	if strings.Contains(dump, token) || strings.Contains(dump, secret) || !strings.Contains(dump, tokenKey) {
		t.Error("Redis holds the token or the AppSecret, or not even the sealed token")
	}
	other := f.cache(func(o *accesstoken.Options) { o.Secret = wechat.Secret(strings.Repeat("f", 32)) })
	f.token(other, "")
	f.wantCalls(2, 1) // it could not read the first one's
}

func TestToken_takes_what_is_not_its_own_for_nothing(t *testing.T) {
	f := newFixture(t)
	c := f.cache()
	token := f.token(c, "")
	sealed := f.redis.Dump(t)[tokenKey]
	for name, spoil := range map[string]func() error{
		"empty":      func() error { return f.redis.Client.Set(t.Context(), tokenKey, "", time.Hour).Err() },
		"short":      func() error { return f.redis.Client.Set(t.Context(), tokenKey, "x", time.Hour).Err() },
		"altered":    func() error { return f.redis.Client.Set(t.Context(), tokenKey, sealed[1:]+"x", time.Hour).Err() },
		"other type": func() error { return f.redis.Client.Del(t.Context(), tokenKey).Err() },
	} {
		if err := spoil(); err != nil {
			t.Fatal(err)
		}
		if name == "other type" {
			if err := f.redis.Client.LPush(t.Context(), tokenKey, "x").Err(); err != nil {
				t.Fatal(err)
			}
		}
		calls := f.sim.Stats().TokenCalls
		if f.token(c, "") != token || f.sim.Stats().TokenCalls != calls+1 {
			t.Errorf("%s: WeChat was not asked", name)
		}
	}
}

// A token that belongs to another mini-program's key does not open under this one's.
func TestToken_of_another_mini_program_does_not_open(t *testing.T) {
	f := newFixture(t)
	f.token(f.cache(), "")
	sealed := f.redis.Dump(t)[tokenKey]
	var asked atomic.Int32
	other := f.cache(func(o *accesstoken.Options) {
		o.AppID = "wxother"
		o.Fetch = func(context.Context, bool) (string, time.Duration, error) {
			asked.Add(1)
			return "other", time.Hour, nil
		}
	})
	if err := f.redis.Client.Set(t.Context(), "wxlogin:access_token:wxother", sealed, time.Hour).Err(); err != nil {
		t.Fatal(err)
	}
	if f.token(other, "") != "other" || asked.Load() != 1 {
		t.Error("another mini-program's token was taken")
	}
}

func TestToken_that_is_about_to_end_is_not_kept(t *testing.T) {
	f := newFixture(t)
	c := f.cache(func(o *accesstoken.Options) {
		o.Fetch = func(context.Context, bool) (string, time.Duration, error) { return "short", time.Minute, nil }
	})
	if f.token(c, "") != "short" || len(f.redis.Dump(t)) != 0 {
		t.Error("it was kept, or not even given")
	}
}

func TestUnlock_leaves_another_instances_lock(t *testing.T) {
	f := newFixture(t)
	c := f.cache(func(o *accesstoken.Options) {
		o.Fetch = func(ctx context.Context, force bool) (string, time.Duration, error) {
			f.lock() // this one's ran out, and another took it
			return f.client.StableToken(ctx, force)
		}
	})
	f.token(c, "")
	if f.redis.Dump(t)[lockKey] != "another" {
		t.Error("the other instance's lock is gone")
	}
}

func TestUnlock_happens_although_the_caller_left(t *testing.T) {
	f := newFixture(t)
	ctx, cancel := context.WithCancel(t.Context())
	c := f.cache(func(o *accesstoken.Options) {
		o.Fetch = func(ctx context.Context, _ bool) (string, time.Duration, error) {
			cancel()
			return "", 0, ctx.Err()
		}
	})
	if _, err := c.Token(ctx, ""); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if len(f.redis.Dump(t)) != 0 {
		t.Error("the lock is still there")
	}
}

func TestToken_on_a_Redis_Cluster(t *testing.T) {
	f := newFixture(t)
	var parts []redis.ClusterSlot
	for n := range 3 {
		parts = append(parts, redis.ClusterSlot{
			Start: n * 16384 / 3, End: (n+1)*16384/3 - 1, Nodes: []redis.ClusterNode{{Addr: miniredis.RunT(t).Addr()}},
		})
	}
	cluster := redis.NewClusterClient(&redis.ClusterOptions{
		ClusterSlots: func(context.Context) ([]redis.ClusterSlot, error) { return parts, nil },
	})
	defer cluster.Close()
	c := f.cache(func(o *accesstoken.Options) { o.Redis = cluster })
	first := f.token(c, "")
	if f.token(c, "") != first || f.token(c, first) == first {
		t.Error("the token is not kept, or not replaced")
	}
	f.wantCalls(3, 2)
}

func TestNew_needs_all_parts(t *testing.T) {
	f := newFixture(t)
	for name, remove := range map[string]func(*accesstoken.Options){
		"redis":  func(o *accesstoken.Options) { o.Redis = nil },
		"appid":  func(o *accesstoken.Options) { o.AppID = "" },
		"secret": func(o *accesstoken.Options) { o.Secret = "" },
		"fetch":  func(o *accesstoken.Options) { o.Fetch = nil },
	} {
		o := accesstoken.Options{Redis: f.redis.NewClient(f), AppID: appID, Secret: secret, Fetch: f.client.StableToken}
		remove(&o)
		if _, err := accesstoken.New(o); err == nil {
			t.Errorf("without %s it is made", name)
		}
	}
}
