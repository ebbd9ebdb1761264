// Package accesstoken caches the access_token of a WeChat mini-program in Redis and shares it between all instances of a
// server.
//
//	cache, err := accesstoken.New(accesstoken.Options{
//		Redis: redisClient, AppID: appID, Secret: appSecret, Fetch: client.StableToken, // client is a *wechat.Client
//	})
//	...
//	token, err := cache.Token(ctx, "")
//	number, err := client.PhoneNumber(ctx, token, openID, code)
//	if wechat.IsInvalidToken(err) { // replace the token once, repeat the call once
//		token, err = cache.Token(ctx, token)
//		...
//	}
//
// Most of WeChat's APIs need an access_token. The exchange of a login code ([wechat.Client.Code2Session]) does not.
//
// # Renewal
//
// A [Cache] fetches the token when it is first needed, and again before it ends:
//
//   - Only the instance that holds a lock in Redis calls WeChat. The others use the cached token or, if there is
//     none, wait for it up to [Options].MaxWait.
//   - From 5 minutes before a token's end WeChat returns a new one, and the old one stays valid. If the renewal
//     fails, the old one is used until its end.
//   - If WeChat has refused a token, it is replaced once: by the token that another instance has cached in the
//     meantime, by WeChat's current one, or, if that is the refused one, by a forced refresh. WeChat allows 20 forced
//     refreshes a day; all instances together make at most one in 72 minutes.
//
// # Secrets
//
// In Redis the token is sealed with AES-256-GCM under a key derived from the AppSecret. Errors do not contain it.
package accesstoken

import (
	"cmp"
	"context"
	"crypto/cipher"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"wxlogin/wechat"
)

const (
	// expiryMargin is the minimum lifetime of a returned token: it must last for the call it is used for.
	expiryMargin = time.Minute
	// renewBefore is how long before a token's end WeChat returns a new one.
	renewBefore = 5 * time.Minute
	// fetchTimeout bounds fetching a token from WeChat, including a forced refresh.
	fetchTimeout = 10 * time.Second
	// lockTTL is longer than fetchTimeout plus the commands to Redis, so that a lock expires only if its instance died.
	lockTTL = fetchTimeout + 5*time.Second
	// forceInterval spreads the 20 forced refreshes that WeChat allows in a day over the day.
	forceInterval = 24 * time.Hour / 20

	firstPoll = 20 * time.Millisecond
	maxPoll   = 200 * time.Millisecond

	defaultMaxWait = 3 * time.Second
)

var (
	// ErrUnavailable is returned if Redis fails.
	ErrUnavailable = errors.New("accesstoken: redis unavailable")

	// ErrBusy is returned if another instance has been fetching the token for longer than Options.MaxWait.
	ErrBusy = errors.New("accesstoken: another instance is still fetching the token")

	// ErrRefused is returned if WeChat has refused the token and returns no other one.
	ErrRefused = errors.New("accesstoken: WeChat refused the token and returns no other one")
)

// Fetch returns the token and its remaining lifetime from WeChat. With force WeChat replaces the current token and
// revokes it. [wechat.Client.StableToken] is a Fetch.
type Fetch func(ctx context.Context, force bool) (token string, expiresIn time.Duration, err error)

// Options configure a Cache. All but KeyPrefix and MaxWait are required.
type Options struct {
	Redis  redis.UniversalClient
	AppID  string
	Secret wechat.Secret // the AppSecret: the token is sealed under a key derived from it
	Fetch  Fetch

	// KeyPrefix begins every key that the Cache writes. Default "wxlogin:".
	KeyPrefix string

	// MaxWait bounds how long a caller waits for another instance. Default 3 s.
	MaxWait time.Duration
}

// Cache caches the access_token of one mini-program in Redis. It is safe for concurrent use and holds no token itself.
type Cache struct {
	redis     redis.UniversalClient
	keyPrefix string
	appID     string
	sealer    cipher.AEAD
	fetch     Fetch
	maxWait   time.Duration
}

// New returns a Cache. It does not connect.
func New(o Options) (*Cache, error) {
	if o.Redis == nil || o.AppID == "" || o.Secret == "" || o.Fetch == nil {
		return nil, errors.New("accesstoken: Redis, AppID, Secret and Fetch are required")
	}
	sealer, err := newSealer(o.AppID, string(o.Secret))
	if err != nil {
		return nil, err
	}
	return &Cache{
		redis: o.Redis, keyPrefix: cmp.Or(o.KeyPrefix, defaultKeyPrefix), appID: o.AppID, sealer: sealer, fetch: o.Fetch,
		maxWait: cmp.Or(o.MaxWait, defaultMaxWait),
	}, nil
}

// Token returns a valid token. If WeChat has refused one, pass it as refused to get another one; otherwise pass "".
//
// The error is ErrUnavailable, ErrRefused, or that of Fetch. If the wait for another instance ends without a token, it
// is ErrBusy or ctx.Err(), wrapped together with a *wechat.Error of KindUnavailable.
func (c *Cache) Token(ctx context.Context, refused string) (string, error) {
	deadline := time.Now().Add(c.maxWait)
	for poll := firstPoll; ; poll = min(2*poll, maxPoll) {
		cached, err := c.read(ctx)
		if err != nil {
			return "", err
		}
		usable := cached.usable(refused)
		if usable && !cached.needsRenewal() {
			return cached.token, nil
		}
		unlock, locked, err := c.lock(ctx)
		if err != nil {
			return "", err
		}
		if locked {
			token, err := c.renew(ctx, refused)
			unlock()
			if err != nil && usable {
				return cached.token, nil
			}
			return token, err
		}
		if usable {
			return cached.token, nil // another instance renews it
		}
		if time.Now().Add(poll).After(deadline) {
			return "", waitError(ErrBusy)
		}
		select {
		case <-time.After(poll):
		case <-ctx.Done():
			return "", waitError(ctx.Err())
		}
	}
}

// renew fetches a token and caches it. The caller holds the lock. It reads the cache first, because another instance
// may have renewed the token just before.
func (c *Cache) renew(ctx context.Context, refused string) (string, error) {
	cached, err := c.read(ctx)
	if err != nil {
		return "", err
	}
	if cached.usable(refused) && !cached.needsRenewal() {
		return cached.token, nil
	}
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	token, expiresIn, err := c.fetch(ctx, false)
	if err == nil && token == refused {
		token, expiresIn, err = c.forceRefresh(ctx, refused)
	}
	if err != nil {
		return "", err
	}
	if err := c.write(ctx, token, expiresIn); err != nil {
		return "", err
	}
	return token, nil
}

// forceRefresh makes WeChat replace a token that it refuses but still returns.
func (c *Cache) forceRefresh(ctx context.Context, refused string) (string, time.Duration, error) {
	err := c.redis.SetArgs(ctx, c.forcedKey(), "", redis.SetArgs{Mode: "NX", TTL: forceInterval}).Err()
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

// waitError adds a *wechat.Error to the error of a wait: the caller has no token, as if WeChat had not responded.
func waitError(err error) error {
	return fmt.Errorf("%w: %w", err, &wechat.Error{Kind: wechat.KindUnavailable, API: "stable_token"})
}

// unavailable wraps an error of Redis.
func unavailable(op string, err error) error {
	return fmt.Errorf("%w: %s: %w", ErrUnavailable, op, err)
}
