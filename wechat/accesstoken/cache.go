package accesstoken

import (
	"context"
	"crypto/cipher"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"wxlogin/wechat"
)

const (
	// margin is how long before its end a token is not given any more: it must last for the call that it is for.
	margin = time.Minute
	// renewal is how long before its end WeChat gives a new token beside it.
	renewal = 5 * time.Minute
	// fetchTime bounds what WeChat may take for a token, twice where one is forced.
	fetchTime = 10 * time.Second
	// lockTime is longer than a fetch with all that belongs to it, so that a lock ends only with its work or its instance.
	lockTime = fetchTime + 5*time.Second
	// forcePause spreads the 20 refreshes that WeChat lets force in a day over that day.
	forcePause = 24 * time.Hour / 20

	firstPause = 20 * time.Millisecond
	maxPause   = 200 * time.Millisecond

	defaultMaxWait = 3 * time.Second
)

var (
	// ErrUnavailable says that Redis could not be asked.
	ErrUnavailable = errors.New("accesstoken: redis unavailable")

	// ErrBusy is returned if another instance has been fetching the token for longer than Options.MaxWait.
	ErrBusy = errors.New("accesstoken: another instance is still asking for the token")

	// ErrRefused says that WeChat has refused the token and gives no other one.
	ErrRefused = errors.New("accesstoken: there is no token but the one that WeChat refused")
)

// Fetch asks WeChat for the token and tells how long it lasts. With force WeChat makes a new one and ends the old one.
// (*wechat.Client).StableToken is one.
type Fetch func(ctx context.Context, force bool) (token string, expiresIn time.Duration, err error)

// Options are the parts of a Cache. All but MaxWait are required.
type Options struct {
	Redis  redis.UniversalClient
	AppID  string
	Secret wechat.Secret // the AppSecret: the token is sealed under a key derived from it
	Fetch  Fetch

	// MaxWait bounds how long a caller waits for another instance. Default 3 s.
	MaxWait time.Duration
}

// Cache is the access_token of one mini-program. It is safe for concurrent use and keeps nothing itself.
type Cache struct {
	redis   redis.UniversalClient
	appID   string
	sealer  cipher.AEAD
	fetch   Fetch
	maxWait time.Duration
}

// New makes a Cache. It opens no connection.
func New(o Options) (*Cache, error) {
	if o.Redis == nil || o.AppID == "" || o.Secret == "" || o.Fetch == nil {
		return nil, errors.New("accesstoken: Redis, AppID, Secret and Fetch are required")
	}
	if o.MaxWait == 0 {
		o.MaxWait = defaultMaxWait
	}
	sealer, err := newSealer(o.AppID, string(o.Secret))
	if err != nil {
		return nil, err
	}
	return &Cache{redis: o.Redis, appID: o.AppID, sealer: sealer, fetch: o.Fetch, maxWait: o.MaxWait}, nil
}

// Token returns a token other than refused, which is the one that WeChat has just refused; "" where there is none such.
//
// The error is ErrUnavailable, ErrRefused, that of Fetch, or, if the wait for another instance ended in vain, ErrBusy or
// ctx.Err(), each with a *wechat.Error of KindUnavailable.
func (c *Cache) Token(ctx context.Context, refused string) (string, error) {
	deadline := time.Now().Add(c.maxWait)
	for wait := firstPause; ; wait = min(2*wait, maxPause) {
		held, err := c.read(ctx)
		if err != nil {
			return "", err
		}
		usable := held.usable(refused)
		if usable && !held.due() {
			return held.token, nil
		}
		unlock, locked, err := c.lock(ctx)
		if err != nil {
			return "", err
		}
		if locked {
			token, err := c.renew(ctx, refused)
			unlock()
			if err != nil && usable {
				return held.token, nil
			}
			return token, err
		}
		if usable {
			return held.token, nil // another instance renews it
		}
		if time.Now().Add(wait).After(deadline) {
			return "", notFetched(ErrBusy)
		}
		if err := sleep(ctx, wait); err != nil {
			return "", notFetched(err)
		}
	}
}

// renew gets a token while the lock is held. Another instance may have done so just before.
func (c *Cache) renew(ctx context.Context, refused string) (string, error) {
	held, err := c.read(ctx)
	if err != nil {
		return "", err
	}
	if held.usable(refused) && !held.due() {
		return held.token, nil
	}
	ctx, cancel := context.WithTimeout(ctx, fetchTime)
	defer cancel()
	token, expiresIn, err := c.fetch(ctx, false)
	if err == nil && token == refused {
		token, expiresIn, err = c.force(ctx, refused)
	}
	if err != nil {
		return "", err
	}
	if err := c.write(ctx, token, expiresIn); err != nil {
		return "", err
	}
	return token, nil
}

// force makes WeChat replace a token that it refuses and gives all the same.
func (c *Cache) force(ctx context.Context, refused string) (string, time.Duration, error) {
	err := c.redis.SetArgs(ctx, forcedKey(c.appID), "", redis.SetArgs{Mode: "NX", TTL: forcePause}).Err()
	if errors.Is(err, redis.Nil) {
		return "", 0, ErrRefused
	}
	if err != nil {
		return "", 0, unavailable("force", err)
	}
	token, expiresIn, err := c.fetch(ctx, true)
	if err == nil && token == refused {
		err = ErrRefused
	}
	return token, expiresIn, err
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// notFetched adds to the error of a wait what it is to a caller: WeChat's token could not be had, as if WeChat were down.
func notFetched(err error) error {
	return fmt.Errorf("%w: %w", err, &wechat.Error{Kind: wechat.KindUnavailable, API: "stable_token"})
}

func unavailable(op string, err error) error {
	return fmt.Errorf("%w: %s: %w", ErrUnavailable, op, err)
}
