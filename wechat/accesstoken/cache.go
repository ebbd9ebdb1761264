// Package accesstoken caches the access_token of a WeChat mini-program in Redis and shares it between all instances of a
// server.
//
//	cache, err := accesstoken.New(accesstoken.Options{
//		Redis: redisClient, AppID: appID, Secret: appSecret, Fetch: client.StableToken, // client is a *wechat.Client
//	})
//	...
//	token, err := cache.Token(ctx, "")
//	number, err := client.PhoneNumber(ctx, string(token.Value), openID, code)
//	if wechat.IsInvalidToken(err) { // replace the token once, repeat the call once
//		token, err = cache.Token(ctx, string(token.Value))
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
//
// # Refused tokens
//
// If WeChat has refused a token, it is replaced: by the token that another instance has cached in the meantime, by
// WeChat's current one, or, if that is the refused one, by a forced refresh, which revokes it. So of many callers with
// the same refused token, whatever their instance, one replaces it, and all get the same new one.
//
// WeChat allows 20 forced refreshes a day, at least 30 s apart. All instances together make at most one in a minute and
// 18 in 24 hours; two are left for operators and other programs. A caller beyond that gets [ErrRefused], which also is
// how a loop ends: the token is the current one, and there is no other.
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

	firstPoll = 20 * time.Millisecond
	maxPoll   = 200 * time.Millisecond

	defaultMaxWait = 3 * time.Second
)

var (
	// ErrUnavailable is returned if Redis fails.
	ErrUnavailable = errors.New("accesstoken: redis unavailable")

	// ErrBusy is returned if another instance has been fetching the token for longer than Options.MaxWait.
	ErrBusy = errors.New("accesstoken: another instance is still fetching the token")

	// ErrRefused is returned if the token that WeChat has refused is its current one and may not be replaced yet.
	ErrRefused = errors.New("accesstoken: WeChat refused the token and returns no other one")
)

// Token is an access_token.
type Token struct {
	Value     wechat.Secret
	ExpiresIn time.Duration // the remaining lifetime when it was returned: at least a second, and a minute if it was cached
}

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
// is ErrBusy or ctx.Err(), wrapped together with a *wechat.Error of KindUnavailable. After ErrRefused, Token(ctx, "")
// returns the refused token, WeChat's current one.
func (c *Cache) Token(ctx context.Context, refused string) (Token, error) {
	deadline := time.Now().Add(c.maxWait)
	for poll := firstPoll; ; poll = min(2*poll, maxPoll) {
		cached, err := c.lookup(ctx, refused)
		if err != nil {
			return Token{}, err
		}
		usable := cached.usable(refused)
		if usable && !cached.needsRenewal() {
			return cached, nil
		}
		unlock, locked, err := c.lock(ctx)
		if err != nil {
			return Token{}, err
		}
		if locked {
			token, err := c.renew(ctx, refused)
			unlock()
			if err != nil && usable {
				return cached, nil
			}
			return token, err
		}
		if usable {
			return cached, nil // another instance renews it
		}
		if time.Now().Add(poll).After(deadline) {
			return Token{}, waitError(ErrBusy)
		}
		select {
		case <-time.After(poll):
		case <-ctx.Done():
			return Token{}, waitError(ctx.Err())
		}
	}
}

// usable reports whether there is a token, and it is not the refused one.
func (t Token) usable(refused string) bool { return t.Value != "" && string(t.Value) != refused }

// needsRenewal reports whether WeChat would return a new token by now.
func (t Token) needsRenewal() bool { return t.ExpiresIn <= renewBefore }

// renew fetches a token and caches it. The caller holds the lock. It reads the cache first, because another instance
// may have renewed the token just before.
func (c *Cache) renew(ctx context.Context, refused string) (Token, error) {
	cached, err := c.lookup(ctx, refused)
	if err != nil {
		return Token{}, err
	}
	if cached.usable(refused) && !cached.needsRenewal() {
		return cached, nil
	}
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	token, err := c.fetchToken(ctx, false)
	if err == nil && string(token.Value) == refused {
		token, err = c.replace(ctx, token)
	}
	if err == nil {
		err = c.write(ctx, token)
	}
	if err != nil {
		return Token{}, err
	}
	return token, nil
}

func (c *Cache) fetchToken(ctx context.Context, force bool) (Token, error) {
	value, expiresIn, err := c.fetch(ctx, force)
	return Token{wechat.Secret(value), expiresIn}, err
}

// waitError adds a *wechat.Error to the error of a wait: the caller has no token, as if WeChat had not responded.
func waitError(err error) error {
	return fmt.Errorf("%w: %w", err, &wechat.Error{Kind: wechat.KindUnavailable, API: "stable_token"})
}

// unavailable wraps an error of Redis.
func unavailable(op string, err error) error {
	return fmt.Errorf("%w: %s: %w", ErrUnavailable, op, err)
}
