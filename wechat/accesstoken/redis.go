package accesstoken

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"wxlogin/wechat"
)

// An appid has no colon, so two apps never share a key.
const defaultKeyPrefix = "wxlogin:"

// tokenKey is the key of the sealed token.
func (c *Cache) tokenKey() string { return c.keyPrefix + "access_token:" + c.appID }

// lockKey is the key of the lock of the instance that calls WeChat.
func (c *Cache) lockKey() string { return c.tokenKey() + ":lock" }

// read returns the cached token. A value that was not sealed for this mini-program under its current AppSecret counts
// as none, which is the zero Token. The key expires expiryMargin before the token.
func (c *Cache) read(ctx context.Context) (Token, error) {
	key := c.tokenKey()
	pipe := c.redis.Pipeline()
	sealed, ttl := pipe.Get(ctx, key), pipe.PTTL(ctx, key)
	_, execErr := pipe.Exec(ctx) // if Redis refuses the connection, no command has an error, but Exec has
	if err := sealed.Err(); errors.Is(err, redis.Nil) || redis.HasErrorPrefix(err, "WRONGTYPE") {
		return Token{}, nil
	}
	if execErr != nil {
		return Token{}, unavailable("read", execErr)
	}
	token, err := c.sealer.Open(nil, nil, []byte(sealed.Val()), []byte(key))
	if err != nil {
		return Token{}, nil
	}
	return Token{wechat.Secret(token), ttl.Val() + expiryMargin}, nil
}

// write caches a token until expiryMargin before its end. A token that ends sooner is not cached.
func (c *Cache) write(ctx context.Context, token Token) error {
	ttl := token.ExpiresIn - expiryMargin
	if ttl < time.Second {
		return nil
	}
	key := c.tokenKey()
	if err := c.redis.Set(ctx, key, c.sealer.Seal(nil, nil, []byte(token.Value), []byte(key)), ttl).Err(); err != nil {
		return unavailable("write", err)
	}
	return nil
}

// setNX sets a key for ttl, unless it exists, and reports whether it has.
func (c *Cache) setNX(ctx context.Context, key, value string, ttl time.Duration) (bool, error) {
	err := c.redis.SetArgs(ctx, key, value, redis.SetArgs{Mode: "NX", TTL: ttl}).Err()
	if errors.Is(err, redis.Nil) {
		return false, nil
	}
	if err != nil {
		return false, unavailable("set", err)
	}
	return true, nil
}

// unlockScript removes a lock only if it still has this owner: it may have expired and been taken by another instance.
var unlockScript = redis.NewScript(`
if redis.call("GET", KEYS[1]) == ARGV[1] then
	return redis.call("DEL", KEYS[1])
end
return 0`)

// lock tries to take the lock. If locked is true, the caller must call unlock.
func (c *Cache) lock(ctx context.Context) (unlock func(), locked bool, err error) {
	key, owner := c.lockKey(), rand.Text()
	if locked, err = c.setNX(ctx, key, owner, lockTTL); !locked {
		return nil, false, err
	}
	unlock = func() {
		// The caller may have cancelled ctx. If unlocking fails, the lock expires after lockTTL.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = unlockScript.Run(ctx, c.redis, []string{key}, owner).Err()
	}
	return unlock, true, nil
}

// newSealer returns AES-256-GCM under a key derived from the AppSecret by HKDF-SHA256 (RFC 5869), salted with the
// appid. Nonces are random and precede the ciphertext. A token is sealed some dozen times a day, far below GCM's limit
// for random nonces.
func newSealer(appID, secret string) (cipher.AEAD, error) {
	key, err := hkdf.Key(sha256.New, []byte(secret), []byte(appID), "wxlogin access_token v1 key", 32)
	if err != nil {
		return nil, fmt.Errorf("accesstoken: deriving the key: %w", err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("accesstoken: cipher: %w", err)
	}
	sealer, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, fmt.Errorf("accesstoken: cipher: %w", err)
	}
	return sealer, nil
}
