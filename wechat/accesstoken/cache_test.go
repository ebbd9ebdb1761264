package accesstoken_test

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"wxlogin/internal/testenv"
	"wxlogin/internal/testenv/redistest"
	"wxlogin/wechat"
	"wxlogin/wechat/accesstoken"
	"wxlogin/wechat/wechattest"
)

const (
	appID  = "wx0123456789abcdef"
	secret = "5ec2e7a9905ec2e7a9905ec2e7a99099"
)

// fixture is a simulator of WeChat and a Redis. The test moves their clocks.
type fixture struct {
	*testing.T
	sim    *wechattest.Simulator
	client *wechat.Client
	redis  *redistest.Redis
	clock  *testenv.Clock
}

func newFixture(t *testing.T) *fixture {
	f := &fixture{T: t, redis: redistest.New(t), clock: testenv.NewClock()}
	f.sim = wechattest.New(wechattest.Options{Apps: map[string]string{appID: secret}, Now: f.clock.Now})
	server := httptest.NewServer(f.sim)
	t.Cleanup(server.Close)
	var err error
	if f.client, err = wechat.NewClient(wechat.Options{AppID: appID, Secret: secret, BaseURL: server.URL}); err != nil {
		t.Fatal(err)
	}
	return f
}

func (f *fixture) tokenKey() string { return f.redis.Prefix + "access_token:" + appID }

func (f *fixture) lockKey() string { return f.tokenKey() + ":lock" }

// cache returns the Cache of one more instance.
func (f *fixture) cache(changes ...func(*accesstoken.Options)) *accesstoken.Cache {
	f.Helper()
	o := accesstoken.Options{
		Redis: f.redis.NewClient(f), KeyPrefix: f.redis.Prefix, AppID: appID, Secret: secret, Fetch: f.client.StableToken,
		MaxWait: 20 * time.Second, // the test machine may be slow
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

func (f *fixture) advance(d time.Duration) {
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
	return string(token.Value)
}

// wantCalls fails unless stable_token was called this often and created this many tokens.
func (f *fixture) wantCalls(calls, made int) {
	f.Helper()
	if s := f.sim.Stats(); s.TokenCalls != calls || s.TokensMade != made {
		f.Errorf("%d calls and %d tokens, want %d and %d", s.TokenCalls, s.TokensMade, calls, made)
	}
}

// tokensConcurrently calls Token of two instances 16 times each, concurrently, and returns the different results.
func (f *fixture) tokensConcurrently(refused string) []string {
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
			got.Store(string(t.Value), true)
		})
	}
	group.Wait()
	var tokens []string
	for t := range got.Range {
		tokens = append(tokens, t.(string))
	}
	return tokens
}

// oneTokenConcurrently is tokensConcurrently and fails unless all results are the same token.
func (f *fixture) oneTokenConcurrently(refused string) string {
	f.Helper()
	tokens := f.tokensConcurrently(refused)
	if len(tokens) != 1 {
		f.Fatalf("%d different tokens", len(tokens))
	}
	return tokens[0]
}

func TestCache_Token(t *testing.T) {
	t.Run("is fetched once for all instances", func(t *testing.T) {
		f := newFixture(t)
		token := f.oneTokenConcurrently("")
		f.wantCalls(1, 1)
		if f.token(f.cache(), "") != token {
			t.Error("a later instance gets another token")
		}
		f.wantCalls(1, 1)
		if left := f.redis.TTL(t, f.tokenKey()); left > 119*time.Minute || left < 118*time.Minute {
			t.Errorf("cached for %s, want a minute less than WeChat's two hours", left)
		}
		if n := f.redis.TTL(t, f.lockKey()); n != -2 {
			t.Error("the lock is still there")
		}
	})

	t.Run("waits for another instance for a bounded time", func(t *testing.T) {
		f := newFixture(t)
		f.lock()
		c := f.cache(func(o *accesstoken.Options) { o.MaxWait = 50 * time.Millisecond })
		if _, err := c.Token(t.Context(), ""); !errors.Is(err, accesstoken.ErrBusy) || !isWeChatError(err) {
			t.Errorf("got %v, want ErrBusy and an error of package wechat", err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		waiting := f.cache(func(o *accesstoken.Options) { o.Redis.AddHook(afterLock(cancel)) })
		if _, err := waiting.Token(ctx, ""); !errors.Is(err, context.Canceled) || !isWeChatError(err) {
			t.Errorf("got %v, want context.Canceled and an error of package wechat", err)
		}
		f.wantCalls(0, 0)
		f.advance(time.Hour) // the other instance has died, its lock expires
		f.token(c, "")
		f.wantCalls(1, 1)
	})

	t.Run("fetches again after an error", func(t *testing.T) {
		f := newFixture(t)
		c := f.cache()
		f.sim.FailAPI(wechattest.Tokens, wechattest.ErrCode(40125))
		if _, err := c.Token(t.Context(), ""); wechat.KindOf(err) != wechat.KindMisconfigured {
			t.Errorf("got %v, want WeChat's error", err)
		}
		f.token(c, "")
		f.wantCalls(2, 1)
	})

	t.Run("without Redis is ErrUnavailable and calls nothing", func(t *testing.T) {
		f := newFixture(t)
		c := f.cache(func(o *accesstoken.Options) {
			o.Redis = redis.NewClient(&redis.Options{Addr: "127.0.0.1:1", MaxRetries: -1, DialerRetries: 1})
		})
		if _, err := c.Token(t.Context(), ""); !errors.Is(err, accesstoken.ErrUnavailable) {
			t.Errorf("got %v", err)
		}
		f.wantCalls(0, 0)
	})

	t.Run("is not cached if it is about to end", func(t *testing.T) {
		f := newFixture(t)
		c := f.cache(func(o *accesstoken.Options) {
			o.Fetch = func(context.Context, bool) (string, time.Duration, error) { return "short", time.Minute, nil }
		})
		if f.token(c, "") != "short" || len(f.redis.Dump(t)) != 0 {
			t.Error("the token was cached, or not returned")
		}
	})
}

func TestCache_TokenRenewal(t *testing.T) {
	t.Run("5 minutes before its end", func(t *testing.T) {
		f := newFixture(t)
		c := f.cache()
		first := f.token(c, "")
		f.advance(114 * time.Minute)
		if f.token(c, "") != first {
			t.Error("renewed too early")
		}
		f.wantCalls(1, 1)
		f.advance(time.Minute + time.Second)
		f.tokensConcurrently("") // one instance renews it, the other may still use the first token
		f.wantCalls(2, 2)
		if f.oneTokenConcurrently("") == first {
			t.Error("not renewed")
		}
		f.wantCalls(2, 2)
	})

	t.Run("uses the old token if it fails", func(t *testing.T) {
		f := newFixture(t)
		c := f.cache()
		first := f.token(c, "")
		f.advance(116 * time.Minute)
		f.sim.FailAPI(wechattest.Tokens, wechattest.BadGateway)
		if f.token(c, "") != first {
			t.Error("another token")
		}
		f.wantCalls(2, 1)
		if f.token(c, "") == first {
			t.Error("the next call does not renew it")
		}
		f.wantCalls(3, 2)
	})

	t.Run("uses the old token if another instance holds the lock", func(t *testing.T) {
		f := newFixture(t)
		c := f.cache()
		first := f.token(c, "")
		f.advance(116 * time.Minute)
		f.lock()
		if f.token(c, "") != first {
			t.Error("another token")
		}
		f.wantCalls(1, 1)
	})
}

// lock takes the lock as another instance would.
func (f *fixture) lock() {
	f.Helper()
	if err := f.redis.Client.Set(f.Context(), f.lockKey(), "another", time.Hour).Err(); err != nil {
		f.Fatal(err)
	}
}

// afterLock is called when an instance has tried to take the lock.
type afterLock func()

func (a afterLock) DialHook(next redis.DialHook) redis.DialHook { return next }

func (a afterLock) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		err := next(ctx, cmd)
		if cmd.Name() == "set" {
			a()
		}
		return err
	}
}

func (a afterLock) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func isWeChatError(err error) bool {
	e, ok := errors.AsType[*wechat.Error](err)
	return ok && e.Kind == wechat.KindUnavailable && e.API == "stable_token"
}

func TestToken_ExpiresIn(t *testing.T) {
	f := newFixture(t)
	for _, c := range []*accesstoken.Cache{f.cache(), f.cache()} { // fetched, and cached
		token, err := c.Token(t.Context(), "")
		if err != nil || token.ExpiresIn > 2*time.Hour || token.ExpiresIn < 119*time.Minute {
			t.Errorf("expires in %v, %v", token.ExpiresIn, err)
		}
		f.advance(30 * time.Second)
	}
	f.advance(time.Hour)
	token, err := f.cache().Token(t.Context(), "")
	if err != nil || token.ExpiresIn > 59*time.Minute || token.ExpiresIn < 58*time.Minute {
		t.Errorf("after an hour and a minute it expires in %v, %v", token.ExpiresIn, err)
	}
	if text := fmt.Sprintf("%v %+v %#v %q", token, token, token, token); strings.Contains(text, string(token.Value)) {
		t.Error("it is printed")
	}
}

func TestCache_TokenSealed(t *testing.T) {
	t.Run("in Redis", func(t *testing.T) {
		f := newFixture(t)
		c := f.cache()
		token := f.token(c, "")
		dump := fmt.Sprint(f.redis.Dump(t))
		if strings.Contains(dump, token) || strings.Contains(dump, secret) || !strings.Contains(dump, f.tokenKey()) {
			t.Error("Redis holds the token or the AppSecret, or not even the sealed token")
		}
		other := f.cache(func(o *accesstoken.Options) { o.Secret = wechat.Secret(strings.Repeat("f", 32)) })
		f.token(other, "")
		f.wantCalls(2, 1) // it could not read the first token
	})

	t.Run("invalid values are ignored", func(t *testing.T) {
		f := newFixture(t)
		c := f.cache()
		token := f.token(c, "")
		sealed := f.redis.Dump(t)[f.tokenKey()]
		for name, write := range map[string]func() error{
			"empty":      func() error { return f.redis.Client.Set(t.Context(), f.tokenKey(), "", time.Hour).Err() },
			"short":      func() error { return f.redis.Client.Set(t.Context(), f.tokenKey(), "x", time.Hour).Err() },
			"altered":    func() error { return f.redis.Client.Set(t.Context(), f.tokenKey(), sealed[1:]+"x", time.Hour).Err() },
			"other type": func() error { return f.redis.Client.Del(t.Context(), f.tokenKey()).Err() },
		} {
			if err := write(); err != nil {
				t.Fatal(err)
			}
			if name == "other type" {
				if err := f.redis.Client.LPush(t.Context(), f.tokenKey(), "x").Err(); err != nil {
					t.Fatal(err)
				}
			}
			calls := f.sim.Stats().TokenCalls
			if f.token(c, "") != token || f.sim.Stats().TokenCalls != calls+1 {
				t.Errorf("%s: WeChat was not called", name)
			}
		}
	})

	// A token that was sealed for another mini-program cannot be unsealed.
	t.Run("another mini-program's token is ignored", func(t *testing.T) {
		f := newFixture(t)
		f.token(f.cache(), "")
		sealed := f.redis.Dump(t)[f.tokenKey()]
		var fetches atomic.Int32
		other := f.cache(func(o *accesstoken.Options) {
			o.AppID = "wxother"
			o.Fetch = func(context.Context, bool) (string, time.Duration, error) {
				fetches.Add(1)
				return "other", time.Hour, nil
			}
		})
		if err := f.redis.Client.Set(t.Context(), f.redis.Prefix+"access_token:wxother", sealed, time.Hour).Err(); err != nil {
			t.Fatal(err)
		}
		if f.token(other, "") != "other" || fetches.Load() != 1 {
			t.Error("another mini-program's token was used")
		}
	})
}

func TestCache_Unlock(t *testing.T) {
	t.Run("keeps another instance's lock", func(t *testing.T) {
		f := newFixture(t)
		c := f.cache(func(o *accesstoken.Options) {
			o.Fetch = func(ctx context.Context, force bool) (string, time.Duration, error) {
				f.lock() // this instance's lock has expired, and another instance has taken it
				return f.client.StableToken(ctx, force)
			}
		})
		f.token(c, "")
		if f.redis.Dump(t)[f.lockKey()] != "another" {
			t.Error("the other instance's lock is gone")
		}
	})

	t.Run("after the caller cancelled", func(t *testing.T) {
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
	})
}

func TestCache_TokenCluster(t *testing.T) {
	f := newFixture(t)
	var parts []redis.ClusterSlot
	var nodes []*miniredis.Miniredis
	for n := range 3 {
		nodes = append(nodes, miniredis.RunT(t))
		parts = append(parts, redis.ClusterSlot{
			Start: n * 16384 / 3, End: (n+1)*16384/3 - 1, Nodes: []redis.ClusterNode{{Addr: nodes[n].Addr()}},
		})
	}
	cluster := redis.NewClusterClient(&redis.ClusterOptions{
		ClusterSlots: func(context.Context) ([]redis.ClusterSlot, error) { return parts, nil },
	})
	defer cluster.Close()
	c := f.cache(func(o *accesstoken.Options) { o.Redis, o.KeyPrefix = cluster, "" })
	first := f.token(c, "")
	if f.token(c, "") != first || f.token(c, first) == first {
		t.Error("the token is not cached, or not replaced")
	}
	var keys []string
	for _, node := range nodes {
		keys = append(keys, node.Keys()...)
	}
	if !slices.Contains(keys, "wxlogin:access_token:"+appID) {
		t.Errorf("the keys are %q, want the default prefix", keys)
	}
	f.wantCalls(3, 2)
}

func TestNew_RequiredOptions(t *testing.T) {
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
			t.Errorf("New accepts options without %s", name)
		}
	}
}
