package accesstoken

import (
	"context"
	"crypto/rand"
	"errors"
	"time"

	"github.com/redis/go-redis/v9"
)

// held is what stands in Redis.
type held struct {
	token string        // "" where there is none
	left  time.Duration // until it is gone from Redis
}

func (h held) usable(refused string) bool { return h.token != "" && h.token != refused }

// due tells whether WeChat would give a new token by now.
func (h held) due() bool { return h.left <= renewal-margin }

// read reads the token. What stands there and was not sealed for this mini-program, under its present AppSecret, is none.
func (c *Cache) read(ctx context.Context) (held, error) {
	key := tokenKey(c.appID)
	pipe := c.redis.Pipeline()
	sealed, left := pipe.Get(ctx, key), pipe.PTTL(ctx, key)
	_, failure := pipe.Exec(ctx) // the commands have their errors, but none if Redis refuses the connection
	if err := sealed.Err(); errors.Is(err, redis.Nil) || redis.HasErrorPrefix(err, "WRONGTYPE") {
		return held{}, nil
	}
	if failure != nil {
		return held{}, unavailable("read", failure)
	}
	token, err := c.sealer.Open(nil, nil, []byte(sealed.Val()), []byte(key))
	if err != nil {
		return held{}, nil
	}
	return held{string(token), left.Val()}, nil
}

// write keeps a token for as long as it may be given, which for one that is about to end is not at all.
func (c *Cache) write(ctx context.Context, token string, expiresIn time.Duration) error {
	ttl := expiresIn - margin
	if ttl < time.Second {
		return nil
	}
	key := tokenKey(c.appID)
	if err := c.redis.Set(ctx, key, c.sealer.Seal(nil, nil, []byte(token), []byte(key)), ttl).Err(); err != nil {
		return unavailable("write", err)
	}
	return nil
}

// unlockScript removes a lock only for the one who holds it: it may have run out meanwhile and be another's.
var unlockScript = redis.NewScript(`
if redis.call("GET", KEYS[1]) == ARGV[1] then
	return redis.call("DEL", KEYS[1])
end
return 0`)

// lock tries to take the lock. Whoever got it must unlock.
func (c *Cache) lock(ctx context.Context) (unlock func(), locked bool, err error) {
	key, owner := lockKey(c.appID), rand.Text()
	err = c.redis.SetArgs(ctx, key, owner, redis.SetArgs{Mode: "NX", TTL: lockTime}).Err()
	if errors.Is(err, redis.Nil) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, unavailable("lock", err)
	}
	unlock = func() {
		// The caller may have left. What fails here ends by itself with lockTime.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = unlockScript.Run(ctx, c.redis, []string{key}, owner).Err()
	}
	return unlock, true, nil
}

// keyPrefix begins every key that this package writes. An appid has no colon.
const keyPrefix = "wxlogin:access_token:"

// tokenKey is where the sealed token stands.
func tokenKey(appID string) string { return keyPrefix + appID }

// lockKey is held by the instance that asks WeChat.
func lockKey(appID string) string { return keyPrefix + appID + ":lock" }

// forcedKey is there while no refresh may be forced.
func forcedKey(appID string) string { return keyPrefix + appID + ":forced" }
