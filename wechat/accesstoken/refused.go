package accesstoken

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"wxlogin/wechat"
)

const (
	// forceInterval is the time between two forced refreshes. WeChat ignores one within 30 s of the last.
	forceInterval = time.Minute
	// forcesPerDay is the number of forced refreshes in 24 hours. WeChat allows 20, other programs' included.
	forcesPerDay = 18
	// confirmedFor is how long WeChat is not asked again about a refused token that it has returned as its current one.
	// Otherwise each of many callers would ask, one after the other.
	confirmedFor = 10 * time.Second

	// errCodeQuota is WeChat's errcode if its own limit of forced refreshes is reached.
	errCodeQuota = 45009
)

// forcedKey exists while no refresh may be forced.
func (c *Cache) forcedKey() string { return c.tokenKey() + ":forced" }

// forcedTodayKey exists for 24 hours for each forced refresh, with a number below forcesPerDay.
func (c *Cache) forcedTodayKey(n int) string { return c.forcedKey() + ":" + strconv.Itoa(n) }

// confirmedKey exists for confirmedFor after WeChat has returned a refused token again.
func (c *Cache) confirmedKey() string { return c.tokenKey() + ":confirmed" }

// lookup returns the cached token, or ErrRefused if that is the refused one and WeChat has just returned it again.
func (c *Cache) lookup(ctx context.Context, refused string) (Token, error) {
	cached, err := c.read(ctx)
	if err != nil || refused == "" || string(cached.Value) != refused {
		return cached, err
	}
	err = c.redis.Get(ctx, c.confirmedKey()).Err()
	switch {
	case err == nil:
		return Token{}, ErrRefused
	case errors.Is(err, redis.Nil):
		return cached, nil
	}
	return Token{}, unavailable("read", err)
}

// replace makes WeChat replace its current token, which it has refused. If that is not allowed, replace returns
// ErrRefused, and the token stays cached.
func (c *Cache) replace(ctx context.Context, current Token) (Token, error) {
	allowed, err := c.mayForce(ctx)
	if err != nil {
		return Token{}, err
	}
	if allowed {
		token, err := c.fetchToken(ctx, true)
		if err == nil && token.Value != current.Value || err != nil && !isQuota(err) {
			return token, err
		}
	}
	if err := c.write(ctx, current); err != nil {
		return Token{}, err
	}
	if err := c.redis.Set(ctx, c.confirmedKey(), "", confirmedFor).Err(); err != nil {
		return Token{}, unavailable("confirm", err)
	}
	return Token{}, ErrRefused
}

// mayForce counts a forced refresh of all instances and reports whether it is within the limits. It needs no clock: each
// refresh takes a key that expires when it no longer counts.
func (c *Cache) mayForce(ctx context.Context) (bool, error) {
	if ok, err := c.setNX(ctx, c.forcedKey(), "", forceInterval); !ok {
		return false, err
	}
	for n := range forcesPerDay {
		if ok, err := c.setNX(ctx, c.forcedTodayKey(n), "", 24*time.Hour); ok || err != nil {
			return ok, err
		}
	}
	return false, nil
}

func isQuota(err error) bool {
	e, ok := errors.AsType[*wechat.Error](err)
	return ok && e.ErrCode == errCodeQuota
}
