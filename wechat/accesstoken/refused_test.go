package accesstoken_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"wxlogin/wechat"
	"wxlogin/wechat/accesstoken"
)

func TestCache_TokenRefused(t *testing.T) {
	t.Run("expired token is replaced once for all instances", func(t *testing.T) {
		f := newFixture(t)
		first := f.token(f.cache(), "")
		f.sim.ExpireAccessTokens()
		next := f.oneTokenConcurrently(first)
		if next == first {
			t.Error("the refused token is returned again")
		}
		f.wantCalls(2, 2)
		if f.token(f.cache(), first) != next || f.token(f.cache(), "") != next {
			t.Error("a later instance gets another token")
		}
		f.wantCalls(2, 2)
	})

	t.Run("current token is replaced by force once for all instances", func(t *testing.T) {
		f := newFixture(t)
		first := f.token(f.cache(), "")
		next := f.oneTokenConcurrently(first)
		if next == first {
			t.Error("the refused token is returned again")
		}
		f.wantCalls(3, 2) // in normal mode WeChat returned the refused token again
	})

	t.Run("is ErrRefused while no refresh may be forced", func(t *testing.T) {
		f := newFixture(t)
		forced := f.token(f.cache(), f.token(f.cache(), ""))
		f.wantCalls(3, 2)
		for range 2 {
			f.wantRefused(forced)
			if f.token(f.cache(), "") != forced {
				t.Error("the current token is another one")
			}
			f.wantCalls(4, 2) // WeChat is asked once, for all callers
		}
		f.advance(10 * time.Second)
		f.wantRefused(forced)
		f.wantCalls(5, 2)
		f.advance(51 * time.Second)
		if f.token(f.cache(), forced) == forced {
			t.Error("not replaced after a minute")
		}
		f.wantCalls(7, 3)
	})

	// The current token, if the cache does not have it, is cached too.
	t.Run("is ErrRefused for a token that is not cached", func(t *testing.T) {
		f := newFixture(t)
		forced := f.token(f.cache(), f.token(f.cache(), ""))
		if err := f.redis.Client.Del(t.Context(), f.tokenKey()).Err(); err != nil {
			t.Fatal(err)
		}
		f.wantRefused(forced)
		if f.token(f.cache(), "") != forced {
			t.Error("the current token is another one")
		}
		f.wantCalls(4, 2)
	})

	t.Run("is replaced within a minute if WeChat has another one", func(t *testing.T) {
		f := newFixture(t)
		forced := f.token(f.cache(), f.token(f.cache(), ""))
		f.sim.ExpireAccessTokens()
		if f.token(f.cache(), forced) == forced {
			t.Error("the refused token is returned again")
		}
		f.wantCalls(4, 3)
	})

	t.Run("is replaced by force once a minute and 18 times in 24 hours", func(t *testing.T) {
		f := newFixture(t)
		var forced int
		c := f.cache(func(o *accesstoken.Options) {
			o.Fetch = func(ctx context.Context, force bool) (string, time.Duration, error) {
				if force {
					forced++
				}
				return f.client.StableToken(ctx, force)
			}
		})
		refuse := func(wantForced int) {
			t.Helper()
			current, before := f.token(c, ""), forced
			next, err := c.Token(t.Context(), current)
			switch replaced := err == nil && string(next.Value) != current; {
			case forced != wantForced:
				t.Fatalf("%d forced refreshes, want %d", forced, wantForced)
			case replaced != (forced > before), !replaced && !errors.Is(err, accesstoken.ErrRefused):
				t.Fatalf("after %d forced refreshes: %v, or the refused token again", forced, err)
			}
		}
		for n := range 30 { // minutes
			refuse(min(n+1, 18))
			f.advance(30 * time.Second)
			refuse(min(n+1, 18))
			f.advance(30 * time.Second)
		}
		f.advance(23*time.Hour + 29*time.Minute)
		refuse(18)
		for n := range 18 {
			f.advance(time.Minute)
			refuse(19 + n)
		}
		f.advance(time.Minute)
		refuse(36)
		if s := f.sim.Stats(); len(s.ErrCodes) != 0 {
			t.Errorf("WeChat's limit was reached: %v", s.ErrCodes)
		}
	})

	t.Run("is ErrRefused if another program has used up WeChat's limit", func(t *testing.T) {
		f := newFixture(t)
		old := f.token(f.cache(), "")
		for range 20 {
			if _, _, err := f.client.StableToken(t.Context(), true); err != nil {
				t.Fatal(err)
			}
			f.advance(30 * time.Second)
		}
		current := f.token(f.cache(), old)
		if current == old {
			t.Error("the refused token is returned again")
		}
		f.wantRefused(current)
		if s := f.sim.Stats(); s.ErrCodes[45009] != 1 {
			t.Errorf("WeChat's errcodes are %v", s.ErrCodes)
		}
		if f.token(f.cache(), "") != current {
			t.Error("the current token is another one")
		}
	})

	t.Run("a forced refresh that failed counts", func(t *testing.T) {
		f := newFixture(t)
		var forced int
		c := f.cache(func(o *accesstoken.Options) {
			o.Fetch = func(ctx context.Context, force bool) (string, time.Duration, error) {
				if !force {
					return f.client.StableToken(ctx, false)
				}
				forced++
				return "", 0, &wechat.Error{Kind: wechat.KindUnavailable}
			}
		})
		token := f.token(c, "")
		if _, err := c.Token(t.Context(), token); wechat.KindOf(err) != wechat.KindUnavailable {
			t.Errorf("got %v, want the error of Fetch", err)
		}
		f.wantRefused(token)
		if forced != 1 {
			t.Errorf("forced %d times", forced)
		}
	})
}

// wantRefused fails unless there is no other token than the refused one.
func (f *fixture) wantRefused(refused string) {
	f.Helper()
	if _, err := f.cache().Token(f.Context(), refused); !errors.Is(err, accesstoken.ErrRefused) {
		f.Errorf("got %v, want ErrRefused", err)
	}
}
